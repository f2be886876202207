package blob

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"omx/node/catalog"
)

// nasty is what names and digests are made of by those who want out.
var nasty = []string{
	"..", "../", "..\\", "/", "//", "\\", "\x00", "%2e%2e", "%2f", "%00", ".", "...", ":", "_", "__", "_.", ",", "=", "~", "-", "@", "+", "*", "?", "|", "\"", "<", " ", "\t", "\n",
	"con", "nul", "aux.json", "com1", "LPT1", "$HOME", "`id`", "a", "A", "model", "m-", ".json", ".tmp", "lock", "blobs", "manifests", "victim", "partial/", "sha256-", "sha256:",
	"/etc/passwd", "C:", "\\\\host\\share", "é", "ｅ", "\u202e", "\u2024\u2024/", "\uff0e\uff0e\uff0f", "\xc0\xae", "\xff", "😀", strings.Repeat("a", 64), strings.Repeat("A", 100), strings.Repeat("_", 130), strings.Repeat("../", 40),
	"hf.co/", "0123456789abcdef", strings.Repeat("0f", 32), "d:" + strings.Repeat("x", 20),
}

func nastyName(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(4) {
		b.WriteString(nasty[r.IntN(len(nasty))])
	}
	return b.String()
}

// snapshot is every path in a folder with its content and time, but for one folder.
func snapshot(t *testing.T, root, but string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == but:
			return fs.SkipDir
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		what := fmt.Sprint(st.Mode(), st.ModTime().UnixNano())
		if st.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what += fmt.Sprintf(" %x", sha256.Sum256(b))
		}
		all[path] = what
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Thousands of names and digests that were made to get out of the folder: outside of
// it nothing appears or changes, and what lies outside is never given back.
func TestNastyNames(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "a", "store")
	s := open(t, dir)
	ref := put(t, s, []byte("model"))
	// Files that a name might lead to, each a perfect manifest or blob.
	secret := []byte("secret")
	m := Manifest{Model: model(t, "victim"), Digest: ref.Digest, Bytes: 5, Source: "outside"}
	b, err := writeManifest(&m)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"victim.json", "m-victim.json", "a/victim.json", "a/m-victim.json", "a/store.json", "m-.json"} {
		if err := os.WriteFile(filepath.Join(root, p), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{digestOf(secret).Hex(), "sha256-" + digestOf(secret).Hex(), "a/sha256-" + digestOf(secret).Hex()} {
		if err := os.WriteFile(filepath.Join(root, p), secret, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := snapshot(t, root, dir)
	r := rand.New(rand.NewPCG(1, 2))
	offline := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("offline") })}
	const rounds = 5000
	kept, parsed := 0, map[catalog.ModelID]bool{}
	for range rounds {
		name := nastyName(r)
		if d, err := ParseDigest(name); err == nil {
			if len(d.Hex()) != 64 || s.blob(d) != filepath.Join(dir, blobDir, blobPrefix+d.Hex()) {
				t.Fatalf("%q is a digest: %s", name, d)
			}
			if f, err := s.Open(d); err == nil {
				f.Close()
				t.Fatalf("%q was opened", name)
			}
		} else if !errors.Is(err, ErrBadName) {
			t.Fatal(err)
		}
		if src, err := Find(ctx, offline, name); err == nil {
			t.Fatalf("%q was found: %v", name, src)
		}
		// What the network sends is checked as what people type.
		var text catalog.ModelID
		if b, err := json.Marshal(name); err == nil {
			json.Unmarshal(b, &text)
		}
		id, err := catalog.ParseModelID(name)
		if err != nil {
			if err := s.Set(Manifest{Model: id, Digest: ref.Digest}, true); !errors.Is(err, ErrBadName) {
				t.Fatalf("%q: %v", name, err)
			}
			continue
		}
		if got, err := s.Get(id); err == nil && (got.Model != id || got.Source == "outside") {
			t.Fatalf("%q gives %+v", name, got)
		}
		if err := s.Set(Manifest{Model: id, Digest: ref.Digest}, false); errors.Is(err, ErrBadName) || errors.Is(err, ErrExists) && parsed[id] {
			continue
		} else if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		parsed[id] = true
		kept++
		if got, err := s.Get(id); err != nil || got.Model != id {
			t.Fatalf("%q: %+v, %v", name, got, err)
		}
		if r.IntN(2) == 0 {
			if _, err := s.Remove(id); err != nil {
				t.Fatalf("%q: %v", name, err)
			}
			delete(parsed, id)
			put(t, s, []byte("model"))
		}
	}
	l, err := s.Names()
	if err != nil || len(l.Damaged) > 0 || len(l.Models) != len(parsed) {
		t.Errorf("%d models of %d, damaged %v, %v", len(l.Models), len(parsed), l.Damaged, err)
	}
	for path, what := range snapshot(t, root, dir) {
		if before[path] != what {
			t.Errorf("%s: %s before, %s now", path, before[path], what)
		}
		delete(before, path)
	}
	for path := range before {
		t.Errorf("%s is gone", path)
	}
	if kept < 100 {
		t.Errorf("only %d names were kept: this tests nothing", kept)
	}
	t.Logf("%d names, of which %d could be kept", rounds, kept)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestFileName(t *testing.T) {
	for name, want := range map[string]string{
		"llama3.2:3b":                     "m-llama3.2=3b.json",
		"hf.co/TheBloke/x_Y:Q4_K_M":       "m-hf.co,_the_bloke,x___y=_q4___k___m.json",
		"con":                             "m-con.json",
		strings.Repeat("A", 120):          "m-" + strings.Repeat("_a", 120) + ".json",
		strings.Repeat("A", 125):          "",
		strings.Repeat("a/", 63) + "last": "",
	} {
		id, err := catalog.ParseModelID(name)
		if err != nil {
			if want != "" {
				t.Error(err)
			}
			continue
		}
		got, err := fileName(id)
		if got != want || want == "" && !errors.Is(err, ErrBadName) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
		if back, err := modelOf(got); want != "" && (back != id || err != nil) {
			t.Errorf("%s comes back as %s, %v", name, back, err)
		}
	}
}

func TestParseDigest(t *testing.T) {
	digits := strings.Repeat("0A", 32)
	for s, ok := range map[string]bool{
		digits: true, "sha256:" + digits: true, strings.ToLower(digits): true,
		"": false, "sha256:": false, "sha256-" + digits: false, "SHA256:" + digits: false, digits + "0": false, digits[1:]: false,
		"sha256:sha256:" + digits: false, strings.Repeat("0", 64): false, strings.Repeat("g", 64): false, digits[:62] + "\x00a": false,
	} {
		d, err := ParseDigest(s)
		if (err == nil) != ok || err != nil && (!errors.Is(err, ErrBadName) || !d.IsZero()) || ok && d.String() != "sha256:"+strings.ToLower(digits) {
			t.Errorf("%q: %v, %v", s, d, err)
		}
	}
}

func TestHubNames(t *testing.T) {
	for name, want := range map[string]string{
		"hf.co/o/r": "o/r ", "huggingface.co/o/r.x:Q8_0": "o/r.x Q8_0", "hf.co/o/r:dir/f.gguf": "o/r dir/f.gguf",
		"hf.co/o": "", "hf.co/o/r/s": "", "hf.co//r": "", "hf.co/o/r:": "", "hf.co/o/..": "", "hf.co/../r": "", "hf.co/o/r:../f.gguf": "", "hf.co/o/r:a//b": "",
		"hf.co/o/r?x": "", "hf.co/o/r#x": "", "hf.co/o/r:a%2e": "", "evil.co/o/r": "", "hf.co.evil/o/r": "", "llama3": "", "hf.co/o/r:q\x00": "", "hf.co/" + strings.Repeat("a", 200) + "/r": "",
	} {
		repo, tag, err := parseHub(name)
		if got := repo + " " + tag; err == nil && got != want || err != nil && (want != "" || !errors.Is(err, ErrBadName)) || IsHub(name) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", name, got, err, want)
		}
	}
	if _, err := Find(context.Background(), nil, "ftp://host/x"); !errors.Is(err, ErrBadName) {
		t.Error(err)
	}
}
