package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/time/rate"

	"omx/node/files"
)

const stateSuffix = ".json"

// download is a file in partial/ that grows, and may outlive its process.
type download struct {
	*sink
	src      Source
	progress func(done, total int64)
	state    state
	resumed  bool // some bytes are of an earlier request
	done     bool // the file is a blob, or gone
	pace     *rate.Limiter
}

// state is what must be known to go on with a download after a crash.
type state struct {
	URL   string `json:"url"`            // hashed: it may hold a password
	ETag  string `json:"etag,omitempty"` // strong, or none
	Total int64  `json:"total"`          // bytes of the whole file; -1 if it is not known
	Have  int64  `json:"have"`           // bytes that are on the disk proper; what lies behind may be anything
}

// openDownload finds what is here of a URL's file. Nobody else touches it until it
// is closed.
func (s *Store) openDownload(ctx context.Context, src Source, o PullOptions) (*download, error) {
	sum := sha256.Sum256([]byte(src.URL))
	key := hex.EncodeToString(sum[:])
	f, err := openLocked(s.path(partialDir, pullPrefix+key[:32]), os.O_RDWR|os.O_CREATE)
	if errors.Is(err, ErrBusy) {
		return nil, fmt.Errorf("it %w: another pull of it runs; wait for its end", ErrBusy)
	} else if err != nil {
		return nil, err
	}
	d := &download{sink: s.sink(f, o.Limit), src: src, progress: o.Progress}
	if d.pace = rate.NewLimiter(rate.Inf, 0); o.Rate > 0 {
		d.pace = rate.NewLimiter(rate.Limit(o.Rate), bufferSize)
	}
	if d.progress == nil {
		d.progress = func(int64, int64) {}
	}
	if err := d.load(ctx, key); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// load takes over what is certainly on the disk.
func (d *download) load(ctx context.Context, key string) error {
	st, err := d.f.Stat()
	if err != nil {
		return err
	}
	b, err := files.ReadBounded(d.statePath(), maxState)
	if err == nil {
		err = unseal(b, &d.state)
	}
	// In doubt it begins at the first byte.
	if err != nil || d.state.URL != key || d.state.Have < 0 || d.state.Have > min(st.Size(), d.limit) ||
		!d.mayResume() {
		d.state = state{URL: key, Total: -1}
	}
	if err := d.f.Truncate(d.state.Have); err != nil {
		return err
	}
	d.n, err = io.CopyBuffer(struct{ io.Writer }{d.h}, reader{ctx, d.f}, make([]byte, bufferSize))
	d.resumed = d.n > 0
	return err
}

// mayResume tells whether it would be noticed that the rest is of another file.
func (d *download) mayResume() bool { return d.state.ETag != "" || !d.src.Want.IsZero() }

// restart forgets the bytes.
func (d *download) restart(etag string, total int64) error {
	if err := d.f.Truncate(0); err != nil {
		return err
	}
	if _, err := d.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	d.h.Reset()
	d.n, d.checked, d.resumed = 0, 0, false
	d.state.ETag, d.state.Total, d.state.Have = etag, total, 0
	return d.keep()
}

// save brings the bytes to the disk and then says that they are there.
func (d *download) save() error {
	if d.state.Have == d.n {
		return nil
	}
	d.s.step("sync file")
	if err := d.f.Sync(); err != nil {
		return noSpace(err)
	}
	d.state.Have = d.n
	return d.keep()
}

func (d *download) keep() error {
	b, err := seal(&d.state)
	if err != nil {
		return err
	}
	return noSpace(d.s.write(d.statePath(), b))
}

func (d *download) statePath() string { return d.f.Name() + stateSuffix }

// discard removes what must not be gone on with.
func (d *download) discard() {
	if !d.done {
		os.Remove(d.statePath())
		os.Remove(d.f.Name())
		d.done = true
	}
}

// close leaves what a later Pull can go on with.
func (d *download) close() {
	if d.n == 0 && d.state.Have == 0 {
		d.discard()
	}
	d.f.Close()
}
