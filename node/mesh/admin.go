package mesh

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"omx/node/catalog"
	"omx/node/mesh/member"
)

// MemberInfo is what is known of one member.
type MemberInfo struct {
	ID        catalog.NodeID
	Name      string // as it joined, where the mesh's key is held
	Role      member.Role
	Holder    bool           // has the mesh's key
	Self      bool           // this node
	Connected bool           // now
	Relay     catalog.NodeID // through which it is connected; zero: none
	Through   bool           // it is up, and known through others only
	Expires   time.Time      // of the newest credential seen; zero: none was
	Addrs     []string
}

// MeshStatus is how this node stands in its mesh.
type MeshStatus struct {
	Mesh       member.MeshID
	Credential *member.Credential
	Holder     bool
	Members    int // known, this node among them
	Connected  int
	Through    int // up, and known through others only
	Visitors   int // connections of nodes that are no members yet
	Revoked    int
}

// Status is how this node stands in its mesh; ErrNoMesh where nodes list one
// another.
func (m *Mesh) Status() (MeshStatus, error) {
	s := m.members
	if s == nil {
		return MeshStatus{}, member.ErrNoMesh
	}
	own, list, through := s.own.Load(), s.list(), 0
	for i := range list {
		through += bit(list[i].Through)
	}
	return MeshStatus{Mesh: own.Mesh, Credential: own, Holder: s.holder != nil, Members: len(list), Connected: m.Count(), Through: through,
		Visitors: int(s.visitors.Load()), Revoked: len(s.allRevoked())}, nil
}

// Members lists who belongs to the mesh, as far as this node knows.
func (m *Mesh) Members() ([]MemberInfo, error) {
	if m.members == nil {
		return nil, member.ErrNoMesh
	}
	return m.members.list(), nil
}

func (s *members) list() []MemberInfo {
	by := map[member.ID]*MemberInfo{}
	entry := func(node member.ID) *MemberInfo {
		id, err := node.Node()
		if err != nil {
			return new(MemberInfo) // no such key can be a member
		}
		if by[node] == nil {
			by[node] = &MemberInfo{ID: id}
		}
		return by[node]
	}
	if s.holder != nil {
		for _, k := range s.holder.Members() {
			e := entry(k.Node)
			e.Name, e.Role = k.Name, k.Role
		}
	}
	own := s.own.Load()
	e := entry(s.self)
	e.Self, e.Connected, e.Addrs = true, true, texts(s.m.reachable())
	e.show(own)
	for _, p := range s.m.peers.all() {
		c := p.cred.Load()
		p.mu.Lock()
		if c == nil && p.advert != nil {
			c = p.advert.Credential
		}
		p.mu.Unlock()
		if c == nil {
			continue // there is only a word of it
		}
		e := entry(p.node)
		e.Connected, e.Through, e.Relay, e.Addrs = s.m.Has(p.id), s.m.Through(p.id), s.m.By(p.id), texts(p.dialAddrs())
		e.show(c)
	}
	list := make([]MemberInfo, 0, len(by))
	for _, e := range by {
		list = append(list, *e)
	}
	slices.SortFunc(list, func(a, b MemberInfo) int {
		if a.Self != b.Self {
			return bit(b.Self) - bit(a.Self)
		}
		return bytes.Compare([]byte(a.Name+a.ID.String()), []byte(b.Name+b.ID.String()))
	})
	return list
}

func (e *MemberInfo) show(c *member.Credential) {
	e.Role, e.Holder, e.Expires = c.Role, c.Holder, c.Expires
}

func texts[T fmt.Stringer](list []T) (all []string) {
	for _, v := range list {
		all = append(all, v.String())
	}
	return all
}

// Invite makes a token for so many nodes, good for life. Addrs are where this node
// is reached from there; none: where it listens. Only a holder of the mesh's key
// can.
func (m *Mesh) Invite(addrs []string, role member.Role, uses int, life time.Duration) (*member.Token, error) {
	h, err := m.holder()
	if err != nil {
		return nil, err
	}
	where, err := parseAnnounce(addrs)
	if err != nil {
		return nil, err
	}
	if len(where) == 0 {
		where = slices.DeleteFunc(m.reachable(), isCircuit) // a relay does not know who joins
	}
	return h.Invite(m.members.self, where, role, uses, life, m.cfg.Now())
}

// Revoke ends a node's membership, here at once and everywhere as fast as the news
// travels. Only a holder of the mesh's key can.
func (m *Mesh) Revoke(id catalog.NodeID) error {
	h, err := m.holder()
	if err != nil {
		return err
	}
	node, err := member.ParseNode(id)
	if err != nil {
		return fmt.Errorf("revoke %s: %w", id, err)
	}
	s := m.members
	if node == s.self {
		return fmt.Errorf("revoke %s: a node cannot remove itself; ask another that holds the mesh's key", id.Short())
	}
	if len(s.allRevoked()) >= member.MaxMembers {
		return fmt.Errorf("revoke %s: too many nodes were removed in the last 30 days", id.Short())
	}
	r, err := h.Revoke(node, m.cfg.Now())
	if err != nil {
		return fmt.Errorf("revoke %s: %w", id.Short(), err)
	}
	s.takeRevocation(r)
	s.tell()
	s.remember()
	return nil
}

func (m *Mesh) holder() (*member.Holder, error) {
	switch {
	case m.members == nil:
		return nil, member.ErrNoMesh
	case m.members.holder == nil:
		return nil, member.ErrNotHolder
	}
	return m.members.holder, nil
}
