// Package policy keeps the policies of a running node: where they come from,
// which one decides, which one is tried beside it, and which one to go back to.
//
// A policy is named by a reference: the path of a module, a folder of modules, a
// digest of one that was used before (sha256:…), or the name of a built-in one;
// any of them may be pinned (REF@sha256:…). What is used is kept by its digest
// in the node's data folder, with a small file that says what decides: after a
// restart the same policies decide, whatever became of the files they came from.
// Whoever loads them, policies pass the same way: pin and signature, then the
// host's checks, then a decision each on samples.
//
// The package starts no goroutine; its owner calls Poll now and then. It imports
// decide, wasm and policies; node imports it.
package policy
