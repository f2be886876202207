// Package policies holds the policies that come with omx, compiled.
//
// Their source is AssemblyScript under assembly/, one file per policy on top of
// the SDK in sdk/; `make policies` compiles them into wasm/. ABI.md is the
// contract for authors of other policies, in any language. corpus/ holds modules
// for tests: such as a host must refuse, such as misbehave once they run (when a
// request is not a first attempt), and plain ones for comparisons.
//
// The package embeds bytes and knows nothing of running them. It imports
// policies/abi; anyone may import it.
package policies
