package member

import "errors"

// Why somebody is not let in. Each is counted by its own name.
var (
	ErrForm      = errors.New("cannot be read")
	ErrForged    = errors.New("is not signed by the mesh's key")
	ErrOtherMesh = errors.New("is of another mesh")
	ErrOtherNode = errors.New("is of another node")
	ErrNotYet    = errors.New("is not valid yet; compare the clocks of the machines")
	ErrExpired   = errors.New("has expired")
	ErrRevoked   = errors.New("was revoked")

	ErrNoInvite  = errors.New("the token is not known here; ask for a new one")
	ErrUsedUp    = errors.New("the token has been used; ask for a new one")
	ErrNotMember = errors.New("the node is no member of the mesh; join it again with a new token")
	ErrFull      = errors.New("the mesh has no room for one more member")
	ErrNoMesh    = errors.New("this node is in no mesh; start one with: omx mesh init")
	ErrNotHolder = errors.New("this node does not hold the mesh's key; ask one that does, see: omx mesh members")
)
