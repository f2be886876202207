// Package member says who belongs to a mesh: the mesh's key, the credentials and
// revocations it signs, what members say of where they are, and the tokens by
// which strangers become members. It checks and keeps; it opens no socket and is
// told the time. Package mesh may import it, and so may the command line.
//
// # Formats
//
// Numbers are big endian, moments are milliseconds since 1970. What is signed is
// signed with a label in front that says what it is, so that no signature can
// stand for another kind of statement.
//
//	credential  1 | mesh 16 | node 32 | role 1 | flags 1 | issued 8 | expires 8 | signature 64
//	revocation  1 | mesh 16 | node 32 | at 8 | until 8 | signature 64
//	advert      credential | seq 8 | n 1 | (length 1 | multiaddr)* | signature 64 by the node
//	token       1 | mesh 16 | node 32 | secret 12 | n 1 | (length 1 | multiaddr)* | sum 4
//
// A token is written as "omx1" and Crockford's base 32, which has no letters that
// are mistaken for digits.
//
// # Files
//
// In the folder "mesh" of a node's data: membership (the mesh's public key and
// this node's credential), key (the mesh's private key, where it is held), holder
// (members and open invitations, beside key) and known (adverts and revocations,
// which may be lost).
package member
