package blob

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestGC(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	named, put1, asked, old := put(t, s, noise(1, 10)), put(t, s, noise(2, 20)), put(t, s, noise(3, 30)), put(t, s, noise(4, 40))
	if err := s.Set(Manifest{Model: model(t, "m"), Digest: named.Digest}, false); err != nil {
		t.Fatal(err)
	}
	for _, r := range []Ref{named, asked, old} {
		backdate(t, time.Hour, s.blob(r.Digest), s.mark(r.Digest))
	}
	if has, err := s.Has(asked.Digest); !has || err != nil {
		t.Fatal(has, err)
	}
	foreign := filepath.Join(dir, blobDir, "notes.txt")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	backdate(t, time.Hour, foreign)
	// An upload that lives, in another process as far as locks can tell, and one that died.
	live, err := open(t, dir).temp()
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	dead := s.path(partialDir, tempPrefix+"DEAD")
	pull := s.path(partialDir, pullPrefix+"abc")
	stale := s.path(partialDir, pullPrefix+"def")
	for _, p := range []string{dead, pull, stale, stale + stateSuffix} {
		if err := os.WriteFile(p, make([]byte, 5), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	backdate(t, 2*partialAge, stale, stale+stateSuffix, live.Name())
	if w, err := s.GC(2 * time.Hour); err != nil || w.Blobs != 0 || w.Partials != 2 || w.Bytes != 10 {
		t.Errorf("%+v, %v", w, err)
	}
	if w, err := s.GC(0); err != nil || w != (Swept{Blobs: 1, Bytes: 40}) {
		t.Errorf("%+v, %v", w, err)
	}
	for d, want := range map[Digest]bool{named.Digest: true, put1.Digest: true, asked.Digest: true, old.Digest: false} {
		if _, err := s.stat(d); (err == nil) != want {
			t.Errorf("%s: %v", d, err)
		}
	}
	for p, want := range map[string]bool{live.Name(): true, pull: true, stale: false, dead: false, foreign: true} {
		if _, err := os.Stat(p); (err == nil) != want {
			t.Errorf("%s: %v", p, err)
		}
	}
	// Removing the last name frees at once, but not what someone is about to name.
	os.Remove(foreign)
	if freed, err := s.Remove(model(t, "m")); err != nil || freed != 10 {
		t.Error(freed, err)
	}
	if err := s.Set(Manifest{Model: model(t, "n"), Digest: asked.Digest}, false); err != nil {
		t.Fatal(err)
	}
	if has, err := s.Has(asked.Digest); !has || err != nil {
		t.Fatal(has, err)
	}
	if freed, err := s.Remove(model(t, "n")); err != nil || freed != 0 {
		t.Error(freed, err)
	}
	sound(t, s)
}

// Adapters stay as long as a name needs them.
func TestAdaptersAreKept(t *testing.T) {
	s := open(t, t.TempDir())
	file, adapter, other := put(t, s, noise(1, 99)).Digest, put(t, s, noise(2, 99)).Digest, put(t, s, noise(3, 99)).Digest
	if err := s.Set(Manifest{Model: model(t, "m"), Digest: file, Adapters: []Digest{adapter}}, false); err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]Digest{{digestOf(nil)}, {{}}, make([]Digest, MaxAdapters+1)} {
		if err := s.Set(Manifest{Model: model(t, "m"), Digest: file, Adapters: bad}, true); err == nil {
			t.Errorf("adapters %v were taken", bad)
		}
	}
	backdate(t, 2*MinAge, s.mark(adapter), s.mark(other), s.blob(adapter), s.blob(other))
	if w, err := s.GC(MinAge); err != nil || w.Blobs != 1 {
		t.Errorf("swept %+v, %v", w, err)
	}
	if has, err := s.Has(adapter); !has || err != nil {
		t.Error("the adapter went", err)
	}
	if l, err := s.Names(); err != nil || len(l.Models) != 1 || len(l.Models[0].Adapters) != 1 {
		t.Errorf("%+v, %v", l, err)
	}
}
