// Package journal keeps what policies were asked and what they answered, in
// files of bounded size, reads it back, and replays it: to other policies, to see
// what they would have decided, or to the same ones, to see that they still
// answer alike.
//
// A folder holds files in the order of their numbers, the oldest of which are
// deleted. A file is a head and blocks; a block has a checksum and can be read
// without those before it:
//
//	head | block | block …      block: head | record | record …
//
// Views are written as what changed since the last view of the same kind and
// model. Numbers are little-endian, or varints.
//
// The package decides nothing, and reads no clock. It imports decide and
// policies/abi; node and cmd/omx import it.
package journal
