// Package mesh connects nodes of one mesh: libp2p identities over QUIC, one kept
// connection per peer, and request streams on top of it.
//
// A mesh has a key, and its members credentials that the key has signed; or it has
// none, and nodes list one another. A Mesh dials every peer it has an address of,
// keeps a control stream open on which both sides push their record and prove that
// they live, tells an Observer who is there, and opens request streams that carry
// opaque payloads. Where a mesh with a key has more members than a node keeps
// connections, the others are known through neighbours: see overlay.
//
// Whether somebody belongs here is settled in the handshake: by its identity where
// nodes list one another, else by the credential in its certificate. A node whose
// certificate is older than its credential shows that in the first frame of its
// control stream, and one that is no member may join if a token is open: for both,
// see members.visit. Nothing else of a stranger is read.
//
// The package does not decide where a request goes, does not know what a
// request or an answer means, and keeps no catalogue. Package node may import
// it, and so may the tools that measure it; of this module it imports only
// node/catalog, node/mesh/member and node/mesh/udp.
//
// # Wire format
//
// A stream starts with two bytes, tag ('C' control, 'R' request, 'M' membership,
// 'L' lane) and version. What follows on a lane is not the mesh's business. Then come frames, numbers big endian:
//
//	length uint32 | kind uint8 | payload of that length
//
//	control:  Credential? (Record | Ping | Ask | Verdict | Credential | Revoked | Adverts |
//	          Relay | Punch | Keep | Want | Hears | Signed | Known | Hearers)* Leaving?   both ways
//	request:  (Request → Accepted, Token*, Done | Failed
//	                   → Refused)*
//	member:   Join | Renew → Granted | Denied
//
// A Ping is answered by QUIC's acknowledgement alone. An Ask has a number and the id
// of a node that does not answer; the Verdict with that number says whether the peer
// hears it.
//
// A relay says so by a Relay, in which is the address at which it sees the peer.
// Between it and those that it passes packets on for, these are QUIC datagrams:
//
//	what uint8 (1: for, 2: of) | handle of a node uint64 | packet
//
// Two nodes that are connected through it tell each other by Punch where they may be
// reached past it: step uint8 (0: ask, 1: answer), then addresses with two bytes of
// length in front of each.
//
// Keep, Want, Hears, Signed, Known and Hearers are said only in a mesh of more members than
// connections, and only between members; what is in them stands in wants.go and
// known.go, and in record.go what a record is.
//
// A request stream carries one request after another, each after the answer to
// the one before; the client keeps it for the next.
//
// A client that no longer wants its answer resets the stream; it never ends its
// half before the last frame, so any end of it means "cancelled".
package mesh
