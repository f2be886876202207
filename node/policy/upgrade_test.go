package policy_test

import (
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"omx/policies/abi"
)

// A built-in policy is chosen by name, so a later version's takes its place; one
// that was pinned stays as it is, and so does any other module.
func TestUpgrade(t *testing.T) {
	dir, pinned := t.TempDir(), fmt.Sprintf("nearest@sha256:%x", sha256.Sum256(code(t, "nearest")))
	r := newRig(t, dir, nil)
	r.start(t, "")
	for _, ref := range []string{pinned, "random"} {
		if err := r.Activate(t.Context(), abi.Route, r.find(t, ref)); err != nil {
			t.Fatal(err)
		}
	}
	// What an earlier version has left: other bytes under the same names.
	old := code(t, "least-loaded")
	digest := fmt.Sprintf("%x", sha256.Sum256(old))
	write(t, filepath.Join(dir, digest+".wasm"), old, 0)
	file := filepath.Join(dir, "state.json")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(b), "\n")
	for _, name := range []string{"random", "nearest"} {
		body = strings.Replace(body, fmt.Sprintf("\"%x\"", sha256.Sum256(code(t, name))), `"`+digest+`"`, 1)
	}
	if strings.Count(body, digest) != 2 {
		t.Fatalf("the state is other than thought: %s", body)
	}
	sum := crc32.Checksum([]byte(body), crc32.MakeTable(crc32.Castagnoli))
	if err := os.WriteFile(file, fmt.Appendf(nil, "%08x\n%s", sum, body), 0o600); err != nil {
		t.Fatal(err)
	}
	r = newRig(t, dir, nil)
	r.start(t, "")
	st := r.decider.Active(abi.Route)
	if st.Active.Name != "random" || st.Active.Digest != sha256.Sum256(code(t, "random")) {
		t.Errorf("%s decides, %x", st.Active.Name, st.Active.Digest)
	}
	if st.LastGood == nil || st.LastGood.Name != pinned || st.LastGood.Digest != sha256.Sum256(old) {
		t.Errorf("another policy than the pinned one is kept to go back to")
	}
}
