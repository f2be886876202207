package api

import (
	"context"
	"net/http"
	"time"
)

// Membership lets the operator look after who belongs to the mesh. Errors that a
// client should understand are *Error.
type Membership interface {
	Mesh() (MeshView, error)
	Members() ([]MemberView, error)
	// Invite makes a token by which other nodes join.
	Invite(o InviteOrder) (InviteView, error)
	// Revoke ends the membership of a node named by its identity, the end of it, or
	// what people call it; it returns who that was.
	Revoke(node string) (MemberView, error)
}

// MeshView is how the node stands in its mesh.
type MeshView struct {
	Mesh      string            `json:"mesh"`
	Node      string            `json:"node"`
	Role      string            `json:"role"`
	Holder    bool              `json:"holder"` // has the mesh's key
	Issued    time.Time         `json:"issued"` // the node's credential
	Expires   time.Time         `json:"expires"`
	Members   int               `json:"members"` // known, this node among them
	Connected int               `json:"connected"`
	Through   int               `json:"through_others"` // up, and known through others only
	Revoked   int               `json:"revoked"`        // nodes removed lately
	Refused   map[string]uint64 `json:"refused"`        // who was not let in, by reason
}

// MemberView is one member as the node knows it.
type MemberView struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Role      string     `json:"role"`
	Holder    bool       `json:"holder"`
	Self      bool       `json:"self"`
	Connected bool       `json:"connected"`
	Relay     string     `json:"relay,omitempty"`   // the node through which it is connected
	Through   bool       `json:"through_others"`    // it is up, and known through others only
	Expires   *time.Time `json:"expires,omitempty"` // of the newest credential seen
	Addrs     []string   `json:"addrs"`
}

// InviteOrder says for whom a token is.
type InviteOrder struct {
	Role    string   `json:"role,omitempty"` // serve, gateway or observe; default serve
	Uses    int      `json:"uses,omitempty"` // nodes that may join by it; default 1
	Seconds int64    `json:"seconds,omitempty"`
	Addrs   []string `json:"addrs,omitempty"` // where this node is reached; default where it listens
}

// InviteView is a token and what it is good for.
type InviteView struct {
	Token   string    `json:"token"`
	Mesh    string    `json:"mesh"`
	Role    string    `json:"role"`
	Uses    int       `json:"uses"`
	Expires time.Time `json:"expires"`
	Addrs   []string  `json:"addrs"`
}

type revokeOrder struct {
	Node string `json:"node"`
}

// maxMeshOrder bounds the body of an order about the mesh: some addresses.
const maxMeshOrder = 16 << 10

// member answers a question about the mesh.
func member[T any](s *Server, ask func(Membership) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var v T
		err := s.hasMesh()
		if err == nil {
			v, err = ask(s.cfg.Mesh)
		}
		if err != nil {
			writeOpenAIError(w, err)
			return
		}
		writeView(w, v)
	}
}

func (s *Server) hasMesh() error {
	if s.cfg.Mesh == nil {
		return &Error{Status: http.StatusNotImplemented, Code: "not_implemented", Message: "this server has no mesh"}
	}
	return nil
}

func (s *Server) invite(_ context.Context, o InviteOrder) (v InviteView, err error) {
	if err = s.hasMesh(); err == nil {
		v, err = s.cfg.Mesh.Invite(o)
	}
	return v, err
}

func (s *Server) revoke(_ context.Context, o revokeOrder) (v MemberView, err error) {
	if err = s.hasMesh(); err == nil {
		v, err = s.cfg.Mesh.Revoke(o.Node)
	}
	return v, err
}

// order has the node do what only an operator may ask for.
func order[O, V any](s *Server, do func(context.Context, O) (V, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var o O
		var v V
		err := s.orderOf(w, r, &o)
		if err == nil {
			v, err = do(r.Context(), o)
		}
		if err != nil {
			writeOpenAIError(w, err)
			return
		}
		writeView(w, v)
	}
}

// orderOf reads an order from somebody who may give one: whoever says who is in the
// mesh says who reads its requests.
func (s *Server) orderOf(w http.ResponseWriter, r *http.Request, o any) error {
	if err := s.mayOperate(r); err != nil {
		return err
	}
	return readBodyOf(w, r, o, maxMeshOrder)
}
