package blob

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"omx/node/catalog"
)

// Nothing panics; what is read is a valid manifest of its file, and is read again as
// it was once it is written again.
func FuzzManifest(f *testing.F) {
	m := Manifest{Model: model(f, "a/b:C_d"), Digest: digestOf(nil), Bytes: 5, Source: "x", Added: time.Unix(1_700_000_000, 5), Params: json.RawMessage(`{"a":[1,"<"]}`)}
	b, err := writeManifest(&m)
	if err != nil {
		f.Fatal(err)
	}
	file, _ := fileName(m.Model)
	f.Add(file, b, false)
	f.Add(file, b[:len(b)/2], false)
	for _, body := range []string{`{"model":"m","digest":"` + digestOf(nil).String() + `","bytes":1,"added":"2024-01-01T00:00:00+23:59","params":{ "x" : 1 }}`, `null`, `{"model":"m","params":null}`} {
		f.Add("m-m.json", []byte(body), true)
	}
	f.Fuzz(func(t *testing.T, file string, b []byte, body bool) {
		if body { // with a checksum that is right, or the fuzzer sees little
			if !json.Valid(b) {
				return
			}
			var err error
			if b, err = seal(json.RawMessage(b)); err != nil {
				return
			}
		}
		m, err := parseManifest(file, b)
		if err != nil {
			return
		}
		if err := m.Validate(); err != nil {
			t.Fatal(err)
		}
		if name, err := fileName(m.Model); err != nil || name != file {
			t.Fatalf("%q is the manifest of %q: %v", file, m.Model, err)
		}
		again, err := writeManifest(&m)
		if err != nil {
			if y := m.Added.UTC().Year(); y < 1 || y > 9999 {
				return // a time zone's width from the edge
			}
			t.Fatal(err)
		}
		n, err := parseManifest(file, again)
		if err != nil || n.Model != m.Model || n.Digest != m.Digest || n.Bytes != m.Bytes || n.Source != m.Source || !n.Added.Equal(m.Added) {
			t.Fatalf("%+v was written, %+v read: %v", m, n, err)
		}
		if twice, err := writeManifest(&n); err != nil || !bytes.Equal(twice, again) {
			t.Fatalf("%s, then %s: %v", again, twice, err)
		}
	})
}

// A name that is taken stays within one path element, and comes back as it was.
func FuzzNames(f *testing.F) {
	for _, s := range nasty {
		f.Add(s)
	}
	f.Add("m-hf.co,_the_bloke,x___y=_q4.json")
	f.Add("hf.co/o/r:Q4_K_M")
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseDigest(s); err == nil {
			if again, err := ParseDigest(d.String()); err != nil || again != d || !strings.EqualFold(d.Hex(), strings.TrimPrefix(s, digestPrefix)) {
				t.Fatalf("%q: %s, %v", s, d, err)
			}
		}
		if id, err := catalog.ParseModelID(s); err == nil {
			if file, err := fileName(id); err == nil {
				if back, err := modelOf(file); err != nil || back != id {
					t.Fatalf("%q comes back as %q: %v", s, back, err)
				}
				if file != filepath.Base(file) || !filepath.IsLocal(file) || file != strings.ToLower(file) || len(file) > maxFileName || strings.ContainsAny(file, "\\:\x00 ") {
					t.Fatalf("%q has the file %q", s, file)
				}
			}
		}
		if id, err := modelOf(s); err == nil {
			if file, err := fileName(id); err == nil && file != s {
				t.Fatalf("%q and %q are both %q", s, file, id)
			}
		}
		if repo, tag, err := parseHub(s); err == nil {
			if strings.Count(repo, "/") != 1 || !filepath.IsLocal(repo) || tag != "" && !filepath.IsLocal(tag) || strings.ContainsAny(repo+tag, "?#% ") {
				t.Fatalf("%q: %q, %q", s, repo, tag)
			}
		}
		if start, total, ok := contentRange(s); ok && (start < 0 || start >= total) {
			t.Fatalf("%q: %d of %d", s, start, total)
		}
	})
}

// Whatever a hub answers, a file of it is one GGUF file, and its address is below the
// repository's.
func FuzzTree(f *testing.F) {
	f.Add([]byte(`[{"type":"file","path":"a/m-Q4_K_M.gguf","size":5,"lfs":{"oid":"`+digestOf(nil).Hex()+`","size":7}},{"type":"directory","path":"x.gguf"}]`), "")
	f.Add([]byte(`[{"type":"file","path":".gguf"},{"type":"file","path":"../../x.GGUF"}]`), "q8_0")
	f.Fuzz(func(t *testing.T, b []byte, tag string) {
		files, err := parseTree(b)
		if err != nil {
			return
		}
		got, err := pick(files, tag)
		if err == nil && (!strings.HasSuffix(strings.ToLower(got.Path), ggufSuffix) || !fs.ValidPath(got.Path) || strings.ContainsAny(escapePath(got.Path), "?# \n\x00")) {
			t.Fatalf("%q", got.Path)
		}
	})
}

// A state that was read is the one that was written.
func FuzzSealed(f *testing.F) {
	b, err := seal(&state{URL: "x", ETag: `"<1>"`, Total: 5, Have: 3})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var st, again state
		if unseal(b, &st) != nil {
			return
		}
		c, err := seal(&st)
		if err != nil {
			t.Fatal(err)
		}
		if err := unseal(c, &again); err != nil || again != st {
			t.Fatalf("%+v, then %+v: %v", st, again, err)
		}
	})
}
