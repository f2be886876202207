package policy

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a state file says is never trusted further than its digests: whatever is
// in it can be written again and read back the same, and leads nowhere else.
func FuzzState(f *testing.F) {
	f.Add(`{"kinds":{"route":{"active":{"name":"a","digest":"00"},"out":"00"}}}`)
	f.Add(`{"kinds":{"route":null,"admit":{"shadow":{"digest":"../../x"}},"other":{}}}`)
	f.Add(`{}`)
	f.Add(`[`)
	f.Fuzz(func(t *testing.T, body string) {
		dir := t.TempDir()
		b := fmt.Sprintf("%08x\n%s", crc32.Checksum([]byte(body), castagnoli), body)
		if err := os.WriteFile(filepath.Join(dir, stateFile), []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := readState(dir)
		if s == nil || s.Kinds == nil {
			t.Fatal("there is no state")
		}
		if err != nil {
			return
		}
		for _, k := range s.Kinds {
			for _, p := range []*kept{k.Active, k.Last, k.Shadow} {
				if p == nil {
					continue
				}
				if m, err := p.module(dir); err == nil {
					t.Errorf("found module %q in an empty folder", m.Name)
				}
			}
		}
		if err := s.write(dir); err != nil {
			t.Fatal(err)
		}
		again, err := readState(dir)
		if err != nil || len(again.Kinds) != len(s.Kinds) {
			t.Errorf("reads back as %+v, %v", again, err)
		}
	})
}

// A turned bit or a cut anywhere in the file is noticed.
func TestDamagedState(t *testing.T) {
	dir := t.TempDir()
	s, err := readState(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.Kinds["route"] = &kindState{Generation: 3, Out: "x", Active: &kept{Name: "n", Digest: strings.Repeat("0", 64)}}
	if err := s.write(dir); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, stateFile)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	refused := func(b []byte, what string) {
		t.Helper()
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := readState(dir); err == nil || len(s.Kinds) != 0 {
			t.Errorf("%s: %+v, %v", what, s, err)
		}
	}
	for n := range whole {
		refused(whole[:n], fmt.Sprintf("cut to %d bytes", n))
		bad := []byte(string(whole))
		bad[n] ^= 1
		refused(bad, fmt.Sprintf("byte %d turned", n))
	}
}

func FuzzFind(f *testing.F) {
	zeros := strings.Repeat("0", 64)
	for _, ref := range []string{"nearest", "builtin:random", "sha256:" + zeros, "a@sha256:" + zeros, "sha256:../x", "@sha256:", "", "\x00", "."} {
		f.Add(ref)
	}
	dir := f.TempDir()
	f.Chdir(dir)
	f.Fuzz(func(t *testing.T, ref string) {
		if strings.ContainsAny(ref, "/") {
			return // other folders are not ours to read
		}
		list, err := Find(ref, dir)
		if (err == nil) != (len(list) > 0) {
			t.Errorf("%d modules, %v", len(list), err)
		}
		for _, m := range list {
			if !m.builtin {
				t.Errorf("found %q in an empty folder", m.Name)
			}
		}
		if err != nil && errors.Unwrap(err) == nil && strings.Contains(err.Error(), "\n") && !strings.Contains(ref, "\n") {
			t.Errorf("the message is no one line: %v", err)
		}
	})
}

// A state that cannot be written leaves the modules that the one on disk names.
func TestStateComesBeforeTrim(t *testing.T) {
	dir := t.TempDir()
	m := &Manager{cfg: Config{Dir: dir}, state: &state{Kinds: map[string]*kindState{}}}
	for i := range maxKept + 5 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%064x.wasm", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, stateFile), 0o700); err != nil { // no file can take its place
		t.Fatal(err)
	}
	count := func() int {
		files, _ := filepath.Glob(filepath.Join(dir, "*.wasm"))
		return len(files)
	}
	if err := m.save(); err == nil || count() != maxKept+5 {
		t.Errorf("%d modules are left, %v", count(), err)
	}
	if err := os.Remove(filepath.Join(dir, stateFile)); err != nil {
		t.Fatal(err)
	}
	if err := m.save(); err != nil || count() != maxKept {
		t.Errorf("%d modules are left, %v", count(), err)
	}
}
