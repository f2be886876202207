package blob

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"omx/node/catalog"
)

// Listing is what the store's names were when it was made. It is shared: who
// changes it changes it for others.
type Listing struct {
	Models []Manifest // by name
	// Damaged says, a manifest each, what is not trusted and thus not in Models.
	// Removing or setting the model again ends it.
	Damaged []error
	// Generation changes with the content, and only then; it means something
	// within one Store.
	Generation uint64
}

// seen is what was read last, and whether it can have changed since.
type seen struct {
	mtime   time.Time
	settled bool // the folder had not changed for so long that a change shows
	sum     [sha256.Size]byte
	list    Listing
}

// Names lists what is stored. If nothing has changed since the last call, by this
// process or another, it costs one look at a folder.
func (s *Store) Names() (Listing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := filepath.Join(s.dir, manifestDir)
	st, err := os.Stat(dir)
	if err != nil {
		return Listing{}, fmt.Errorf("list models: %w", err)
	}
	if s.seen.settled && st.ModTime().Equal(s.seen.mtime) {
		return s.seen.list, nil
	}
	// The folder is looked at first: a change while it is read shows next time.
	now := seen{mtime: st.ModTime(), settled: time.Since(st.ModTime()) > mtimeGrain}
	if now.list, now.sum, err = s.list(); err != nil {
		return Listing{}, fmt.Errorf("list models: %w", err)
	}
	now.list.Generation = s.seen.list.Generation
	if now.sum != s.seen.sum {
		now.list.Generation++
	}
	s.seen = now
	return now.list, nil
}

// list reads every manifest, and tells one state of the folder from another.
func (s *Store) list() (l Listing, sum [sha256.Size]byte, err error) {
	dir := filepath.Join(s.dir, manifestDir)
	entries, err := readDir(dir, MaxModels)
	if err != nil {
		return l, sum, err
	}
	h := sha256.New()
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), nameSuffix) {
			continue // an editor's, a file browser's: whoever puts it there means no model
		}
		m, err := readManifest(filepath.Join(dir, e.Name()), e.Name())
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // removed since
		case err != nil:
			l.Damaged = append(l.Damaged, err)
			fmt.Fprintf(h, "%q\n", err)
		default:
			l.Models = append(l.Models, m)
			fmt.Fprintf(h, "%s %s %d %q %s %s %q\n", m.Model, m.Digest, m.Bytes, m.Source, m.Added, m.Adapters, m.Params)
		}
	}
	slices.SortFunc(l.Models, func(a, b Manifest) int { return a.Model.Compare(b.Model) })
	return l, [sha256.Size]byte(h.Sum(nil)), nil
}

// Get reads what one name points at. Errors: ErrNotFound, ErrDamaged.
func (s *Store) Get(id catalog.ModelID) (Manifest, error) {
	path, err := s.manifest(id)
	if err != nil {
		return Manifest{}, err
	}
	m, err := readManifest(path, filepath.Base(path))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("model %s %w", id, ErrNotFound)
	}
	return m, err
}

// Set makes a name point at a blob that is stored, as its adapters must be; if replace is not set, ErrExists
// is said of a name that is there, be it damaged. Bytes may be 0, else they must be
// the blob's (ErrMismatch). Once a name points at it, the blob stays until the last
// such name is removed.
//
// Errors besides: ErrNotFound (the blob), ErrBadName, ErrNoSpace, and what Validate
// says.
func (s *Store) Set(m Manifest, replace bool) error {
	return s.change(func() error { return s.set(m, replace) })
}

func (s *Store) set(m Manifest, replace bool) error {
	path, err := s.manifest(m.Model)
	if err != nil {
		return err
	}
	if m.Digest.IsZero() {
		return m.Validate()
	}
	n, err := s.stat(m.Digest)
	switch {
	case err != nil:
		return fmt.Errorf("model %s: %w", m.Model, err)
	case m.Bytes != 0 && m.Bytes != n:
		return fmt.Errorf("model %s: blob %s %w: it has %d bytes, not %d", m.Model, m.Digest, ErrMismatch, n, m.Bytes)
	}
	m.Bytes = n
	for _, a := range m.Adapters {
		if _, err := s.stat(a); err != nil {
			return fmt.Errorf("model %s: adapter: %w", m.Model, err)
		}
	}
	if m.Added.IsZero() {
		m.Added = time.Now()
	}
	_, statErr := os.Lstat(path)
	switch isNew := errors.Is(statErr, fs.ErrNotExist); {
	case !isNew && !replace:
		return fmt.Errorf("model %s %w; remove it first or choose another name", m.Model, ErrExists)
	case isNew:
		if have, err := readDir(filepath.Dir(path), MaxModels); err != nil {
			return err
		} else if len(have) >= MaxModels {
			return fmt.Errorf("model %s: the store has %d names, more are not kept; remove some", m.Model, len(have))
		}
	}
	b, err := writeManifest(&m)
	if err != nil {
		return err
	}
	if err := s.write(path, b); err != nil {
		return fmt.Errorf("model %s: %w", m.Model, noSpace(err))
	}
	s.step("remove mark")
	os.Remove(s.mark(m.Digest)) // it has a name now; a mark that stays is swept later
	return nil
}

