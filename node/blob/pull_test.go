package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// remote is a server of one file that misbehaves as it is told. Handlers are used up
// one a request; the last one stays.
type remote struct {
	*httptest.Server
	mu     sync.Mutex
	script []http.HandlerFunc
	asked  []string // the Range of each request
}

func serve(t *testing.T, script ...http.HandlerFunc) *remote {
	r := &remote{script: script}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.asked = append(r.asked, req.Header.Get("Range"))
		h := r.script[0]
		if len(r.script) > 1 {
			r.script = r.script[1:]
		}
		r.mu.Unlock()
		h(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

// good serves bytes as servers should.
func good(b []byte, etag string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if etag != "" {
			w.Header().Set("ETag", etag)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	}
}

// cut breaks the connection after n bytes of what h would send.
func cut(h http.HandlerFunc, n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h(&cutter{ResponseWriter: w, left: n}, r)
		panic(http.ErrAbortHandler)
	}
}

type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, io.ErrClosedPipe
	}
	n, err := c.ResponseWriter.Write(b[:min(len(b), c.left)])
	c.Flush()
	if c.left -= n; err == nil && n < len(b) {
		err = io.ErrClosedPipe
	}
	return n, err
}

func (c *cutter) Flush() { c.ResponseWriter.(http.Flusher).Flush() }

// stalled sends what h would send of n bytes and then nothing.
func stalled(h http.HandlerFunc, n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h(&cutter{ResponseWriter: w, left: n}, r)
		<-r.Context().Done()
	}
}

func answer(code int, header string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if name, value, ok := strings.Cut(header, ": "); ok {
			w.Header().Set(name, value)
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(code)
		w.Write(body)
	}
}

// chunked says no length.
func chunked(b []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		w.Write(b)
	}
}

// unframed is HTTP/1.0: no length, and the end of the connection is the end.
func unframed(b []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, out, err := w.(http.Hijacker).Hijack()
		if err == nil {
			out.WriteString("HTTP/1.0 200 OK\r\n\r\n")
			out.Write(b)
			out.Flush()
			c.Close()
		}
	}
}

