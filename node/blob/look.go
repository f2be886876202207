package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"omx/node/files"
)

// Report is what Look has seen of a store.
type Report struct {
	Models     int   // names that can be served
	Bytes      int64 // of their files, each counted once
	Faults     []Fault
	Unfinished []Unfinished
}

// Fault is a name that cannot be served, and why: ErrDamaged, then there is no more
// of the manifest than the name, or not even that; ErrNotFound or ErrMismatch of its
// file or of an adapter's.
type Fault struct {
	Manifest
	Err error
}

// Unfinished is a download that has begun and is no blob yet.
type Unfinished struct {
	Have, Total int64     // bytes; Total is -1 if it is not known
	At          time.Time // of the last byte; one that is under way has one within a minute
}

// Look reports on the store in a folder and changes nothing there, neither folders
// nor locks, so a node may serve from it meanwhile. Files are compared by length, not
// by their bytes: that is what Verify does. The error is fs.ErrNotExist if there is
// no such folder.
func Look(dir string) (r Report, err error) {
	s := &Store{dir: dir}
	if _, err := os.Stat(dir); err != nil {
		return r, fmt.Errorf("look at the store of models: %w", err)
	}
	if err := errors.Join(s.lookAtNames(&r), s.lookAtDownloads(&r)); err != nil {
		return r, fmt.Errorf("look at the store of models: %w", err)
	}
	return r, nil
}

func (s *Store) lookAtNames(r *Report) error {
	entries, err := readDirIfThere(filepath.Join(s.dir, manifestDir), MaxModels)
	if err != nil {
		return err
	}
	counted := map[Digest]bool{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), nameSuffix) {
			continue // no manifest, as list has it
		}
		m, err := s.whole(e.Name())
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // removed since
		case err != nil:
			r.Faults = append(r.Faults, Fault{m, err})
			continue
		}
		r.Models++
		if !counted[m.Digest] {
			counted[m.Digest], r.Bytes = true, r.Bytes+m.Bytes
		}
	}
	return nil
}

// whole says what keeps the name of a manifest from being served; fs.ErrNotExist:
// there is no such name. Nobody is locked out meanwhile, so a name whose file is
// missing is looked for once more: it goes before its file does.
func (s *Store) whole(file string) (m Manifest, err error) {
	path := s.path(manifestDir, file)
	if m, err = readManifest(path, file); err != nil {
		m.Model, _ = modelOf(file)
		return m, err
	}
	n, err := s.stat(m.Digest)
	if err == nil && n != m.Bytes {
		err = fmt.Errorf("blob %s %w: it has %d bytes, not %d", m.Digest, ErrMismatch, n, m.Bytes)
	}
	for _, a := range m.Adapters {
		if _, aerr := s.stat(a); err == nil && aerr != nil {
			err = fmt.Errorf("adapter: %w", aerr)
		}
	}
	if err != nil {
		if _, gone := os.Lstat(path); gone != nil {
			return m, gone
		}
	}
	return m, err
}

func (s *Store) lookAtDownloads(r *Report) error {
	entries, err := readDirIfThere(filepath.Join(s.dir, partialDir), maxFiles)
	if err != nil {
		return err
	}
	for _, e := range entries {
		st, err := e.Info()
		if err != nil || !strings.HasPrefix(e.Name(), pullPrefix) || strings.HasSuffix(e.Name(), stateSuffix) {
			continue
		}
		u := Unfinished{Have: st.Size(), Total: -1, At: st.ModTime()}
		var has state
		if b, err := files.ReadBounded(s.path(partialDir, e.Name()+stateSuffix), maxState); err == nil && unseal(b, &has) == nil {
			u.Total = has.Total
		}
		r.Unfinished = append(r.Unfinished, u)
	}
	return nil
}

// readDirIfThere takes a folder that is not there for an empty one.
func readDirIfThere(dir string, most int) ([]os.DirEntry, error) {
	entries, err := readDir(dir, most)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return entries, err
}
