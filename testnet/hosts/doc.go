// Package hosts is the testnet tier of real processes: several nodes on this
// machine, each an "omx serve" of its own, connected over real QUIC on loopback.
//
// It is for demonstrations and end-to-end tests; latencies of more than a few
// nodes on one machine say nothing about a fleet. testnet's users are bench and
// cmd.
package hosts
