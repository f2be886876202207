package mesh

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestKeyIsMadeOnceAndKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new folder", "identity.key")
	first, err := LoadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", st.Mode(), err)
	}
	again, err := LoadKey(path)
	if err != nil || !again.Equal(first) {
		t.Fatalf("the key changed: %v", err)
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".key-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	id, err := Identity(path)
	if err != nil || id != idOf(t, first) {
		t.Errorf("identity %v, %v", id, err)
	}
}

func TestKeyOfSimultaneousStarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity.key")
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			id, err := Identity(path)
			if err != nil {
				t.Error(err)
			}
			ids[i] = id.String()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("different identities: %v", ids)
		}
	}
}

func TestKeyFileRefused(t *testing.T) {
	good := filepath.Join(t.TempDir(), "good")
	if _, err := LoadKey(good); err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		body []byte
		mode os.FileMode
		want string
	}{
		{"readable by others", pem, 0o644, "chmod 600"},
		{"empty", nil, 0o600, "not a PEM private key"},
		{"cut short", pem[:len(pem)/2], 0o600, "not a PEM private key"},
		{"damaged", []byte(strings.Replace(string(pem), "MC4CAQ", "MC4CAA", 1)[:60] + "\n-----END PRIVATE KEY-----\n"), 0o600, "restore it"},
		{"too large", make([]byte, maxKeyFile+1), 0o600, "too large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(path, c.body, c.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			if _, err := LoadKey(path); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if b, _ := os.ReadFile(path); string(b) != string(c.body) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestReadKeyMakesNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity.key")
	if _, err := ReadKey(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no key: %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key was made: %v", err)
	}
	made, err := LoadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if key, err := ReadKey(path); err != nil || !key.Equal(made) {
		t.Errorf("another key: %v", err)
	}
}
