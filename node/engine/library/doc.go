// Package library installs and finds the engine libraries: llama.cpp as built
// for each platform and kind of GPU by the npm packages @node-llama-cpp/…
//
// The binding passes structures by value, so libraries of another version could
// load and then corrupt memory. This package therefore accepts exactly one
// version: every file has its SHA-256 pinned here, is compared with it before it
// is published, wherever it came from, and the published folder is checked again
// before each use.
//
// It does not load the libraries; package worker does. Imported by engine and
// worker.
//
// # Changing the version
//
// pin.sh VERSION rewrites pins: for each package its length, the digest that npm
// checks, and the digest of each library in it. Then set Version and Release and
// run the tests of package engine on each platform.
package library
