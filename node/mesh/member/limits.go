package member

import "time"

// Every bound on what members and strangers can make a node keep.
const (
	// MaxMembers bounds a mesh: each node keeps every member's advert, some 400
	// bytes, and a goroutine; and through fewer than 100 neighbours it hears of all of
	// them.
	MaxMembers = 1000
	// MaxAddrs of one advert or token.
	MaxAddrs     = 8
	maxAddrBytes = 255 // of one address, as multiaddr
	// MaxName of a node that joins, in bytes.
	MaxName = 64

	maxInvites     = 100 // open at one time
	maxInviteUses  = 1000
	maxInviteLife  = 30 * 24 * time.Hour
	maxTokenText   = 4 << 10 // characters; the longest token has 3400
	maxRevocations = 1000
	maxFile        = 4 << 20 // of each file here; a thousand adverts are 800 KiB

	// DefaultLife of a credential. It is renewed when half of it is over, so a mesh
	// does without who holds its key for 12 hours at least.
	DefaultLife = 24 * time.Hour
	minLife     = time.Second
	maxLife     = 365 * 24 * time.Hour
	// clockSkew is by how much the clock of who issues a credential may be ahead.
	clockSkew = 5 * time.Minute
	// revokedFor is how long a revocation is kept: far longer than a credential
	// lives, so that another holder of the key that was off learns of it.
	revokedFor = 30 * 24 * time.Hour
)
