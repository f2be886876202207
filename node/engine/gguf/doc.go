// Package gguf reads the header of a model file within bounds, so that a wrong or
// truncated file gives one clear line instead of a worker that ends in abort().
//
// It reads no weights and changes nothing; format: the GGUF specification,
// versions 2 and 3, little endian. Imported by engine; it imports nothing of omx.
package gguf
