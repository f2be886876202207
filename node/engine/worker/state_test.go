package worker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"omx/node/engine/frame"
)

func TestLoopSavesAndRestores(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("a long beginning ", 10)
	r := newRig(t, 3, 400)
	r.submit(1, long+"=one=", frame.Job{Scope: 7})
	r.finish()
	r.submit(2, strings.ToUpper(long)+"=two=", frame.Job{Scope: 8})
	r.finish()
	r.submit(3, "short=x=", frame.Job{Scope: 9})
	r.finish()
	r.do(command{request: 4, save: &frame.State{Dir: dir, Most: 1 << 20}})
	r.do(command{request: 5, save: &frame.State{Dir: t.TempDir(), Most: 10}}) // no room
	r.do(command{request: 6, save: &frame.State{Dir: filepath.Join(dir, "nowhere"), Most: 1 << 20}})
	_, results := r.finish()
	if results[4].Code != frame.OK || results[4].Cached < 2*len(long) || results[5].Cached != 0 || results[6].Code != frame.Cannot {
		t.Errorf("%+v", results)
	}
	// What is not a slot's is passed over, what cannot be read too.
	for _, name := range []string{"9-1.state", "x", "2-5.state"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := newRig(t, 3, 400)
	again.restore(dir)
	if names, _ := os.ReadDir(filepath.Dir(dir)); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
	again.submit(1, long+"=three=", frame.Job{Scope: 7})
	again.submit(2, long+"=four=", frame.Job{Scope: 8})
	texts, results := again.finish()
	if texts[1] != "three" || texts[2] != "four" || results[1].Cached < len(long) || results[2].Cached != 0 {
		t.Errorf("%v, %+v", texts, results)
	}
	again.restore(dir) // is not there
}
