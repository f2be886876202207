// Package frame is what a node and its worker process say to each other over the
// worker's standard input and output: a fixed header of 16 bytes and a payload.
//
//	0  u32  length of the payload
//	4  u8   protocol version
//	5  u8   kind
//	6  u16  zero
//	8  u32  request
//	12 u32  tokens covered (kinds Piece and Rich only)
//
// All numbers are little endian. Payloads are JSON, except that of Piece, which
// is the text itself, and that of Vector. Both ends are the same program, so another version is an
// error, not something to negotiate.
//
// Imported by engine and worker; it imports nothing of omx.
package frame