func TestPull(t *testing.T) {
	file, other := noise(1, 3<<20), noise(2, 3<<20)
	one, two := good(file, `"1"`), good(other, `"2"`)
	plain := good(file, "")
	known := Source{Want: digestOf(file)}
	refused := errors.New("no model")
	liar := func(says int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(says))
			w.Write(file[:min(says, len(file))])
		}
	}
	for name, c := range map[string]struct {
		script []http.HandlerFunc
		src    Source
		o      PullOptions
		got    []byte // nil: refused
		err    error
		text   string   // in the error
		asked  []string // nil: not looked at
	}{
		"whole":        {script: []http.HandlerFunc{one}, got: file, asked: []string{""}},
		"known":        {script: []http.HandlerFunc{one}, src: Source{Want: digestOf(file), Bytes: 3 << 20}, got: file},
		"empty":        {script: []http.HandlerFunc{good(nil, "")}, got: []byte{}},
		"cut twice":    {script: []http.HandlerFunc{cut(one, 1<<20), cut(one, 1<<20), one}, got: file, asked: []string{"", "bytes=1048576-", "bytes=2097152-"}},
		"cut, no ETag": {script: []http.HandlerFunc{cut(good(other, ""), 1<<20), plain}, got: file, asked: []string{"", ""}},
		"no If-Range": {script: []http.HandlerFunc{cut(two, 1<<20), func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("If-Range")
			one(w, r)
		}}, got: file, asked: []string{"", "bytes=1048576-", ""}},
		"weak ETag":     {script: []http.HandlerFunc{cut(good(file, `W/"1"`), 1<<20), good(file, `W/"1"`)}, src: known, got: file},
		"cut at once":   {script: []http.HandlerFunc{cut(one, 0)}, err: errCut, text: "6 tries"},
		"cut always":    {script: []http.HandlerFunc{cut(one, 100)}, err: errCut},
		"cut each MiB":  {script: []http.HandlerFunc{cut(one, 1<<20)}, got: file},
		"changed":       {script: []http.HandlerFunc{cut(one, 1<<20), two}, got: other, asked: []string{"", "bytes=1048576-"}},
		"changed, bad":  {script: []http.HandlerFunc{cut(one, 1<<20), two}, src: known, err: ErrMismatch},
		"changes ever":  {script: []http.HandlerFunc{cut(one, 1<<20), cut(two, 1<<20), cut(one, 1<<20), cut(two, 1<<20), cut(one, 1<<20), cut(two, 1<<20), cut(one, 1<<20), cut(two, 1<<20), one}, err: errCut},
		"no ETag, new":  {script: []http.HandlerFunc{cut(good(other, ""), 1<<20), plain}, src: known, got: file, asked: []string{"", "bytes=1048576-", ""}},
		"shorter":       {script: []http.HandlerFunc{cut(one, 2<<20), good(file[:1<<20], `"1"`)}, got: file[:1<<20], asked: []string{"", "bytes=2097152-", ""}},
		"no ranges":     {script: []http.HandlerFunc{cut(one, 1<<20), answer(200, `ETag: "1"`, file)}, got: file},
		"wrong range":   {script: []http.HandlerFunc{cut(one, 1<<20), answer(206, "Content-Range: bytes 5-3145727/3145728", file[5:]), one}, got: file},
		"range skips":   {script: []http.HandlerFunc{cut(one, 1<<20), answer(206, "Content-Range: bytes 1048581-3145727/3145728", file[1<<20+5:]), one}, got: file},
		"no range said": {script: []http.HandlerFunc{cut(one, 1<<20), answer(206, "", file[1<<20:]), one}, got: file},
		"another total": {script: []http.HandlerFunc{cut(one, 1<<20), answer(206, "Content-Range: bytes 1048576-1048576/1048577", file[:1]), one}, got: file},
		"range unasked": {script: []http.HandlerFunc{answer(206, "Content-Range: bytes 0-4/5", file[:5])}, text: "206"},
		"range longer": {script: []http.HandlerFunc{cut(one, 3<<20-5), func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", "bytes 3145723-3145727/3145728")
			w.WriteHeader(206)
			w.Write(file[:100])
		}, one}, got: file},
		"says more":     {script: []http.HandlerFunc{liar(3<<20 + 5)}, err: errCut},
		"says less":     {script: []http.HandlerFunc{liar(100)}, src: known, err: ErrMismatch},
		"too large":     {script: []http.HandlerFunc{one}, o: PullOptions{Limit: 3<<20 - 1}, err: ErrTooLarge},
		"endless":       {script: []http.HandlerFunc{chunked(append(bytes.Clone(file), file...))}, src: known, o: PullOptions{Limit: 3 << 20}, err: ErrTooLarge},
		"wrong length":  {script: []http.HandlerFunc{one}, src: Source{Want: digestOf(file), Bytes: 5}, err: ErrMismatch},
		"no length":     {script: []http.HandlerFunc{chunked(file)}, text: "give its digest"},
		"chunked":       {script: []http.HandlerFunc{cut(chunked(file), 1<<20), chunked(file)}, src: known, got: file},
		"unframed cut":  {script: []http.HandlerFunc{unframed(file[:1<<20])}, src: known, err: ErrMismatch},
		"unframed":      {script: []http.HandlerFunc{unframed(file)}, src: known, got: file},
		"garbage":       {script: []http.HandlerFunc{answer(200, "", []byte("<html>sign in</html>"))}, o: PullOptions{Check: func(string) error { return refused }}, err: refused},
		"garbage known": {script: []http.HandlerFunc{answer(200, "", []byte("<html>sign in</html>"))}, src: known, err: ErrMismatch},
		"no HTTP": {script: []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				c.Write(file[:1000])
				c.Close()
			}
		}}, text: "malformed"},
		"stalls":        {script: []http.HandlerFunc{stalled(one, 1<<20), one}, got: file},
		"never answers": {script: []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}, err: errStalled},
		"overloaded":    {script: []http.HandlerFunc{answer(503, "", nil), answer(429, "", nil), answer(500, "", nil), one}, got: file},
		"missing":       {script: []http.HandlerFunc{answer(404, "", nil)}, err: ErrNotFound, asked: []string{""}},
		"private":       {script: []http.HandlerFunc{answer(401, "", nil)}, text: "401 Unauthorized", asked: []string{""}},
		"circle": {script: []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
		}}, err: errFinal, text: "redirects more than 5 times", asked: []string{"", "", "", "", "", ""}},
		"leads away": {script: []http.HandlerFunc{answer(302, "Location: file:///etc/passwd", nil)}, err: errFinal, asked: []string{""}},
		"redirected": {script: []http.HandlerFunc{answer(302, "Location: /x?sig=1", nil), cut(one, 1<<20), answer(302, "Location: /x?sig=2", nil), one}, got: file,
			asked: []string{"", "", "bytes=1048576-", "bytes=1048576-"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := serve(t, c.script...)
			s := open(t, t.TempDir())
			s.every, s.stall = 100_000, time.Minute
			if name == "stalls" || name == "never answers" {
				s.stall = 300 * time.Millisecond
			}
			c.src.URL = srv.URL + "/m.gguf?token=geheim"
			var last, total int64
			c.o.Progress = func(d, all int64) { last, total = d, all }
			ref, err := s.Pull(ctx, c.src, c.o)
			if c.got != nil {
				if err != nil || ref != (Ref{digestOf(c.got), int64(len(c.got))}) {
					t.Errorf("%v, %v", ref, err)
				}
				if last != ref.Bytes || total != last && total != -1 {
					t.Errorf("the last progress was %d of %d", last, total)
				}
				if _, blobs := sound(t, s); blobs != 1 {
					t.Errorf("%d blobs", blobs)
				}
			} else {
				if err == nil || c.err != nil && !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), "\n") {
					t.Errorf("%v, want %v %s", err, c.err, c.text)
				}
				if _, blobs := sound(t, s); blobs != 0 {
					t.Errorf("%d blobs", blobs)
				}
			}
			srv.mu.Lock()
			defer srv.mu.Unlock()
			if c.asked != nil && !slices.Equal(srv.asked, c.asked) {
				t.Errorf("asked for %q, want %q", srv.asked, c.asked)
			}
			// Only what can be gone on with stays.
			if left := partials(t, s); c.got != nil && len(left) != 0 || c.err != errCut && c.err != errStalled && len(left) != 0 {
				t.Errorf("%q is left", left)
			}
		})
	}
}

