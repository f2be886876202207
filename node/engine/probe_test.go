package engine

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"omx/node/engine/library"
	"omx/node/nodetest"
)

func found(t *testing.T) Library {
	t.Helper()
	lib, err := Find(nodetest.EngineDirs(t)...)
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

// The real libraries, in a real process, see at least this CPU.
func TestProbe(t *testing.T) {
	lib := found(t)
	info, err := Probe(t.Context(), os.Args[0], []string{"worker"}, lib)
	if err != nil {
		t.Fatal(err)
	}
	if info.Library != lib || !strings.HasPrefix(info.CPU, "libggml-cpu-") || !strings.Contains(info.System, "CPU") {
		t.Errorf("%+v", info)
	}
	cpus := 0
	for _, d := range info.Devices {
		if d.Total == 0 || d.Free > d.Total || d.Name == "" || d.Description == "" || d.Backend == "" {
			t.Errorf("device %+v", d)
		}
		if d.Kind == "cpu" {
			cpus++
		}
	}
	if cpus != 1 {
		t.Errorf("%d CPUs of %+v", cpus, info.Devices)
	}
}

// A library of another version is refused by its digest, not by a crash.
func TestProbeOtherVersion(t *testing.T) {
	lib := found(t)
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(lib.Dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := Probe(t.Context(), os.Args[0], []string{"worker"}, Library{Dir: copied}); err != nil {
		t.Fatalf("an unchanged copy: %v", err)
	}
	path := copied + "/libggml-base.so"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Probe(t.Context(), os.Args[0], []string{"worker"}, Library{Dir: copied})
	if err == nil || !strings.Contains(err.Error(), "libggml-base.so is not the file") || !strings.Contains(err.Error(), library.ErrMissing.Error()) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
}

// Whatever the libraries do to their process, the answer is one short line.
func TestProbeOfBrokenWorkers(t *testing.T) {
	for how, says := range map[string]string{
		"dies":      "exit status 134): GGML_ASSERT(broken) failed",
		"segfaults": "SIGSEGV",
		"babbles":   "worker protocol violated",
		"lies":      "answered what it was not asked",
	} {
		t.Run(how, func(t *testing.T) {
			_, err := Probe(t.Context(), os.Args[0], []string{"broken", how}, Library{Dir: "/x"})
			if err == nil || !strings.Contains(err.Error(), says) || strings.ContainsAny(err.Error(), "\n") || len(err.Error()) > 300 || strings.Contains(err.Error(), "goroutine") {
				t.Errorf("error %v, want %q", err, says)
			}
		})
	}
	t.Run("hangs", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Probe(ctx, os.Args[0], []string{"broken", "hangs"}, Library{}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
	if _, err := Probe(t.Context(), "/nowhere/omx", nil, Library{}); err == nil {
		t.Error("a program that is not there was started")
	}
}
