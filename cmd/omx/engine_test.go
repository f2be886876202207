package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"omx/node/nodetest"
)

// What people read fits a terminal of 80 columns, but for the names of folders.
func TestEngineOutputIsNarrow(t *testing.T) {
	t.Setenv(asOmx, "1") // info starts this program as its worker
	dir := nodetest.EngineDirs(t)[0]
	for _, args := range [][]string{
		{"engine", "info", "--dir", dir}, {"engine", "list", "--dir", dir},
		{"engine", "--help"}, {"engine", "install", "--help"}, {"engine", "info", "--help"}, {"engine", "list", "--help"},
	} {
		code, out, errs := omx(t, args...)
		if code != 0 {
			t.Fatalf("omx %v = %d: %s", args, code, errs)
		}
		for line := range strings.Lines(out + errs) {
			if len(line) > 81 && !strings.Contains(line, dir) {
				t.Errorf("omx %v: %q", args, line)
			}
		}
	}
}

func TestEngineDirs(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_STATE_HOME", "")
	data := filepath.Join(home, ".local/state/omx/engine")
	for _, tt := range []struct{ asked, want []string }{
		{nil, []string{data, "/usr/lib/omx"}},
		{[]string{"/a", "/b"}, []string{"/a", "/b"}},
	} {
		if got, err := engineDirs(tt.asked, ""); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("engineDirs(%q) = %q, %v; want %q", tt.asked, got, err, tt.want)
		}
	}
	got, err := engineDirs(nil, "cpu")
	if err != nil || len(got) != 2 || filepath.Dir(got[0]) != data || filepath.Dir(got[1]) != "/usr/lib/omx" {
		t.Errorf("for one backend: %q, %v", got, err)
	}
	if _, err := engineDirs(nil, "metal"); err == nil {
		t.Error("a backend that is not there was taken")
	}
}

func TestWrap(t *testing.T) {
	text := "one two three " + strings.Repeat("x", 12) + " four"
	if got, want := wrap(text, 9), "one two\nthree\nxxxxxxxxxxxx\nfour"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
