package mesh

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestFrameReader(t *testing.T) {
	big := bytes.Repeat([]byte{7}, MaxRequest)
	head := func(k kind, n uint32) []byte {
		return append(binary.BigEndian.AppendUint32(nil, n), byte(k))
	}
	for _, c := range []struct {
		name string
		in   []byte
		want error
	}{
		{"empty stream", nil, io.EOF},
		{"half a header", []byte{0, 0}, io.ErrUnexpectedEOF},
		{"header without payload", head(kindToken, 5), io.ErrUnexpectedEOF},
		{"empty payload", head(kindDone, 0), nil},
		{"longest request", appendFrame(nil, kindRequest, big), nil},
		{"request too long", head(kindRequest, maxTicketed+1), ErrProtocol},
		{"token too long", head(kindToken, MaxFrame+1), ErrProtocol},
		{"length wraps", head(kindToken, math.MaxUint32), ErrProtocol},
		{"unknown kind", head(99, 1), ErrProtocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, body, err := newFrameReader(bytes.NewReader(c.in)).next()
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if err == nil && !bytes.Equal(body, c.in[headerLen:]) {
				t.Fatal("payload differs")
			}
		})
	}
}

// A length is only believed as far as bytes arrive.
func TestFrameReaderGrowsWithData(t *testing.T) {
	announced := appendHeader(nil, kindRequest, MaxRequest)
	r := newFrameReader(bytes.NewReader(append(announced, make([]byte, 10)...)))
	if _, _, err := r.next(); err != io.ErrUnexpectedEOF {
		t.Fatalf("got %v", err)
	}
	if len(r.buf) > readBuffer {
		t.Fatalf("buffer grew to %d bytes for 15", len(r.buf))
	}
}

func TestFrameReaderGivesUpWithoutProgress(t *testing.T) {
	if _, _, err := newFrameReader(stuck{}).next(); err != io.ErrNoProgress {
		t.Fatalf("got %v", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestTokenPathDoesNotAllocate(t *testing.T) {
	text := []byte(" token")
	one := appendToken(nil, text, 3)
	buf := make([]byte, 0, len(one))
	if n := testing.AllocsPerRun(1000, func() { buf = appendToken(buf[:0], text, 3) }); n != 0 {
		t.Errorf("encode: %v allocations", n)
	}
	src := bytes.NewReader(bytes.Repeat(one, 200))
	r := newFrameReader(src)
	if n := testing.AllocsPerRun(1000, func() {
		if src.Len() == 0 && r.pos == r.end {
			_, _ = src.Seek(0, io.SeekStart)
		}
		_, p, err := r.next()
		if tok, perr := parseToken(p); err != nil || perr != nil || tok.N != 3 || !bytes.Equal(tok.Text, text) {
			t.Fatalf("got %v %v %v", tok, err, perr)
		}
	}); n != 0 {
		t.Errorf("decode: %v allocations", n)
	}
}

func TestRefusalAndFailureFrames(t *testing.T) {
	long := strings.Repeat("ä", maxMessage)
	for _, c := range []struct {
		name string
		in   RefusedError
		want RefusedError
	}{
		{"plain", RefusedError{CodeBusy, 1500 * time.Millisecond, "full"}, RefusedError{CodeBusy, 1500 * time.Millisecond, "full"}},
		{"negative wait", RefusedError{CodeShed, -time.Second, ""}, RefusedError{CodeShed, 0, ""}},
		{"endless wait", RefusedError{CodeShed, math.MaxInt64, ""}, RefusedError{CodeShed, maxRetryAfter, ""}},
		{"long message", RefusedError{CodeInternal, 0, long}, RefusedError{CodeInternal, 0, long[:maxMessage]}},
		{"not text", RefusedError{CodeInternal, 0, "a\xffb"}, RefusedError{CodeInternal, 0, "ab"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, p, err := newFrameReader(bytes.NewReader(appendRefused(nil, &c.in))).next()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := parseRefused(p); err != nil || *got != c.want {
				t.Fatalf("got %+v %v", got, err)
			}
			_, p, err = newFrameReader(bytes.NewReader(appendFailed(nil, &FailedError{c.in.Code, c.in.Message}))).next()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := parseFailed(p); err != nil || got.Code != c.want.Code || got.Message != c.want.Message {
				t.Fatalf("got %+v %v", got, err)
			}
		})
	}
}

// However a stream is cut into reads, the same frames come out.
func FuzzFrameReader(f *testing.F) {
	f.Add(appendFrame(appendToken(nil, []byte("a"), 1), kindDone, nil))
	f.Add(appendRefused(nil, &RefusedError{Code: CodeBusy}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, byte(kindRequest)})
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, bytewise := newFrameReader(bytes.NewReader(b)), newFrameReader(iotest.OneByteReader(bytes.NewReader(b)))
		used := 0
		for {
			k, p, err := whole.next()
			k2, p2, err2 := bytewise.next()
			if k != k2 || !bytes.Equal(p, p2) || (err == nil) != (err2 == nil) {
				t.Fatalf("%v %x %v against %v %x %v", k, p, err, k2, p2, err2)
			}
			if err != nil {
				return
			}
			if used += headerLen + len(p); used > len(b) || !bytes.Equal(p, b[used-len(p):used]) {
				t.Fatal("payload is not what came")
			}
		}
	})
}

func FuzzPayloads(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 9, 'x'})
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if tok, err := parseToken(b); err == nil && !bytes.Equal(appendToken(nil, tok.Text, tok.N)[headerLen:], b) {
			t.Error("token does not come back")
		}
		if e, err := parseRefused(b); err == nil {
			again, err := parseRefused(appendRefused(nil, e)[headerLen:])
			if err != nil || *again != *e || e.RetryAfter > maxRetryAfter || len(e.Message) > maxMessage {
				t.Errorf("refusal %+v becomes %+v (%v)", e, again, err)
			}
		}
		if e, err := parseFailed(b); err == nil {
			again, err := parseFailed(appendFailed(nil, e)[headerLen:])
			if err != nil || *again != *e {
				t.Errorf("failure %+v becomes %+v (%v)", e, again, err)
			}
		}
	})
}
