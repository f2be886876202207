package engine

import (
	"context"
	"io"

	"omx/node/engine/demo"
	"omx/node/engine/gguf"
	"omx/node/engine/library"
	"omx/node/engine/worker"
)

// Library is a checked folder of engine libraries.
type Library = library.Library

// Install puts the engine libraries of this platform below dir; see package
// library.
func Install(ctx context.Context, dir string, progress io.Writer) error {
	return library.Install(ctx, dir, progress)
}

// Find returns the engine libraries in the first of dirs that has them. The
// message of an error ends with the command that installs them.
func Find(dirs ...string) (Library, error) { return library.Find(dirs...) }

// DemoID names the demonstration model.
const DemoID = demo.ID

// DemoModel writes the demonstration model to dir, if it is not there, and
// returns its path.
func DemoModel(dir string) (string, error) { return demo.Write(dir) }

// ErrNotModel says that a file is not a usable model.
var ErrNotModel = gguf.ErrNotModel

// CheckGGUF reads the header of a model file. An error is one line.
func CheckGGUF(path string) (gguf.Header, error) { return gguf.Check(path) }

// RunWorker is a worker's whole life; "omx worker" calls it and ends with the
// status it returns.
func RunWorker(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) int {
	return worker.Run(ctx, stdin, stdout, stderr)
}
