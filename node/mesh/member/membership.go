package member

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// Membership is what a node has to show and to check others with.
type Membership struct {
	Key        ed25519.PublicKey // the mesh's
	Credential *Credential       // this node's
}

type membershipState struct {
	Key        []byte `json:"mesh_key"`
	Credential []byte `json:"credential"`
}

// Mesh is the mesh's name.
func (m *Membership) Mesh() MeshID { return MeshOf(m.Key) }

// Load reads the membership in a mesh's folder, nil if there is none.
func Load(dir string) (*Membership, error) {
	var s membershipState
	err := readSealed(dir, membershipFile, &s)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read membership: %w", err)
	}
	c, err := ParseCredential(s.Credential, s.Key)
	if err != nil {
		return nil, fmt.Errorf("read membership: %s: %w; restore it from a backup, or delete the folder and join again", filepath.Join(dir, membershipFile), err)
	}
	return &Membership{Key: s.Key, Credential: c}, nil
}

// Save replaces the membership in a mesh's folder.
func (m *Membership) Save(dir string) error {
	return writeSealed(dir, membershipFile, membershipState{m.Key, m.Credential.Bytes()})
}

// Absent refuses a folder that has a membership already.
func Absent(dir string) error {
	m, err := Load(dir)
	if err != nil {
		return err
	}
	if m != nil {
		return fmt.Errorf("this node is in mesh %s already; to leave that, stop the node and delete %s", m.Mesh().Short(), dir)
	}
	return nil
}

// Init makes a mesh: its key, in the folder, and the first member, this node.
func Init(dir string, node ID, name string, now time.Time) (*Membership, error) {
	if err := Absent(dir); err != nil {
		return nil, err
	}
	if exists(filepath.Join(dir, keyFile)) {
		return nil, fmt.Errorf("%s has the key of a mesh, but no membership; restore it from a backup, or delete the folder", dir)
	}
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make mesh key: %w", err)
	}
	h := &Holder{dir: dir, key: key, mesh: MeshOf(pub), life: DefaultLife}
	h.state.Members = []Member{{Node: node, Name: name, Joined: now}}
	m := &Membership{Key: pub, Credential: h.issue(node, Serve, true, now)}
	// The membership last: without it the rest is not a mesh.
	if err := errors.Join(writeSealed(dir, keyFile, keyState{key.Seed()}), h.save()); err != nil {
		return nil, err
	}
	return m, m.Save(dir)
}
