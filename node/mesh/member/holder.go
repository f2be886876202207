package member

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

// Holder has the mesh's key: it makes members and keeps the list of them. It is
// safe for concurrent use. What it grants is on disk before it is given away.
type Holder struct {
	dir  string
	key  ed25519.PrivateKey
	mesh MeshID
	life time.Duration

	mu    sync.Mutex
	state holderState
}

// Member is somebody who has joined.
type Member struct {
	Node   ID        `json:"node"`
	Name   string    `json:"name"`
	Role   Role      `json:"role"`
	Joined time.Time `json:"joined"`
}

type holderState struct {
	Members []Member `json:"members"`
	Invites []invite `json:"invites"`
}

// invite is an open invitation.
type invite struct {
	Key     []byte    `json:"key"` // of proofs
	Role    Role      `json:"role"`
	Left    int       `json:"left"` // uses
	Expires time.Time `json:"expires"`
	Used    []ID      `json:"used"` // who has joined by it: these may ask again
}

type keyState struct {
	Seed []byte `json:"seed"`
}

// OpenHolder reads the mesh's key, nil if it is not in the folder. Credentials
// that it issues live for life, 0 for the default.
func OpenHolder(dir string, m *Membership, life time.Duration) (*Holder, error) {
	var k keyState
	path := filepath.Join(dir, keyFile)
	err := readSealed(dir, keyFile, &k)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = secret(path)
	}
	if err == nil && len(k.Seed) != ed25519.SeedSize {
		err = fmt.Errorf("%s is no key", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read mesh key: %w", err)
	}
	h := &Holder{dir: dir, key: ed25519.NewKeyFromSeed(k.Seed), mesh: m.Mesh(), life: life}
	if life == 0 {
		h.life = DefaultLife
	}
	if pub := h.key.Public().(ed25519.PublicKey); !pub.Equal(m.Key) {
		return nil, fmt.Errorf("read mesh key: %s is of mesh %s, this node is in mesh %s; remove it", path, MeshOf(pub).Short(), h.mesh.Short())
	}
	if h.life < minLife || h.life > maxLife {
		return nil, fmt.Errorf("credentials must live between %v and %v, not %v", minLife, maxLife, h.life)
	}
	// Another holder's folder, to which only the key was copied, has no list yet.
	if err := readSealed(dir, holderFile, &h.state); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read members: %w", err)
	}
	h.state.Invites = slices.DeleteFunc(h.state.Invites, func(i invite) bool { return len(i.Key) != sha256.Size })
	return h, nil
}

// save needs the mutex, or a Holder that nobody else has.
func (h *Holder) save() error { return writeSealed(h.dir, holderFile, &h.state) }

func (h *Holder) issue(node ID, role Role, holder bool, now time.Time) *Credential {
	return Credential{Mesh: h.mesh, Node: node, Role: role, Holder: holder, Issued: now, Expires: now.Add(h.life)}.sign(h.key)
}

// Own is a new credential for the node that has this key.
func (h *Holder) Own(node ID, role Role, now time.Time) *Credential {
	return h.issue(node, role, true, now)
}

// Invite makes a token that so many nodes can join with until it expires.
func (h *Holder) Invite(node ID, addrs []ma.Multiaddr, role Role, uses int, life time.Duration, now time.Time) (*Token, error) {
	if uses < 1 || uses > maxInviteUses {
		return nil, fmt.Errorf("a token is good for 1 to %d nodes, not %d", maxInviteUses, uses)
	}
	if life < time.Second || life > maxInviteLife {
		return nil, fmt.Errorf("a token is good for 1s to %v, not %v", maxInviteLife, life)
	}
	t := &Token{Mesh: h.mesh, Node: node, Addrs: addrs[:min(len(addrs), MaxAddrs)]}
	if _, err := rand.Read(t.Secret[:]); err != nil {
		return nil, fmt.Errorf("make token: %w", err)
	}
	key := t.proofKey()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expire(now)
	if len(h.state.Invites) >= maxInvites {
		return nil, fmt.Errorf("%d tokens are open already; wait until some have expired", maxInvites)
	}
	before := h.state.Invites
	h.state.Invites = append(slices.Clone(before), invite{Key: key[:], Role: role, Left: uses, Expires: now.Add(life)})
	if err := h.save(); err != nil {
		h.state.Invites = before
		return nil, err
	}
	return t, nil
}

