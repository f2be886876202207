// Package demo holds the demonstration model, as bytes in the program and as a
// file on disk. How it was made: README.md beside this file.
//
// Imported by engine; it imports nothing of omx.
package demo
