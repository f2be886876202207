// Package mesh measures what the mesh costs: a request over a kept stream beside
// the same over bare QUIC, tokens a second over one stream and over many, what
// it adds to the time to first token that another node answers, and what its sockets
// save over the system's. All of it is real
// QUIC on loopback within one process; what a network adds is not measured here.
// Package bench and the command line may import it.
package mesh
