package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"omx/node"
	"omx/node/mesh"
)

func TestIdentity(t *testing.T) {
	data := t.TempDir()
	path := filepath.Join(data, node.KeyFile)
	look := func() []Finding { return identity(t.Context(), patientOf(t, at(data))) }
	expect(t, look(), "ok: none yet")
	id, err := mesh.Identity(path)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, look(), "ok: …"+id.String()[len(id.String())-8:]+", mode 0600")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	expect(t, look(), "problem: mode 0644: others can read the key >> chmod 600 "+path)
	write(t, path, "rubbish", 0o600)
	expect(t, look(), "problem: not a PEM private key >> mv "+path+" ")
	expect(t, identity(t.Context(), patientOf(t, at(filepath.Join(data, "none"))))) // said of the folder already
	if os.Geteuid() != 0 {
		return
	}
	if err := errors.Join(os.Remove(path), os.Chown(data, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	if _, err := mesh.Identity(path); err != nil { // as root, in a folder that is not root's
		t.Fatal(err)
	}
	expect(t, look(), "advice: belong to another user >> chown -R ")
}
