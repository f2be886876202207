// Package vnet is a network of packets in memory, for real QUIC between nodes of
// one process, in real time or in a bubble of testing/synctest.
//
// Each node has one socket. A packet on its way is an entry in one heap, and one
// timer serves them all: there is no goroutine, neither per packet nor per node.
// What happens to a packet is decided by a hash of the seed, the link and how
// many packets went over that link before, so that the traffic of other nodes
// changes nothing about it.
//
// It models delay, jitter, loss (also in bursts), duplicates, packets out of
// order, the rate and the queue of each node's access, cuts, nodes that are
// paused or gone, routers (NAT), and new addresses. It does not model congestion between the
// accesses, fragments, ECN, or what it costs a processor to send.
//
// It imports nothing of this module; testnet/virtual uses it.
package vnet
