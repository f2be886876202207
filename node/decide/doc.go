// Package decide takes the decisions that belong to the operator: may this
// request in (admit) and which node serves it (route).
//
// A Decider writes what a policy may see into the policy's own memory, calls
// it, checks what it says and falls back to the built-in rule when the policy
// fails. The live node and the simulator call the same code with a moment, a
// catalog snapshot and a request; nothing in here knows which of the two it is.
// The package opens no socket, starts no goroutine and reads no clock, and a
// decision allocates nothing.
//
// It imports catalog, wasm and policies/abi; node, testnet and bench import it.
package decide
