// Package wasm is the policy host: it inspects, meters, compiles, checks and
// calls the WebAssembly modules that take an operator's decisions.
//
// A module is trusted with nothing. Load refuses what it does not know, and
// rewrites the rest so that every function entry, every loop iteration and
// every bulk operation pays from a budget ("fuel"): a policy that runs away
// traps after a fixed amount of work, the same on every machine, in the
// compiler and in the interpreter. No wall clock is involved.
//
// The package knows bytes, not requests: what a view means is the business of
// policies/abi and of the caller. It reads no clock, opens no socket, draws no
// random number and starts no goroutine. It imports policies/abi and wazero;
// node/decide and cmd/omx import it.
package wasm
