package blob

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Ref is a file in the store.
type Ref struct {
	Digest Digest
	Bytes  int64
}

// Check is asked about a whole file before it can be found in the store: an error
// of it refuses the file. The path is good during the call only.
type Check func(path string) error

// Store is the folder of one machine's models. Its methods may be called by many
// goroutines and, on one folder, from many processes.
type Store struct {
	dir string

	mu   sync.Mutex
	seen seen // what Names read last

	// Tests set these.
	free    func(dir string) (int64, error)
	step    func(name string) // called before each change on disk: where a crash may come
	stall   time.Duration
	backoff time.Duration
	every   int64 // bytes: syncEvery
}

// What the folder holds, and how what is in partial/ begins.
const (
	blobDir     = "blobs"
	manifestDir = "manifests"
	partialDir  = "partial"
	lockFile    = "lock"

	blobPrefix = "sha256-"
	tempPrefix = "new-"   // an upload, an import or a manifest, until it has its place
	pullPrefix = "pull-"  // a download, which may go on after a restart
	askedMark  = "asked-" // empty: when a blob without a name was last put or asked for
)

// Open opens the store in a folder, which is made if it is not there, and removes
// what crashes have left of uploads and imports. An error names the folder.
func Open(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open store of models: %w", err)
	}
	s := &Store{dir: dir, free: diskFree, step: func(string) {}, stall: stallAfter, backoff: firstBackoff, every: syncEvery}
	for _, d := range []string{blobDir, manifestDir, partialDir} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, fmt.Errorf("open store of models: %w", err)
		}
	}
	syncDir(filepath.Dir(dir)) // best effort: a parent may be one that we cannot read
	if err := syncDir(dir); err != nil {
		return nil, fmt.Errorf("open store of models: %w", err)
	}
	if err := s.change(func() error { return s.sweep(&Swept{}) }); err != nil {
		return nil, fmt.Errorf("open store of models: %w", err)
	}
	return s, nil
}

func (s *Store) path(folder, name string) string { return filepath.Join(s.dir, folder, name) }
func (s *Store) blob(d Digest) string            { return s.path(blobDir, blobPrefix+d.Hex()) }
func (s *Store) mark(d Digest) string            { return s.path(partialDir, askedMark+d.Hex()) }

// change runs f while nobody else changes names or blobs. f must be brief: others
// wait for at most 10 s and then fail with ErrBusy.
func (s *Store) change(f func() error) error {
	for end := time.Now().Add(lockWait); ; time.Sleep(lockPoll) {
		l, err := openLocked(filepath.Join(s.dir, lockFile), os.O_RDWR|os.O_CREATE)
		if errors.Is(err, ErrBusy) && time.Now().Before(end) {
			continue
		} else if err != nil {
			return err
		}
		defer l.Close()
		return f()
	}
}

// stat says how many bytes a blob has, or ErrNotFound.
func (s *Store) stat(d Digest) (int64, error) {
	st, err := os.Lstat(s.blob(d))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, fmt.Errorf("blob %s %w", d, ErrNotFound)
	case err != nil:
		return 0, err
	case !st.Mode().IsRegular():
		return 0, fmt.Errorf("blob %s %w: %s is no regular file", d, ErrDamaged, s.blob(d))
	}
	return st.Size(), nil
}

// Has tells whether a blob is stored, and keeps one that has no name from GC for
// as long as if it had been put now.
func (s *Store) Has(d Digest) (has bool, err error) {
	err = s.change(func() error {
		if _, err := s.stat(d); err != nil {
			return err
		}
		has = true
		return s.touch(d)
	})
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return has, err
}

// Path is where a blob lies, for reading only, or ErrNotFound. It stays there
// until its last name is removed.
func (s *Store) Path(d Digest) (string, error) {
	_, err := s.stat(d)
	return s.blob(d), err
}

// Open opens a blob for reading, or says ErrNotFound. What is open can be read to
// its end, whatever is removed meanwhile.
func (s *Store) Open(d Digest) (*os.File, error) {
	if _, err := s.stat(d); err != nil {
		return nil, err
	}
	return os.Open(s.blob(d))
}

// touch notes that a blob was asked for now.
func (s *Store) touch(d Digest) error {
	now := time.Now()
	return errors.Join(os.WriteFile(s.mark(d), nil, 0o600), os.Chtimes(s.mark(d), now, now))
}

// temp makes a file in partial/ that nobody else touches while it is open.
func (s *Store) temp() (*os.File, error) {
	return openLocked(s.path(partialDir, tempPrefix+rand.Text()), os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

// place moves a file, whose bytes are on the disk, to its place.
func (s *Store) place(temp, path string) error {
	s.step("rename")
	if err := os.Rename(temp, path); err != nil {
		return err // across file systems, if folders of the store were moved apart
	}
	s.step("sync folder")
	return syncDir(filepath.Dir(path))
}

// syncDir brings what a folder says of its files to the disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil // or the file system syncs no folders: then this is the best it has
}
