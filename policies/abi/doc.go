// Package abi is the contract between omx and a policy module: how the view a
// policy reads and the answer it gives are laid out in its memory ("omx1").
//
// A view is one block of little-endian bytes written in place into the guest:
//
//	header | rows (count × stride) | scores (count × u32) | extension
//
// The header says where each part starts and how long a row is; fields are only
// ever appended, so an old guest reads a newer view and ignores the rest. The
// guest-side counterpart is policies/assembly/omx.ts.
//
// The package is a leaf: it imports the standard library only, knows nothing of
// WebAssembly or of requests, and may be imported by anyone.
package abi
