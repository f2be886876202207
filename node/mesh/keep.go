package mesh

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// requestStream is the asking end of a stream that carries one request after
// another.
type requestStream struct {
	network.Stream
	reader *frameReader
	buf    []byte    // to be sent before the next request
	cancel func()    // resets it; kept, since a method value is made anew each time
	idleAt time.Time // when it was kept
}

// ask sends a request, or resets the stream.
func (s *requestStream) ask(u use, request []byte) error {
	at := len(s.buf)
	b := append(u.append(appendHeader(s.buf, kindRequest, 0)), request...)
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-headerLen))
	if s.buf = nil; cap(b) <= keepBuffer {
		s.buf = b[:0]
	}
	for len(b) > 0 {
		n := min(len(b), writeChunk)
		_ = s.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := s.Write(b[:n]); err != nil {
			_ = s.Reset()
			return err
		}
		b = b[n:]
	}
	return nil
}

// askFor sends a request for as long as ctx lasts: one that nobody reads may take
// long to send.
func (s *requestStream) askFor(ctx context.Context, u use, request []byte) (stop func() bool, err error) {
	stop = context.AfterFunc(ctx, s.cancel)
	if err = s.ask(u, request); err != nil {
		stop()
	}
	return stop, err
}

// kept are the idle request streams of one connection, those used last at the
// end: taken from there, few are in use and the others grow old.
type kept struct {
	mu   sync.Mutex
	idle []*requestStream
}

// take returns a stream that may be used at once, nil if there is none.
func (k *kept) take(now time.Time) *requestStream {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := len(k.idle) - 1
	if n < 0 || now.Sub(k.idle[n].idleAt) > keepFor {
		return nil // expire closes them
	}
	s := k.idle[n]
	k.idle[n] = nil
	k.idle = k.idle[:n]
	return s
}

// put keeps a stream whose answer is complete; false if there are enough.
func (k *kept) put(s *requestStream, most int, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.idle) >= most {
		return false
	}
	s.idleAt = now
	k.idle = append(k.idle, s)
	return true
}

// expire closes what has not been used for keepFor.
func (k *kept) expire(now time.Time) {
	k.mu.Lock()
	n := 0
	for n < len(k.idle) && now.Sub(k.idle[n].idleAt) > keepFor {
		n++
	}
	gone := append([]*requestStream(nil), k.idle[:n]...)
	left := copy(k.idle, k.idle[n:])
	clear(k.idle[left:])
	k.idle = k.idle[:left]
	k.mu.Unlock()
	for _, s := range gone {
		_ = s.Stream.Close()
	}
}
