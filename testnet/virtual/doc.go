// Package virtual is the testnet tier of real nodes in virtual time: each is a
// node.Node with a simulated engine, they talk real libp2p over real QUIC, and
// only the network (vnet) and the clock do not exist. A minute takes as long as
// the work in it.
//
// It runs in a bubble of testing/synctest, in tests by synctest.Test and in any
// program by Run. In a bubble time goes on only while every goroutine waits for
// another one or for a timer; so a node leaves out what waits for the system (see
// node.Lab), and everything that was started must have ended when the bubble does.
//
// The network's own decisions follow from the seed. The whole run does not: keys of
// handshakes are drawn by the system, and goroutines run in any order. A seed that
// failed fails again most of the time, not always. testnet/sim repeats exactly; its
// nodes are not real.
//
// Processor time does not count here: nothing may be read from it about throughput.
//
// It imports node, node/mesh, node/engine and what those pass on; cmd and bench
// import it.
package virtual
