package blob

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"time"
)

// Source is a file that can be downloaded.
type Source struct {
	URL string // http or https
	// Want is its digest. If it is zero, the first download is trusted: the file is
	// whatever the server gave, and who names it should say so.
	Want  Digest
	Bytes int64 // its length; 0 if it is not known
}

// PullOptions are how Pull goes about it; the zero value is usable.
type PullOptions struct {
	Client *http.Client // nil: one of its own, which minds the proxies of the environment
	Limit  int64        // most bytes, 1 to MaxBlob; 0: MaxBlob
	Check  Check        // may refuse the file; nil: anything is stored
	Rate   int64        // bytes a second, at least a megabyte at a time; 0: as fast as it goes
	// Progress is told how many bytes of how many are here, by the goroutine of Pull,
	// about once a megabyte; total is -1 while it is not known. Done falls if the
	// file changes on its server.
	Progress func(done, total int64)
}

// Pull downloads a file and stores it. It goes on where an earlier Pull of the same
// URL ended, be it in another process, as long as the server says by a strong ETag
// that the file is the same, or Want is known. A blob that is there already is not
// downloaded. There is no limit on the time as a whole; a minute without a byte is
// a failed try, and so are broken connections and the server's own faults (5xx, 408,
// 429); after 6 that brought nothing new Pull gives up, and keeps what it has.
//
// Errors: ErrBusy while another Pull of that URL runs, here or in another process,
// ErrBadName (the URL), ErrNotFound (404 and 410), ErrMismatch (digest or length),
// ErrTooLarge, ErrNoSpace, the context's and check's.
func (s *Store) Pull(ctx context.Context, src Source, o PullOptions) (Ref, error) {
	u, err := parseURL(src.URL)
	if err != nil {
		return Ref{}, err
	}
	if ref, ok, err := s.already(src.Want, o.Check); ok || err != nil {
		return ref, err
	}
	ref, err := s.pull(ctx, src, o)
	if err != nil {
		return Ref{}, fmt.Errorf("pull %s: %w", bare(u), err)
	}
	return ref, nil
}

func (s *Store) pull(ctx context.Context, src Source, o PullOptions) (Ref, error) {
	client, done := ownClient(o.Client)
	defer done()
	d, err := s.openDownload(ctx, src, o)
	if err != nil {
		return Ref{}, err
	}
	defer d.close()
	if err := d.fetchAll(ctx, client); err != nil {
		if errors.Is(err, ErrTooLarge) {
			d.discard()
		}
		return Ref{}, err
	}
	ref, err := s.finish(d.sink, src.Want, o.Check)
	switch {
	case errors.Is(err, ErrNoSpace), errors.Is(err, ErrBusy):
		return ref, err // the bytes are good
	case errors.Is(err, ErrMismatch) && d.resumed:
		// Without an ETag the beginning may be of an older file.
		d.resumed = false
		if err := d.restart("", -1); err != nil {
			return ref, err
		}
		if err := d.fetchAll(ctx, client); err != nil {
			return ref, err
		}
		ref, err = s.finish(d.sink, src.Want, o.Check)
	}
	if err != nil {
		d.discard()
		return ref, err
	}
	os.Remove(d.statePath()) // one that stays is swept, or found to belong to nothing
	d.done = true
	return ref, nil
}

// fetchAll tries until the file is whole.
func (d *download) fetchAll(ctx context.Context, client *http.Client) error {
	best, wait := d.n, d.s.backoff
	for tries := 1; ; tries++ {
		again, err := d.fetch(ctx, client)
		err = errors.Join(err, d.save())
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !again:
			return err
		case d.n >= best+triedProgress: // farther than ever: this is a bad line, not a bad server
			best, tries, wait = d.n, 0, d.s.backoff
		case tries >= maxTries:
			return fmt.Errorf("%w; %d tries brought nothing new, try again later", err, tries)
		}
		// Not all clients of a server that comes back may come at once.
		timer := time.NewTimer(wait/2 + rand.N(wait/2+1))
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
		wait = min(2*wait, maxBackoff)
	}
}

// ownClient bounds redirects, and leaves no connection behind that it has opened.
func ownClient(given *http.Client) (*http.Client, func()) {
	client, done := http.Client{}, func() {}
	if given != nil {
		client = *given
	} else {
		t := http.DefaultTransport.(*http.Transport).Clone()
		client.Transport, done = t, t.CloseIdleConnections
	}
	client.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		switch {
		case len(via) > maxRedirects:
			return fmt.Errorf("%w: the server redirects more than %d times", errFinal, maxRedirects)
		case r.URL.Scheme != "https" && (via[0].URL.Scheme == "https" || r.URL.Scheme != "http"):
			return fmt.Errorf("%w: the server redirects from %s to %s", errFinal, via[0].URL.Scheme, r.URL.Scheme)
		}
		return nil
	}
	return &client, done
}

// parseURL accepts absolute http and https URLs.
func parseURL(s string) (*url.URL, error) {
	if len(s) > maxURL {
		return nil, fmt.Errorf("URL of %d bytes %w: %d are possible", len(s), ErrBadName, maxURL)
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("URL %w: write https://host/file.gguf", ErrBadName) // without it: it may hold a password
	}
	return u, nil
}

// bare is a URL that may be shown: passwords and signatures are not in it.
func bare(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
