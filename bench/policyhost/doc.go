// Package policyhost measures the policy host beside its decisions: what metering
// costs, how soon a runaway is stopped and what it does to the process, how long
// a module takes from its bytes to its first answer, what many of them weigh, and
// how fast recorded decisions are replayed. Package bench and the command line
// may import it.
package policyhost
