package engine

import (
	"context"
	"io"
	"os"

	"omx/node/engine/demo"
	"omx/node/engine/gguf"
	"omx/node/engine/library"
	"omx/node/engine/worker"
)

// Library is a checked folder of engine libraries.
type Library = library.Library

// Offer is a backend that can be installed on this platform.
type Offer = library.Offer

// InstallOptions say where from and where to.
type InstallOptions = library.Options

// Install puts the engine libraries of this platform into a folder; see package
// library.
func Install(ctx context.Context, o InstallOptions, progress io.Writer) error {
	return library.Install(ctx, o, progress)
}

// Find returns the engine libraries in the first of dirs that has some, the
// preferred backend first. The message of an error ends with the command that
// installs them.
func Find(dirs ...string) (Library, error) { return library.Find(dirs...) }

// Offers lists the backends for this platform and where in dirs they are.
func Offers(dirs ...string) ([]Offer, error) { return library.Offers(dirs...) }

// OnlyBackend narrows dirs to the libraries of one backend.
func OnlyBackend(backend string, dirs ...string) ([]string, error) {
	return library.Only(backend, dirs...)
}

// ErrChanged says that there are engine libraries, but not those that were verified.
var ErrChanged = library.ErrChanged

// Suited is the backend that suits a machine, and why.
type Suited = library.Suited

// Suits says which backend suits the machine whose files are below root; see package
// library.
func Suits(root string) (Suited, error) { return library.Suits(root) }

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
func RunWorker(ctx context.Context, stdin *os.File, stdout, stderr io.Writer) int {
	return worker.Run(ctx, stdin, stdout, stderr)
}
