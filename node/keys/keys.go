// Package keys says who may use a node's API: a file of hashed keys, each with the
// name under which its requests are counted and what they may ask for. It knows
// nothing of HTTP. Package node and the command line may import it.
//
// The file has one key a line, and # begins a comment:
//
//	omx-api-1 SHA256 NAME [admin] [priority=N] [class=N] [models=PATTERN,PATTERN…]
//
// A key itself is nowhere but with its owner: who reads the file learns none.
package keys

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"omx/node/catalog"
)

// Key is what a holder may do.
type Key struct {
	Hash     [sha256.Size]byte // of the key's text
	Tenant   catalog.Tenant    // in whose name
	Admin    bool              // may change what the node does, policies for one
	Priority int32             // -100 to 100; below 0 may be shed first
	Class    uint32            // class of service, as the operator numbers them; at most 255
	Models   []string          // patterns of path.Match; none: every model
}

// Bounds on the file.
const (
	MaxFile     = 1 << 20 // bytes
	maxKeys     = 4096
	maxPatterns = 32
	maxPriority = 100
	maxClass    = 255
)

const (
	word      = "omx-api-1"
	prefix    = "omx-" // of a key, so that scanners for lost secrets know one
	keyBytes  = 20     // 160 bits: nobody guesses one, and 32 letters can be typed
	minSecret = 16     // characters of a key that somebody else has made
)

var letters = base32.StdEncoding.WithPadding(base32.NoPadding)

// New makes a key from 20 random bytes: its text, and the Key without a name.
func New(random io.Reader) (text string, k Key, err error) {
	b := make([]byte, keyBytes)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", Key{}, fmt.Errorf("make key: %w", err)
	}
	text = prefix + strings.ToLower(letters.EncodeToString(b))
	return text, Key{Hash: sha256.Sum256([]byte(text))}, nil
}

// String is the key's line in the file.
func (k *Key) String() string {
	s := fmt.Sprintf("%s %x %s", word, k.Hash, k.Tenant)
	if k.Admin {
		s += " admin"
	}
	if k.Priority != 0 {
		s += fmt.Sprintf(" priority=%d", k.Priority)
	}
	if k.Class != 0 {
		s += fmt.Sprintf(" class=%d", k.Class)
	}
	if len(k.Models) > 0 {
		s += " models=" + strings.Join(k.Models, ",")
	}
	return s
}

// Allows tells whether requests may name the model.
func (k *Key) Allows(m catalog.ModelID) bool {
	for _, p := range k.Models {
		if ok, err := path.Match(p, m.String()); ok && err == nil {
			return true
		}
	}
	return len(k.Models) == 0
}

// Validate says what is wrong with a key's figures.
func (k *Key) Validate() error {
	switch {
	case k.Tenant.IsZero():
		return errors.New("it has no name")
	case k.Priority < -maxPriority || k.Priority > maxPriority:
		return fmt.Errorf("priority is %d; choose %d to %d", k.Priority, -maxPriority, maxPriority)
	case k.Class > maxClass:
		return fmt.Errorf("class is %d; choose 0 to %d", k.Class, maxClass)
	case len(k.Models) > maxPatterns:
		return fmt.Errorf("it names %d patterns of models, %d are possible", len(k.Models), maxPatterns)
	}
	for _, p := range k.Models {
		if _, err := path.Match(p, ""); err != nil || p == "" || strings.ContainsAny(p, ", \t") {
			return fmt.Errorf("models: %.80q is no pattern; write llama* or a model's name", p)
		}
	}
	return nil
}

// parse reads a key's line.
func parse(words []string) (k Key, err error) {
	if len(words) < 3 || words[0] != word {
		return k, fmt.Errorf("is not %s SHA256 NAME; add keys with: omx keys add", word)
	}
	b, err := hex.DecodeString(words[1])
	if err != nil || len(b) != sha256.Size {
		return k, errors.New("has no SHA-256 of 64 hexadecimal digits; add keys with: omx keys add")
	}
	k.Hash = [sha256.Size]byte(b)
	if k.Tenant, err = catalog.ParseTenant(words[2]); err != nil {
		return k, err
	}
	for _, w := range words[3:] {
		name, value, figure := strings.Cut(w, "=")
		switch {
		case !figure && name == "admin":
			k.Admin = true
			continue
		case !figure:
			name = ""
		}
		switch name {
		case "priority":
			n, err := strconv.ParseInt(value, 10, 32)
			if err != nil {
				return k, fmt.Errorf("priority is %.40q, no whole number", value)
			}
			k.Priority = int32(n)
		case "class":
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return k, fmt.Errorf("class is %.40q, no whole number from 0", value)
			}
			k.Class = uint32(n)
		case "models":
			k.Models = strings.Split(value, ",")
		default:
			return k, fmt.Errorf("says %.40q; admin, priority=, class= and models= are known", w)
		}
	}
	return k, k.Validate()
}
