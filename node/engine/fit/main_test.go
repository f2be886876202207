package fit

import (
	"context"
	"os"
	"testing"

	"go.uber.org/goleak"

	"omx/node/engine/library"
	"omx/node/engine/worker"
	"omx/node/nodetest"
)

// The test program is its own worker, and one that tells llama.cpp's own figures:
// both end with their process, since llama.cpp stays in it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "worker":
			dropPages(os.NewFile(3, "orders"), os.NewFile(4, "done"))
			os.Exit(worker.Run(context.Background(), os.Stdin, os.Stdout, os.Stderr))
		case "sizes":
			os.Exit(tellSizes(os.Args[2:]))
		}
	}
	goleak.VerifyTestMain(m)
}

func libraryDir(t testing.TB) string {
	t.Helper()
	lib, err := library.Find(nodetest.EngineDirs(t)...)
	if err != nil {
		t.Fatal(err)
	}
	return lib.Dir
}
