// Package mesh connects nodes that list one another: libp2p identities over
// QUIC, one kept connection per peer, and request streams on top of it.
//
// A Mesh dials every listed peer it has an address of, keeps a control stream
// open on which both sides push their record and prove that they live, tells an
// Observer who is there, and opens request streams that carry opaque payloads.
// A connection from or to anyone who is not listed ends in the handshake.
//
// The package does not decide where a request goes, does not know what a
// request or an answer means, and keeps no catalogue. Package node may import
// it, and so may the tools that measure it; of this module it imports only
// node/catalog.
//
// # Wire format
//
// A stream starts with two bytes, tag ('C' control, 'R' request) and version.
// Then come frames, numbers big endian:
//
//	length uint32 | kind uint8 | payload of that length
//
//	control:  (Record | Ping | Ask | Verdict)*          both ways
//	request:  (Request → Accepted, Token*, Done | Failed
//	                   → Refused)*
//
// A Ping is answered by QUIC's acknowledgement alone. An Ask has a number and the id
// of a node that does not answer; the Verdict with that number says whether the peer
// hears it.
//
// A request stream carries one request after another, each after the answer to
// the one before; the client keeps it for the next.
//
// A client that no longer wants its answer resets the stream; it never ends its
// half before the last frame, so any end of it means "cancelled".
package mesh
