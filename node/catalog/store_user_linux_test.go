package catalog

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

func TestStoreUser(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "catalog")
	if pid := StoreUser(dir); pid != 0 {
		t.Errorf("process %d has a store that is not there", pid)
	}
	s, err := OpenStore(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if pid := StoreUser(dir); pid != os.Getpid() {
		t.Errorf("process %d has the store, want this one, %d", pid, os.Getpid())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// What a node that was killed leaves behind.
	if err := os.WriteFile(filepath.Join(dir, lockFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if pid := StoreUser(dir); pid != 0 {
		t.Errorf("process %d has a store that nobody has open", pid)
	}
}