// A second store goes on where the first was stopped, trusts nothing that was not
// yet on the disk proper, and downloads nothing that is there.
func TestPullAtARate(t *testing.T) {
	r := serve(t, good(noise(1, 4<<20), ""))
	s := open(t, t.TempDir())
	began := time.Now()
	if _, err := s.Pull(t.Context(), Source{URL: r.URL}, PullOptions{Rate: 20 << 20}); err != nil {
		t.Fatal(err)
	}
	// The first megabyte comes at once.
	if took := time.Since(began); took < 3*time.Second/20 {
		t.Errorf("4 MiB at 20 a second came within %v", took)
	}
}

func TestPullGoesOn(t *testing.T) {
	file := noise(1, 3<<20)
	srv := serve(t, stalled(good(file, `"1"`), 2<<20), good(file, `"1"`))
	dir := t.TempDir()
	s := open(t, dir)
	s.every = 1 << 18
	src := Source{URL: srv.URL}
	stop, cancel := context.WithCancelCause(ctx)
	tired := errors.New("tired")
	_, err := s.Pull(stop, src, PullOptions{Progress: func(done, _ int64) {
		if done >= 1<<20 {
			cancel(tired)
		}
	}})
	if !errors.Is(err, tired) {
		t.Fatal(err)
	}
	left := partials(t, s)
	if len(left) != 2 {
		t.Fatalf("%q", left)
	}
	f, err := os.OpenFile(s.path(partialDir, left[0]), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	st, _ := f.Stat()
	// What the power failed to bring to the disk may read as anything.
	if _, err := f.Write(make([]byte, 12345)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	s = open(t, dir)
	ref, err := s.Pull(ctx, src, PullOptions{})
	if err != nil || ref.Digest != digestOf(file) {
		t.Fatal(ref, err)
	}
	if want := []string{"", fmt.Sprintf("bytes=%d-", st.Size())}; !slices.Equal(srv.asked, want) || st.Size() < 1<<20 {
		t.Errorf("asked for %q, want %q", srv.asked, want)
	}
	if ref, err := s.Pull(ctx, Source{URL: srv.URL, Want: ref.Digest}, PullOptions{}); err != nil || ref.Bytes != 3<<20 || len(srv.asked) != 2 {
		t.Error(ref, err, srv.asked)
	}
	sound(t, s)
}

// One that is cancelled while it looks at what is here loses nothing of it.
func TestPullCancelled(t *testing.T) {
	file := noise(1, 1<<20)
	srv := serve(t, cut(good(file, `"1"`), 1<<19), answer(404, "", nil), good(file, `"1"`))
	s := open(t, t.TempDir())
	if _, err := s.Pull(ctx, Source{URL: srv.URL}, PullOptions{}); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(ctx)
	end()
	if _, err := s.Pull(ended, Source{URL: srv.URL}, PullOptions{}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if ref, err := s.Pull(ctx, Source{URL: srv.URL}, PullOptions{}); err != nil || ref.Digest != digestOf(file) {
		t.Fatal(ref, err)
	}
	if want := []string{"", "bytes=524288-", "bytes=524288-"}; !slices.Equal(srv.asked, want) {
		t.Errorf("asked for %q, want %q", srv.asked, want)
	}
}

// A state that is damaged, or of a file that shrank, costs a download, not a model.
func TestPullDamagedState(t *testing.T) {
	file := noise(1, 1<<20)
	for name, harm := range map[string]func(data, st string) error{
		"state torn":   func(_, st string) error { return os.Truncate(st, 20) },
		"state gone":   func(_, st string) error { return os.Remove(st) },
		"data shorter": func(data, _ string) error { return os.Truncate(data, 100) },
		"data gone":    func(data, _ string) error { return os.Remove(data) },
		"state huge":   func(_, st string) error { return os.WriteFile(st, []byte(strings.Repeat("x", maxState+1)), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			srv := serve(t, cut(good(file, `"1"`), 1<<19), answer(404, "", nil), good(file, `"1"`))
			s := open(t, t.TempDir())
			if _, err := s.Pull(ctx, Source{URL: srv.URL}, PullOptions{}); !errors.Is(err, ErrNotFound) {
				t.Fatal(err)
			}
			left := partials(t, s)
			if len(left) != 2 {
				t.Fatalf("%q", left)
			}
			if err := harm(s.path(partialDir, left[0]), s.path(partialDir, left[1])); err != nil {
				t.Fatal(err)
			}
			ref, err := s.Pull(ctx, Source{URL: srv.URL}, PullOptions{})
			if err != nil || ref.Digest != digestOf(file) || len(partials(t, s)) != 0 {
				t.Error(ref, err, partials(t, s))
			}
			if !slices.Equal(srv.asked, []string{"", "bytes=524288-", ""}) {
				t.Errorf("asked for %q", srv.asked)
			}
		})
	}
}

// Of two pulls of the same thing one is told that the other runs.
func TestPullTwice(t *testing.T) {
	file := noise(1, 1<<20)
	reached, free := make(chan bool), make(chan bool)
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		close(reached)
		<-free
		good(file, `"1"`)(w, r)
	})
	dir := t.TempDir()
	s, other := open(t, dir), open(t, dir)
	done := make(chan error)
	go func() {
		_, err := s.Pull(ctx, Source{URL: srv.URL}, PullOptions{})
		done <- err
	}()
	<-reached
	if _, err := other.Pull(ctx, Source{URL: srv.URL}, PullOptions{}); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	if w, err := other.GC(0); err != nil || w != (Swept{}) {
		t.Errorf("%+v, %v", w, err)
	}
	close(free)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, blobs := sound(t, other); blobs != 1 || len(partials(t, s)) != 0 {
		t.Error(blobs, partials(t, s))
	}
}

// The disk is asked before the bytes come, and what is here stays for later.
func TestPullNoSpace(t *testing.T) {
	file := noise(1, 3<<20)
	var sent atomic.Int64
	srv := serve(t, cut(good(file, `"1"`), 1<<20), func(w http.ResponseWriter, r *http.Request) {
		sent.Add(1)
		good(file, `"1"`)(w, r)
	})
	s := open(t, t.TempDir())
	free := s.free
	s.every = 1 << 20
	full := false
	s.free = func(dir string) (int64, error) {
		if sent.Load() == 1 && full {
			return MinFree + 2<<20 - 1, nil
		}
		return free(dir)
	}
	full = true
	if _, err := s.Pull(ctx, Source{URL: srv.URL}, PullOptions{}); !errors.Is(err, ErrNoSpace) {
		t.Fatal(err)
	}
	full = false
	if ref, err := s.Pull(ctx, Source{URL: srv.URL}, PullOptions{}); err != nil || ref.Digest != digestOf(file) {
		t.Fatal(ref, err)
	}
	if want := []string{"", "bytes=1048576-", "bytes=1048576-"}; !slices.Equal(srv.asked, want) {
		t.Errorf("asked for %q, want %q", srv.asked, want)
	}
}

func TestPullBadURL(t *testing.T) {
	s := open(t, t.TempDir())
	for _, u := range []string{"", "m.gguf", "/etc/passwd", "file:///etc/passwd", "ftp://h/x", "http://", "http:///x", "https://h/\x00", "https://h/%zz", "https://h/" + strings.Repeat("x", maxURL)} {
		if _, err := s.Pull(ctx, Source{URL: u}, PullOptions{}); !errors.Is(err, ErrBadName) {
			t.Errorf("%.60q: %v", u, err)
		}
	}
	secure := httptest.NewTLSServer(http.RedirectHandler("http://127.0.0.1:1/x", http.StatusFound))
	defer secure.Close()
	if _, err := s.Pull(ctx, Source{URL: secure.URL}, PullOptions{Client: secure.Client()}); !errors.Is(err, errFinal) {
		t.Error("went from https to http: ", err)
	}
	if _, err := s.Pull(ctx, Source{URL: secure.URL}, PullOptions{}); err == nil || strings.Contains(err.Error(), "tries") || !strings.Contains(err.Error(), "certificate") {
		t.Error("tried a bad certificate again: ", err)
	}
	if left := partials(t, s); len(left) != 0 {
		t.Errorf("%q is left", left)
	}
}
