package policy

import (
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

	"omx/policies/abi"
)

// kept says which policy it is, without its code.
type kept struct {
	Name   string `json:"name"`
	Digest string `json:"digest"` // SHA-256, hexadecimal; the module is <digest>.wasm
	Params string `json:"params,omitempty"`
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
	b, err := readBounded(filepath.Join(dir, stateFile), maxState)
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
	if err := writeFile(dir, stateFile, []byte(b)); err != nil {
		return fmt.Errorf("write policy state: %w", err)
	}
	return nil
}

// keep puts a module into the folder, under its digest.
func keep(dir string, m *Module) (*kept, error) {
	digest := m.Digest()
	k := &kept{Name: m.label(), Digest: hex.EncodeToString(digest[:]), Params: string(m.Params)}
	file := k.Digest + ".wasm"
	if _, err := find(digestPrefix+k.Digest, dir); err != nil {
		if err := writeFile(dir, file, m.Code); err != nil {
			return nil, fmt.Errorf("keep policy: %w", err)
		}
	} else {
		// Best effort: only trim reads it, to remove what was used longest ago.
		os.Chtimes(filepath.Join(dir, file), time.Time{}, time.Now())
	}
	if m.Signature != nil {
		if err := writeFile(dir, file+SignatureSuffix, m.Signature); err != nil {
			return nil, fmt.Errorf("keep policy: %w", err)
		}
	}
	return k, nil
}

// module reads a kept policy back.
func (k *kept) module(dir string) (*Module, error) {
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

const tempSuffix = ".tmp"

// clearTemp removes what a crash left half written.
func clearTemp(dir string) {
	files, _ := filepath.Glob(filepath.Join(dir, "*"+tempSuffix))
	for _, f := range files {
		os.Remove(f)
	}
}

// writeFile replaces a file so that after a crash there is the old one or the
// new one, whole.
func writeFile(dir, name string, b []byte) (err error) {
	f, err := os.CreateTemp(dir, name+".*"+tempSuffix)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	d.Sync() // some file systems cannot sync a folder; checksum and digests cover that
	return d.Close()
}
