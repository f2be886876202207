// Package gguf reads the header of a model file within bounds: what it is, what
// it takes to run it, and that it is whole, so that a wrong or truncated file
// gives one clear line instead of a worker that ends in abort().
//
// It reads no weights and changes nothing; format: the GGUF specification,
// versions 2 and 3, little endian. Whatever a file claims, reading it allocates at
// most twice its size and 1 MiB. Imported by engine and fit; it imports nothing of
// omx.
package gguf