// Inviting says whether somebody may come with a token.
func (h *Holder) Inviting(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.state.Invites, func(i invite) bool { return now.Before(i.Expires) })
}

// expire needs the mutex.
func (h *Holder) expire(now time.Time) {
	h.state.Invites = slices.DeleteFunc(slices.Clone(h.state.Invites), func(i invite) bool { return !now.Before(i.Expires) })
}

// Join makes a member of a node that proves, on a connection with inviter, that it
// has a token. A node that has used the token may come again: it may not have got
// the answer.
func (h *Holder) Join(joiner, inviter ID, id InviteID, proof [ProofLen]byte, channel []byte, name string, now time.Time) (*Credential, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := slices.IndexFunc(h.state.Invites, func(i invite) bool { return inviteID([32]byte(i.Key)) == id })
	if at < 0 || !now.Before(h.state.Invites[at].Expires) {
		return nil, ErrNoInvite
	}
	in := h.state.Invites[at]
	want := prove([32]byte(in.Key), joiner, inviter, channel)
	if !hmac.Equal(want[:], proof[:]) {
		return nil, ErrNoInvite
	}
	before := h.state
	if !slices.Contains(in.Used, joiner) {
		if in.Left == 0 {
			return nil, ErrUsedUp
		}
		in.Left--
		in.Used = append(slices.Clone(in.Used), joiner)
		h.state.Invites = slices.Clone(h.state.Invites)
		h.state.Invites[at] = in
	}
	if err := h.enter(Member{Node: joiner, Name: name, Role: in.Role, Joined: now}); err != nil {
		h.state = before
		return nil, err
	}
	if err := h.save(); err != nil {
		h.state = before
		return nil, err
	}
	return h.issue(joiner, in.Role, false, now), nil
}

// enter needs the mutex.
func (h *Holder) enter(m Member) error {
	list := slices.DeleteFunc(slices.Clone(h.state.Members), func(o Member) bool { return o.Node == m.Node })
	if len(list) >= MaxMembers {
		return ErrFull
	}
	h.state.Members = append(list, m)
	return nil
}

// Renew issues a member's next credential. A valid one is enough to get it; one
// that has expired is, if this holder knows its node as a member.
func (h *Holder) Renew(old *Credential, name string, now time.Time) (*Credential, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	role, holder := old.Role, old.Holder
	at := slices.IndexFunc(h.state.Members, func(m Member) bool { return m.Node == old.Node })
	switch {
	case at >= 0:
		role = h.state.Members[at].Role
	case !now.Before(old.Expires):
		return nil, ErrNotMember
	default: // another holder of the key has let it in
		before := h.state
		err := h.enter(Member{Node: old.Node, Name: name, Role: role, Joined: now})
		if err == nil {
			err = h.save()
		}
		if err != nil {
			h.state = before
			return nil, err
		}
	}
	return h.issue(old.Node, role, holder, now), nil
}

// Revoke ends a membership.
func (h *Holder) Revoke(node ID, now time.Time) (*Revocation, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.state
	h.dropped(node)
	if err := h.save(); err != nil {
		h.state = before
		return nil, err
	}
	return Revocation{Mesh: h.mesh, Node: node, At: now, Until: now.Add(max(revokedFor, h.life))}.sign(h.key), nil
}

// dropped needs the mutex: the node is no member, and a token that it knows lets
// nobody in, since it could come back with another key.
func (h *Holder) dropped(node ID) {
	h.state.Members = slices.DeleteFunc(slices.Clone(h.state.Members), func(m Member) bool { return m.Node == node })
	h.state.Invites = slices.DeleteFunc(slices.Clone(h.state.Invites), func(i invite) bool { return slices.Contains(i.Used, node) })
}

// Heed follows what another holder of the key has revoked.
func (h *Holder) Heed(r *Revocation) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := slices.IndexFunc(h.state.Members, func(m Member) bool { return m.Node == r.Node })
	if at < 0 || h.state.Members[at].Joined.After(r.At) {
		return nil
	}
	h.dropped(r.Node)
	return h.save()
}

// Members lists who has joined here, by name and identity.
func (h *Holder) Members() []Member {
	h.mu.Lock()
	list := slices.Clone(h.state.Members)
	h.mu.Unlock()
	slices.SortFunc(list, func(a, b Member) int {
		return bytes.Compare([]byte(a.Name+string(a.Node[:])), []byte(b.Name+string(b.Node[:])))
	})
	return list
}
