// Package testnet compares policies on a simulated fleet: the same scenario,
// the same seeds, one run per policy and seed, and a report of what a client
// would have seen.
//
// It says which of several policies is better under the assumptions it prints,
// not how fast a real fleet is. cmd/omx uses it.
package testnet
