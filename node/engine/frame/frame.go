package frame

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// Version is of the whole protocol: header and payloads.
const Version = 1

const headerSize = 16

// MaxPayload bounds a frame. The longest is a Job: a prompt has 8 MiB at most, and
// JSON may write one byte as six; the rest is for what surrounds it.
const MaxPayload = 56 << 20

// readStep is how much is allocated before its bytes have arrived: a length in
// a header alone never costs more.
const readStep = 64 << 10

// Kind says what a frame means.
type Kind uint8

const (
	Load     Kind = iota + 1 // node: load this model (LoadConfig); once, first
	Submit                   // node: answer this Job
	Cancel                   // node: the request is not wanted any more
	Ready                    // worker: the model is loaded (Info)
	Failed                   // worker: the model cannot be loaded (Failure); the worker ends
	Piece                    // worker: text of an answer
	End                      // worker: the request is over and its slot free (Result)
	Speed                    // worker: measured speed (Rates)
	Rich                     // worker: a piece of an answer with more to it than its text (Detail)
	Count                    // node: how many tokens has this Job; answered by End alone
	Embed                    // node: make vectors of texts (Texts); answered by Vectors and End
	Vector                   // worker: the next vector; numbers of 4 bytes, little endian
	Progress                 // worker: how much of the model is loaded (Loading)
	Save                     // node: write what the slots remember to a folder (State); answered by End
	Probe                    // node: say what there is to run models on (LoadConfig with Library only); first, and nothing else
	Devices                  // worker: that (Hardware); the worker ends
	kinds
)

// ErrProtocol says that the other end sent what this version does not know.
var ErrProtocol = errors.New("worker protocol violated")

// Frame is one message.
type Frame struct {
	Kind    Kind
	Request uint32 // 0: not about a request
	Tokens  uint32 // output tokens that a Piece covers
	Payload []byte
}

// Reader reads frames. Not safe for concurrent use.
type Reader struct {
	r   io.Reader
	buf []byte
}

// NewReader reads frames from r, which should be buffered.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Next returns the next frame; its payload is valid until the next call. At the
// end of the stream, between two frames, the error is io.EOF.
func (r *Reader) Next() (Frame, error) {
	var h [headerSize]byte
	if _, err := io.ReadFull(r.r, h[:]); err != nil {
		return Frame{}, err
	}
	n := binary.LittleEndian.Uint32(h[0:])
	f := Frame{Kind: Kind(h[5]), Request: binary.LittleEndian.Uint32(h[8:]), Tokens: binary.LittleEndian.Uint32(h[12:])}
	switch {
	case h[4] != Version:
		return f, fmt.Errorf("%w: version %d, want %d", ErrProtocol, h[4], Version)
	case f.Kind == 0 || f.Kind >= kinds || h[6] != 0 || h[7] != 0:
		return f, fmt.Errorf("%w: kind %d", ErrProtocol, f.Kind)
	case f.Tokens != 0 && f.Kind != Piece && f.Kind != Rich:
		return f, fmt.Errorf("%w: token count in kind %d", ErrProtocol, f.Kind)
	case n > MaxPayload:
		return f, fmt.Errorf("%w: payload of %d bytes, at most %d", ErrProtocol, n, MaxPayload)
	}
	if err := r.fill(int(n)); err != nil {
		return f, err
	}
	f.Payload = r.buf[:n]
	return f, nil
}

// fill reads n bytes into buf, which grows only as they arrive.
func (r *Reader) fill(n int) error {
	for have := 0; have < n; {
		next := min(n, max(have+readStep, cap(r.buf)))
		if next > cap(r.buf) {
			grown := make([]byte, next, min(n, max(next, 2*cap(r.buf))))
			copy(grown, r.buf[:have])
			r.buf = grown
		}
		if _, err := io.ReadFull(r.r, r.buf[have:next]); err != nil {
			return io.ErrUnexpectedEOF
		}
		have = next
	}
	return nil
}

// Append adds the frame's bytes to b.
func Append(b []byte, f Frame) []byte {
	var h [headerSize]byte
	binary.LittleEndian.PutUint32(h[0:], uint32(len(f.Payload)))
	h[4], h[5] = Version, byte(f.Kind)
	binary.LittleEndian.PutUint32(h[8:], f.Request)
	binary.LittleEndian.PutUint32(h[12:], f.Tokens)
	return append(append(b, h[:]...), f.Payload...)
}

// Make returns a frame with v as its payload.
func Make(kind Kind, request uint32, v any) (Frame, error) {
	f := Frame{Kind: kind, Request: request}
	if v == nil {
		return f, nil
	}
	var err error
	if f.Payload, err = json.Marshal(v); err != nil {
		return f, fmt.Errorf("encode frame: %w", err)
	}
	if len(f.Payload) > MaxPayload {
		return f, fmt.Errorf("encode frame: payload of %d bytes, at most %d", len(f.Payload), MaxPayload)
	}
	return f, nil
}

// Floats are the numbers of a vector; AppendFloats writes them.
func Floats(b []byte) []float32 {
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v
}

// AppendFloats adds numbers to b as Floats reads them.
func AppendFloats(b []byte, v []float32) []byte {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

// Decode reads the frame's payload into v.
func (f Frame) Decode(v any) error {
	if err := json.Unmarshal(f.Payload, v); err != nil {
		return fmt.Errorf("%w: kind %d: %v", ErrProtocol, f.Kind, err)
	}
	return nil
}