// write puts a small file in its place, whole or not at all.
func (s *Store) write(path string, b []byte) error {
	f, err := s.temp()
	if err != nil {
		return err
	}
	defer f.Close()
	defer os.Remove(f.Name()) // in vain once it has its place
	s.step("write file")
	if err := f.Chmod(0o600); err != nil { // a system prompt may be a secret of the trade
		return err
	}
	if _, err := f.Write(b); err != nil {
		return err
	}
	s.step("sync file")
	if err := f.Sync(); err != nil {
		return err
	}
	return s.place(f.Name(), path)
}

// Copy makes the name to point at what from points at, with its parameters. Errors
// are those of Get and Set.
func (s *Store) Copy(from, to catalog.ModelID, replace bool) error {
	return s.change(func() error {
		m, err := s.Get(from)
		if err != nil {
			return err
		}
		if from == to {
			return nil
		}
		m.Model, m.Added = to, time.Time{}
		return s.set(m, replace)
	})
}

// Remove removes a name, damaged or not, and the blob if no other name points at
// it and nobody has put it or asked for it since it was named; GC removes those of
// adapters. It returns the bytes that the blob had, if it went. Errors: ErrNotFound, ErrDamaged if another manifest
// is, so that it is not known what that one needs: then the name went and the blob
// stayed.
func (s *Store) Remove(id catalog.ModelID) (freed int64, err error) {
	path, err := s.manifest(id)
	if err != nil {
		return 0, err
	}
	err = s.change(func() error {
		m, damage := s.Get(id)
		if errors.Is(damage, ErrNotFound) {
			return damage
		}
		s.step("remove manifest")
		if err := os.Remove(path); err != nil {
			return err
		}
		s.step("sync folder") // the name must not come back without its blob
		if err := syncDir(filepath.Dir(path)); err != nil {
			return err
		}
		if damage != nil {
			return nil // which blob it meant is not known: GC finds what nobody needs
		}
		used, err := s.used()
		if errors.Is(err, ErrDamaged) {
			return nil
		} else if err != nil {
			return err
		}
		if st, err := os.Lstat(s.mark(m.Digest)); used[m.Digest] || err == nil && time.Since(st.ModTime()) < MinAge {
			return nil
		}
		freed, err = s.drop(m.Digest)
		return err
	})
	return freed, err
}

// used is every digest that a name points at. In doubt it is an error: what is
// removed by mistake takes a day to fetch again.
func (s *Store) used() (map[Digest]bool, error) {
	l, _, err := s.list()
	if err != nil {
		return nil, err
	}
	if len(l.Damaged) > 0 {
		return nil, fmt.Errorf("no blob is removed while %d manifests are damaged: %w; set or remove these models", len(l.Damaged), l.Damaged[0])
	}
	used := make(map[Digest]bool, len(l.Models))
	for _, m := range l.Models {
		used[m.Digest] = true
		for _, a := range m.Adapters {
			used[a] = true
		}
	}
	return used, nil
}

// drop removes a blob.
func (s *Store) drop(d Digest) (int64, error) {
	n, err := s.stat(d)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	s.step("remove blob")
	return n, os.Remove(s.blob(d))
}

func (s *Store) manifest(id catalog.ModelID) (string, error) {
	file, err := fileName(id)
	return s.path(manifestDir, file), err
}

// readDir reads a folder of at most so many files, by name.
func readDir(dir string, most int) ([]os.DirEntry, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	entries, err := d.ReadDir(most + 1)
	if len(entries) > most {
		return nil, fmt.Errorf("%s has more than %d files; remove some", dir, most)
	}
	if err != nil && err != io.EOF {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}
