package mesh

import (
	"omx/node/mesh/member"
)

// Role is what this node's credential says that it does; without a mesh key, all.
func (m *Mesh) Role() member.Role {
	if m.members == nil {
		return member.Serve
	}
	return m.members.own.Load().Role
}

// refusal says why a peer's request is not for this node; nil if it is.
func (m *Mesh) refusal(p *listed) *RefusedError {
	if m.members == nil {
		return nil
	}
	c := p.cred.Load()
	switch {
	case c == nil:
		return &RefusedError{Code: CodeRejected, Message: errNotMember.Error()}
	case c.Role == member.Observe:
		return &RefusedError{Code: CodeRejected, Message: "an observer asks nothing of others"}
	case m.Role() != member.Serve:
		return &RefusedError{Code: CodeNoModel, Message: "this node answers no requests"}
	}
	return nil
}
