package blob

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
)

// Verify reads a blob again, at the speed of the disk, and says ErrMismatch if its
// bytes are no longer those of its digest. It stays where it is, and is not fetched
// again before its names are removed: a bad cable must not cost a good file.
func (s *Store) Verify(ctx context.Context, d Digest) error {
	f, err := s.Open(d)
	if err != nil {
		return err
	}
	defer f.Close()
	got, _, err := hashFile(ctx, f)
	if err == nil && got != d {
		err = fmt.Errorf("blob %s %w: its bytes have changed to %s; remove the models that use it and fetch them again", d, ErrMismatch, got)
	}
	return err
}

// hashFile reads a file from where it is to its end.
func hashFile(ctx context.Context, f *os.File) (d Digest, n int64, err error) {
	h := sha256.New()
	n, err = io.CopyBuffer(struct{ io.Writer }{h}, reader{ctx, f}, make([]byte, bufferSize))
	h.Sum(d.sum[:0])
	return d, n, err
}
