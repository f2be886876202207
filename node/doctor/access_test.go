package doctor

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"omx/node"
)

func TestKeyFile(t *testing.T) {
	cfg := at(t.TempDir())
	look := func() []Finding { return keyFile(t.Context(), patientOf(t, cfg)) }
	expect(t, look(), "ok: none")
	path := filepath.Join(cfg.Data, node.KeysFile)
	line := "omx-api-1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef boss admin\n"
	write(t, path, line, 0o600)
	expect(t, look(), "ok: 1 key, 1 of admins")
	if err := os.Chmod(path, 0o622); err != nil {
		t.Fatal(err)
	}
	expect(t, look(), "problem: mode 0622: others can add a key >> chmod 600 "+path)
	write(t, path, line+"hello\n", 0o600)
	expect(t, look(), "problem: line 2 is not omx-api-1 >> vi "+path)
	cfg.Keys = filepath.Join(cfg.Data, "other")
	expect(t, look(), "problem: no such file >> ls -l "+cfg.Keys)
}

// A node that listens at all addresses is tried at one that a stranger could use;
// here 127.0.0.2 stands for that.
func TestAccess(t *testing.T) {
	data := t.TempDir()
	n := started(t, node.Config{Data: data, Listen: "0.0.0.0:0"})
	_, port, err := net.SplitHostPort(n.URL()[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	cfg := at(data)
	cfg.API = "http://127.0.0.1:" + port
	p := patientOf(t, cfg)
	expect(t, p.tried(t.Context(), nil), "ok: from this machine only")
	stranger := []string{"127.0.0.2"}
	expect(t, p.tried(t.Context(), stranger), "problem: http://127.0.0.2:"+port+" answers anybody on the network, without a key >> omx keys add NAME --data "+data)

	write(t, filepath.Join(data, node.KeysFile), "omx-api-1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef a\n", 0o600)
	shut := started(t, node.Config{Data: t.TempDir(), Listen: "0.0.0.0:0", Keys: filepath.Join(data, node.KeysFile)})
	_, port, err = net.SplitHostPort(shut.URL()[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	cfg.API = "http://127.0.0.1:" + port
	p = patientOf(t, cfg)
	expect(t, p.tried(t.Context(), stranger), "ok: at http://127.0.0.2:"+port+" too, where it asks for a key")
	expect(t, answers(t.Context(), p), "advice: it asks for a key, so no more was looked at >> OMX_KEY=KEY omx doctor --api "+cfg.API)

	local := started(t, node.Config{Data: t.TempDir()})
	cfg.API = local.URL()
	expect(t, patientOf(t, cfg).tried(t.Context(), stranger), "ok: from this machine only")
}

// Whom others can reach: not loopback, not a link's own addresses, each once.
func TestReached(t *testing.T) {
	p := &patient{Config: at("/data")}
	p.API = "http://192.0.2.9:" + strconv.Itoa(11435)
	p.Addresses = func() (list []net.Addr, err error) {
		for _, s := range []string{"127.0.0.1/8", "192.0.2.2/24", "fe80::1/64", "fd00::2/64", "192.0.2.2/24"} {
			ip, n, err := net.ParseCIDR(s)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, &net.IPNet{IP: ip, Mask: n.Mask})
		}
		return list, nil
	}
	if got, want := p.reached(), []string{"192.0.2.2", "fd00::2", "192.0.2.9"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for host, want := range map[string]bool{"localhost": true, "127.0.0.5": true, "192.0.2.2": true, "192.0.2.9": false, "shop-2": false, "": false} {
		if p.here(host) != want {
			t.Errorf("%q is here: %v", host, !want)
		}
	}
}
