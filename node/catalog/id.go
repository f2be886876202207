package catalog

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// NodeID names a node: the text form of its public key ("12D3Koo…").
// The zero value is "no node". Made only by ParseNodeID.
type NodeID struct{ s string }

// ModelID names a model as clients ask for it, for example "omx-demo" or
// "llama3.2:3b". The zero value is "no model". Made only by ParseModelID.
type ModelID struct{ s string }

// Tenant names whose request it is. The zero value is the anonymous tenant.
// Made only by ParseTenant.
type Tenant struct{ s string }

const (
	maxNodeID  = 128 // libp2p identities of Ed25519 keys are 52 characters
	maxModelID = 128
	maxTenant  = 64
)

// ParseNodeID accepts 1 to 128 letters and digits.
func ParseNodeID(s string) (NodeID, error) {
	if err := checkID(s, maxNodeID, ""); err != nil {
		return NodeID{}, fmt.Errorf("parse node id %q: %w", clip(s), err)
	}
	return NodeID{s}, nil
}

// ParseModelID accepts 1 to 128 letters, digits and "._-:/@+", without a
// leading dot, an empty path element or "..": no model name is ever a way out
// of a folder, even if someone joins it to a path.
func ParseModelID(s string) (ModelID, error) {
	err := checkID(s, maxModelID, "._-:/@+")
	if err == nil && (strings.HasPrefix(s, ".") || strings.HasPrefix(s, "/") || strings.HasSuffix(s, "/") ||
		strings.Contains(s, "..") || strings.Contains(s, "//")) {
		err = errors.New("must not start with '.' or '/', end with '/' or contain '..' or '//'")
	}
	if err != nil {
		return ModelID{}, fmt.Errorf("parse model name %q: %w", clip(s), err)
	}
	return ModelID{s}, nil
}

// ParseTenant accepts up to 64 letters, digits and "._-@"; empty is anonymous.
func ParseTenant(s string) (Tenant, error) {
	if s == "" {
		return Tenant{}, nil
	}
	if err := checkID(s, maxTenant, "._-@"); err != nil {
		return Tenant{}, fmt.Errorf("parse tenant %q: %w", clip(s), err)
	}
	return Tenant{s}, nil
}

func checkID(s string, limit int, punct string) error {
	if s == "" {
		return errors.New("is empty")
	}
	if len(s) > limit {
		return fmt.Errorf("is longer than %d characters", limit)
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && strings.IndexByte(punct, c) < 0 {
			return fmt.Errorf("contains %q", c)
		}
	}
	return nil
}

// clip keeps error messages about foreign input short.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

func (id NodeID) String() string  { return id.s }
func (id ModelID) String() string { return id.s }

// Compare orders names, as strings.Compare does.
func (id ModelID) Compare(o ModelID) int { return strings.Compare(id.s, o.s) }
func (t Tenant) String() string          { return t.s }

func (id NodeID) IsZero() bool  { return id.s == "" }
func (id ModelID) IsZero() bool { return id.s == "" }
func (t Tenant) IsZero() bool   { return t.s == "" }

// Short is the last 8 characters, enough to tell nodes apart in a listing
// (the first characters of all Ed25519 identities are the same).
func (id NodeID) Short() string { return id.s[max(0, len(id.s)-8):] }

// Handle is a stable 64-bit name for use where strings cost too much, such as a
// policy's view: the first 8 bytes of SHA-256, little endian. 0 is the zero id.
func (id NodeID) Handle() uint64  { return handle(id.s) }
func (id ModelID) Handle() uint64 { return handle(id.s) }
func (t Tenant) Handle() uint64   { return handle(t.s) }

func handle(s string) uint64 {
	if s == "" {
		return 0
	}
	sum := sha256.Sum256([]byte(s))
	return binary.LittleEndian.Uint64(sum[:8])
}

func (id NodeID) MarshalText() ([]byte, error)  { return []byte(id.s), nil }
func (id ModelID) MarshalText() ([]byte, error) { return []byte(id.s), nil }
func (t Tenant) MarshalText() ([]byte, error)   { return []byte(t.s), nil }

func (id *NodeID) UnmarshalText(b []byte) (err error) { *id, err = ParseNodeID(string(b)); return }
func (id *ModelID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseModelID(string(b))
	return
}
func (t *Tenant) UnmarshalText(b []byte) (err error) { *t, err = ParseTenant(string(b)); return }
