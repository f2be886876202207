package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"omx/node/files"
	"omx/policies"
	"omx/policies/abi"
)

// kept says which policy it is, without its code.
type kept struct {
	Name   string `json:"name"`
	Digest string `json:"digest"` // SHA-256, hexadecimal; the module is <digest>.wasm
	Params string `json:"params,omitempty"`

	// Builtin policies are chosen by name: after an upgrade, that of the new
	// version decides.
	Builtin bool `json:"builtin,omitempty"`
}

func (k *kept) identity() string { return identity(k.Digest, k.Params) }

// identity tells policies apart: a module with other parameters decides otherwise.
func identity(digest, params string) string {
	if params == "" {
		return digest
	}
	return fmt.Sprintf("%s+%x", digest, sha256.Sum256([]byte(params)))
}

// kindState is what decides one kind.
type kindState struct {
	Generation uint64 `json:"generation"`
	Active     *kept  `json:"active,omitempty"` // nil: the default
	Last       *kept  `json:"last_good,omitempty"`
	Shadow     *kept  `json:"shadow,omitempty"`
	Out        string `json:"out,omitempty"` // identity of the policy that was rolled back or set aside last
}

// state is what must survive a restart.
type state struct {
	Kinds map[string]*kindState `json:"kinds"`
}

func (s *state) kind(k abi.Kind) *kindState {
	ks := s.Kinds[k.String()]
	if ks == nil {
		ks = &kindState{}
		s.Kinds[k.String()] = ks
	}
	return ks
}

const stateFile = "state.json"

// maxState bounds the state before it is read: three policies a kind, each with
// the most parameters that the host takes (64 KiB), escaped.
const maxState = 4 << 20

// maxKept modules stay in the folder, beside those in use: some to go back to.
const maxKept = 32

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// readState gives an empty state and an error if the file is damaged.
func readState(dir string) (*state, error) {
	s := &state{Kinds: map[string]*kindState{}}
	b, err := files.ReadBounded(filepath.Join(dir, stateFile), maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("read policy state: %w", err)
	}
	sum, body, _ := strings.Cut(string(b), "\n")
	if sum != fmt.Sprintf("%08x", crc32.Checksum([]byte(body), castagnoli)) {
		return s, errors.New("read policy state: it is damaged (checksum)")
	}
	read := state{}
	if err := json.Unmarshal([]byte(body), &read); err != nil {
		return s, fmt.Errorf("read policy state: %w", err)
	}
	for name, k := range read.Kinds {
		if _, ok := abi.ParseKind(name); ok && k != nil {
			for _, p := range []*kept{k.Active, k.Last, k.Shadow} {
				p.upgrade()
			}
			s.Kinds[name] = k
		}
	}
	return s, nil
}

func (s *state) write(dir string) error {
	body, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return fmt.Errorf("write policy state: %w", err)
	}
	b := fmt.Sprintf("%08x\n%s", crc32.Checksum(body, castagnoli), body)
	if err := files.Write(filepath.Join(dir, stateFile), 0o600, []byte(b)); err != nil {
		return fmt.Errorf("write policy state: %w", err)
	}
	return nil
}

// keep puts a module into the folder, under its digest.
func keep(dir string, m *Module) (*kept, error) {
	digest := m.Digest()
	k := &kept{Name: m.label(), Digest: hex.EncodeToString(digest[:]), Params: string(m.Params)}
	code, ok := policies.Builtin(k.Name)
	k.Builtin = ok && bytes.Equal(code, m.Code)
	file := k.Digest + ".wasm"
	if _, err := find(digestPrefix+k.Digest, dir); err != nil {
		if err := files.Write(filepath.Join(dir, file), 0o600, m.Code); err != nil {
			return nil, fmt.Errorf("keep policy: %w", err)
		}
	} else {
		// Best effort: only trim reads it, to remove what was used longest ago.
		os.Chtimes(filepath.Join(dir, file), time.Time{}, time.Now())
	}
	if m.Signature != nil {
		if err := files.Write(filepath.Join(dir, file+SignatureSuffix), 0o600, m.Signature); err != nil {
			return nil, fmt.Errorf("keep policy: %w", err)
		}
	}
	return k, nil
}

// upgrade takes the built-in policy of this version for one of another.
func (k *kept) upgrade() {
	if k == nil || !k.Builtin {
		return
	}
	code, ok := policies.Builtin(k.Name)
	if k.Builtin = ok; ok {
		k.Digest = fmt.Sprintf("%x", sha256.Sum256(code))
	}
}

// module reads a kept policy back.
func (k *kept) module(dir string) (*Module, error) {
	if code, ok := policies.Builtin(k.Name); k.Builtin && ok {
		return &Module{Name: k.Name, Code: code, Params: []byte(k.Params)}, nil
	}
	list, err := find(digestPrefix+k.Digest, dir)
	if err != nil {
		return nil, err
	}
	m := &list[0]
	m.Name, m.Params = k.Name, []byte(k.Params)
	return m, nil
}

// trim removes kept modules beyond maxKept that no state names, those first that
// were used longest ago. It comes after write: what the state on disk names must
// be there.
func (s *state) trim(dir string) {
	used := map[string]bool{}
	for _, k := range s.Kinds {
		for _, p := range []*kept{k.Active, k.Last, k.Shadow} {
			if p != nil {
				used[p.Digest+".wasm"] = true
			}
		}
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.wasm"))
	if err != nil {
		return
	}
	var files []fs.FileInfo
	for _, path := range paths {
		if st, err := os.Stat(path); err == nil {
			files = append(files, st)
		}
	}
	slices.SortStableFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	surplus := len(files) - maxKept
	for _, f := range files {
		if surplus > 0 && !used[f.Name()] {
			os.Remove(filepath.Join(dir, f.Name()))
			os.Remove(filepath.Join(dir, f.Name()+SignatureSuffix))
			surplus--
		}
	}
}

// clearTemp removes what a crash left half written.
func clearTemp(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, "*"+files.TempSuffix))
	for _, f := range left {
		os.Remove(f)
	}
}
