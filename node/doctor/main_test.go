package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"omx/node"
	"omx/node/engine"
)

// The test program is its own worker, as omx is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		os.Exit(engine.RunWorker(context.Background(), os.Stdin, os.Stdout, os.Stderr))
	}
	// buntdb's clean-up goroutine sees the end of its store within a second.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/tidwall/buntdb.(*DB).backgroundManager"))
}

// nobody is an address where nobody listens.
const nobody = "http://127.0.0.1:1"

// engineDirs are the places of the engine libraries that make engine has installed.
func engineDirs(t testing.TB) []string {
	t.Helper()
	dirs := []string{os.Getenv("OMX_ENGINE_DIR"), "../../.cache/engine"}
	if _, err := engine.Find(dirs...); err != nil {
		t.Fatalf("%v (for the tests: make engine)", err)
	}
	return dirs
}

// at is a configuration for a data folder without a node.
func at(data string) Config {
	return Config{Data: data, API: nobody, Mesh: "/ip4/127.0.0.1/udp/0/quic-v1", Version: "test"}
}

// patientOf is what the checks look at.
func patientOf(t testing.TB, cfg Config) *patient {
	t.Helper()
	if err := cfg.setDefaults(); err != nil {
		t.Fatal(err)
	}
	return examine(t.Context(), cfg)
}

// expect compares findings with what they should be: "mark: a part of the text >> a
// part of the command", a line each.
func expect(t *testing.T, got []Finding, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d findings, want %d: %+v", len(got), len(want), got)
		return
	}
	for i, f := range got {
		mark, rest, _ := strings.Cut(want[i], ": ")
		text, next, _ := strings.Cut(rest, " >> ")
		if string(f.Mark) != mark || !strings.Contains(f.Text, text) || !strings.Contains(f.Next, next) || (f.Next == "") != (f.Mark == OK) {
			t.Errorf("%s: %s\n  %s\nwant %s", f.Mark, f.Text, f.Next, want[i])
		}
	}
}

// everything is all that a folder holds, with modes and times; but for the folder's
// own time, which trying to write changes.
func everything(t testing.TB, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		st, serr := os.Lstat(path)
		if err = errors.Join(err, serr); err == nil {
			text := fmt.Sprint(path, st.Mode(), st.Size())
			if path != dir {
				text += st.ModTime().String()
			}
			list = append(list, text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// started is a node that runs until the test ends.
func started(t testing.TB, cfg node.Config) *node.Node {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	cfg.Name, cfg.Version = "here", "test"
	n, err := node.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

func write(t testing.TB, path, text string, mode fs.FileMode) {
	t.Helper()
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode))
	if err != nil {
		t.Fatal(err)
	}
}
