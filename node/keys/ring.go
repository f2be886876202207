package keys

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"

	"omx/node/catalog"
	"omx/node/files"
)

// Ring is the keys of a file. It is not changed once it is made.
type Ring struct {
	byHash map[[sha256.Size]byte]*Key
	keys   []*Key // in the file's order
}

// Parse reads a file. An error names the line.
func Parse(text []byte) (*Ring, error) {
	r := &Ring{byHash: map[[sha256.Size]byte]*Key{}}
	n := 0
	for line := range bytes.Lines(text) {
		n++
		words := strings.Fields(before(string(line)))
		if len(words) == 0 {
			continue
		}
		k, err := parse(words)
		if err != nil {
			return nil, fmt.Errorf("line %d %w", n, err)
		}
		if r.byHash[k.Hash] != nil {
			return nil, fmt.Errorf("line %d has a key that is there already; remove one", n)
		}
		if len(r.keys) == maxKeys {
			return nil, fmt.Errorf("line %d is one key more than the %d that are possible", n, maxKeys)
		}
		r.byHash[k.Hash] = &k
		r.keys = append(r.keys, &k)
	}
	return r, nil
}

func before(line string) string {
	line, _, _ = strings.Cut(line, "#")
	return line
}

// Read reads the file at a path.
func Read(path string) (*Ring, error) {
	b, err := files.ReadBounded(path, MaxFile)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	r, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("read keys: %s: %w", path, err)
	}
	return r, nil
}

// Find is the key of a text, nil if there is none. Only hashes are compared, so
// the time it takes says nothing of the keys.
func (r *Ring) Find(text string) *Key {
	if len(text) < minSecret {
		return nil
	}
	return r.byHash[sha256.Sum256([]byte(text))]
}

// Keys are those of the file, in its order.
func (r *Ring) Keys() []*Key { return r.keys }

// Remove takes a name's keys out of a file's text, which is otherwise left as it
// is; it tells how many they were.
func Remove(text []byte, name catalog.Tenant) (left []byte, removed int) {
	for line := range bytes.Lines(text) {
		words := strings.Fields(before(string(line)))
		if len(words) >= 3 && words[0] == word && words[2] == name.String() {
			removed++
			continue
		}
		left = append(left, line...)
	}
	return left, removed
}

// Add puts a key at the end of a file's text.
func Add(text []byte, k *Key) ([]byte, error) {
	if err := k.Validate(); err != nil {
		return nil, fmt.Errorf("add key: %w", err)
	}
	if n := len(text); n > 0 && text[n-1] != '\n' {
		text = append(text, '\n')
	}
	text = append(text, k.String()...)
	text = append(text, '\n')
	if _, err := Parse(text); err != nil {
		return nil, fmt.Errorf("add key: %w", err)
	}
	return text, nil
}
