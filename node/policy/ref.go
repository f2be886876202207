package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"omx/node/files"
	"omx/policies"
)

// Bounds on what is read, before it is.
const (
	maxModule    = 16 << 20 // bytes; the host's own limits are narrower
	maxSignature = 64 << 10
	maxFolder    = 64   // modules of a folder
	maxName      = 1024 // bytes of a policy's name; most paths are far shorter
)

// SignatureSuffix is added to a module's path for that of its signatures.
const SignatureSuffix = ".sig"

const digestPrefix = "sha256:"

// Module is a policy that was found, not yet checked.
type Module struct {
	Name      string // the path, or the name of a built-in one
	Code      []byte
	Signature []byte // nil: none was found
	Params    []byte // the operator's, lines of key=value
	builtin   bool
}

// Digest is the SHA-256 of the module's bytes.
func (m *Module) Digest() [32]byte { return sha256.Sum256(m.Code) }

func (m *Module) identity() string {
	d := m.Digest()
	return identity(hex.EncodeToString(d[:]), string(m.Params))
}

// label is the name as it is kept and shown. It may come from anybody who gives
// orders; of a long path the end tells most.
func (m *Module) label() string {
	return strings.ToValidUTF8(m.Name[max(len(m.Name)-maxName, 0):], "")
}

// Find reads what a reference names; dir is where modules are kept by digest,
// "" for nowhere. A folder gives all its modules.
func Find(ref, dir string) ([]Module, error) {
	place, pin, err := splitPin(ref)
	if err != nil {
		return nil, err
	}
	list, err := find(place, dir)
	if err != nil {
		return nil, err
	}
	if pin == "" {
		return list, nil
	}
	if len(list) != 1 {
		return nil, fmt.Errorf("policy %s: a folder cannot be pinned; pin its modules", ref)
	}
	if d := list[0].Digest(); hex.EncodeToString(d[:]) != pin {
		return nil, fmt.Errorf("policy %s has sha256 %x and not the pinned %s: put the right file there, or correct the pin", place, d, pin)
	}
	if list[0].builtin {
		list[0].Name = ref // so that a later version's built-in policy of that name does not follow it
	}
	return list, nil
}

// splitPin takes REF@sha256:… apart.
func splitPin(ref string) (place, pin string, err error) {
	place, pin, found := strings.Cut(ref, "@"+digestPrefix)
	if found && !isDigest(pin) {
		return "", "", fmt.Errorf("policy %s: a pin has 64 hexadecimal digits", ref)
	}
	return place, pin, nil
}

func isDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && s == strings.ToLower(s)
}

func find(place, dir string) ([]Module, error) {
	if digest, ok := strings.CutPrefix(place, digestPrefix); ok {
		if !isDigest(digest) || dir == "" {
			return nil, fmt.Errorf("policy %s: a digest has 64 hexadecimal digits, and names a policy that this node has used", place)
		}
		m, err := readModule(filepath.Join(dir, digest+".wasm"))
		if err != nil {
			return nil, fmt.Errorf("find policy %s among those used before: %w", place, err)
		}
		if d := m.Digest(); hex.EncodeToString(d[:]) != digest {
			return nil, fmt.Errorf("the kept module of policy %s is damaged: give its file", place)
		}
		m.Name = place
		return []Module{m}, nil
	}
	name := strings.TrimPrefix(place, "builtin:")
	if code, ok := policies.Builtin(name); ok {
		return []Module{{Name: name, Code: code, builtin: true}}, nil
	}
	st, err := os.Stat(place)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("policy %s: no such file, and no built-in policy of that name; see: omx policy list", place)
	}
	if err != nil {
		return nil, fmt.Errorf("find policy: %w", err)
	}
	if st.IsDir() {
		return findAll(place)
	}
	m, err := readModule(place)
	if err != nil {
		return nil, err
	}
	return []Module{m}, nil
}

func findAll(folder string) (list []Module, err error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.wasm"))
	if err != nil {
		return nil, fmt.Errorf("find policies: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("policy folder %s has no modules (*.wasm)", folder)
	}
	if len(files) > maxFolder {
		return nil, fmt.Errorf("policy folder %s has %d modules, %d are allowed", folder, len(files), maxFolder)
	}
	slices.Sort(files)
	for _, f := range files {
		m, err := readModule(f)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

func readModule(path string) (m Module, err error) {
	m.Name = path
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return m, fmt.Errorf("read policy: %s is no regular file", path) // to open a pipe would wait
	}
	if m.Code, err = files.ReadBounded(path, maxModule); err != nil {
		return m, fmt.Errorf("read policy: %w", err)
	}
	m.Signature, err = files.ReadBounded(path+SignatureSuffix, maxSignature)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("read signature: %w", err)
	}
	return m, nil
}
