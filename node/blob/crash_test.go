package blob

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"omx/node/catalog"
)

// childEnv makes the test binary a process that works on a store: the operation,
// the step at which it kills itself (0: never), the folder, and an URL.
const childEnv = "OMX_TEST_BLOB_CHILD"

var (
	oldBytes = noise(1, 200_000)
	newBytes = noise(2, 300_000)
	oldModel = must(catalog.ParseModelID("old"))
	newModel = must(catalog.ParseModelID("new"))
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// operations are what is cut off at each step. Each begins with oldModel stored, and
// may be done again after a crash.
var operations = map[string]func(s *Store, dir, url string) error{
	"put": func(s *Store, _, _ string) error {
		ref, err := s.Put(ctx, bytes.NewReader(newBytes), digestOf(newBytes), 0, nil)
		return errors.Join(err, s.Set(Manifest{Model: newModel, Digest: ref.Digest}, true))
	},
	"replace": func(s *Store, _, _ string) error {
		ref, err := s.Put(ctx, bytes.NewReader(newBytes), Digest{}, 0, nil)
		return errors.Join(err, s.Set(Manifest{Model: oldModel, Digest: ref.Digest}, true))
	},
	"import": func(s *Store, dir, _ string) error {
		ref, err := s.Import(ctx, filepath.Join(dir, "file"), false, nil)
		return errors.Join(err, s.Set(Manifest{Model: newModel, Digest: ref.Digest}, true))
	},
	"link": func(s *Store, dir, _ string) error {
		ref, err := s.Import(ctx, filepath.Join(dir, "file"), true, nil)
		return errors.Join(err, s.Set(Manifest{Model: newModel, Digest: ref.Digest}, true))
	},
	"pull": func(s *Store, _, url string) error {
		s.every = 100_000
		ref, err := s.Pull(ctx, Source{URL: url}, PullOptions{})
		if err != nil {
			return err
		}
		return s.Set(Manifest{Model: newModel, Digest: ref.Digest}, true)
	},
	"copy": func(s *Store, _, _ string) error { return s.Copy(oldModel, newModel, true) },
	"remove": func(s *Store, _, _ string) error {
		_, err := s.Remove(oldModel)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		return err
	},
}

// child runs an operation and ends the process.
func child() {
	words := strings.Split(os.Getenv(childEnv), "|")
	op, dir, url := words[0], words[2], words[3]
	at := must(strconv.Atoi(words[1]))
	s := must(Open(filepath.Join(dir, "store")))
	if op == "stress" {
		if err := stress(s, uint64(at), 40); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	n := 0
	s.step = func(name string) {
		if n++; n == at {
			fmt.Print(name)
			must(os.FindProcess(os.Getpid())).Kill()
			select {}
		}
	}
	if err := operations[op](s, dir, url); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

func startChild(op string, at int, dir, url string) (out string, killed bool, err error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%d|%s|%s", childEnv, op, at, dir, url))
	b, err := cmd.CombinedOutput()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		if st, ok := e.Sys().(syscall.WaitStatus); ok && st.Signal() == syscall.SIGKILL {
			return string(b), true, nil
		}
	}
	return string(b), false, err
}

// A process that is killed before any of its changes on disk leaves a sound store,
// in which what was there is still there, and in which the same can be done again.
func TestKilledAtEachStep(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(newBytes))
	}))
	t.Cleanup(srv.Close)
	for op := range operations {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			var steps []string
			for at := 1; ; at++ {
				dir := t.TempDir()
				s := open(t, filepath.Join(dir, "store"))
				ref := put(t, s, oldBytes)
				err := errors.Join(s.Set(Manifest{Model: oldModel, Digest: ref.Digest}, false),
					os.WriteFile(filepath.Join(dir, "file"), newBytes, 0o600))
				if err != nil {
					t.Fatal(err)
				}
				step, killed, err := startChild(op, at, dir, srv.URL)
				if err != nil {
					t.Fatalf("step %d: %v: %s", at, err, step)
				}
				if !killed {
					break
				}
				steps = append(steps, step)
				s = open(t, s.dir)
				sound(t, s)
				for _, name := range partials(t, s) {
					if !strings.HasPrefix(name, pullPrefix) {
						t.Errorf("killed before %q: %s is left", step, name)
					}
				}
				if m, err := s.Get(oldModel); op != "remove" && (err != nil || m.Digest != digestOf(oldBytes) && op != "replace") {
					t.Errorf("killed before %q: %v, %v", step, m, err)
				}
				if err := operations[op](s, dir, srv.URL); err != nil {
					t.Fatalf("killed before %q, and again: %v", step, err)
				}
				models, _ := sound(t, s)
				want, fewer := map[string]int{"remove": 0, "replace": 1}[op]
				if !fewer {
					want = 2
				}
				if models != want {
					t.Errorf("killed before %q: %d models", step, models)
				}
				if len(partials(t, s)) != 0 {
					t.Errorf("killed before %q: %v is left", step, partials(t, s))
				}
				// What the crash has left without a name goes in time.
				entries, _ := os.ReadDir(filepath.Join(s.dir, blobDir))
				for _, e := range entries {
					d, _ := digestIn(e.Name(), blobPrefix)
					backdate(t, time.Hour, s.blob(d), s.mark(d))
				}
				if _, err := s.GC(0); err != nil {
					t.Error(err)
				}
				l, err := s.Names()
				used := map[Digest]bool{}
				for _, m := range l.Models {
					used[m.Digest] = true
				}
				if _, blobs := sound(t, s); err != nil || blobs != len(used) {
					t.Errorf("killed before %q: %d blobs for %d digests, %v", step, blobs, len(used), err)
				}
			}
			if len(steps) < 3 {
				t.Errorf("only %d steps: %q", len(steps), steps)
			}
			t.Logf("killed before each of %d steps: %s", len(steps), strings.Join(steps, ", "))
		})
	}
}

// stress does anything in any order. What it is told must be so.
func stress(s *Store, seed uint64, rounds int) error {
	r := rand.New(rand.NewPCG(seed, 1))
	for range rounds {
		b := noise(uint64(r.IntN(8)), 10_000)
		from, to := must(catalog.ParseModelID(fmt.Sprint("m", r.IntN(6)))), must(catalog.ParseModelID(fmt.Sprint("m", r.IntN(6))))
		switch r.IntN(6) {
		case 0, 1, 2:
			ref, err := s.Put(ctx, bytes.NewReader(b), digestOf(b), 0, nil)
			if err != nil {
				return err
			}
			// Another may have named and removed the same blob in between.
			if err := s.Set(Manifest{Model: to, Digest: ref.Digest}, true); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		case 3:
			if err := s.Copy(from, to, true); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		case 4:
			if _, err := s.Remove(from); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		case 5:
			if _, err := s.GC(0); err != nil {
				return err
			}
		}
		l, err := s.Names()
		if err != nil || len(l.Damaged) > 0 {
			return fmt.Errorf("%v, damaged: %v", err, l.Damaged)
		}
	}
	return nil
}

// Three processes and four goroutines on one folder.
func TestTogether(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "store"))
	var wg sync.WaitGroup
	for n := range 7 {
		wg.Go(func() {
			if n < 3 {
				if out, _, err := startChild("stress", n, dir, ""); err != nil {
					t.Errorf("process: %v: %s", err, out)
				}
			} else if err := stress(s, uint64(n), 40); err != nil {
				t.Errorf("goroutine: %v", err)
			}
		})
	}
	wg.Wait()
	sound(t, s)
	if left := partials(t, s); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}
