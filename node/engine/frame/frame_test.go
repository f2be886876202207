package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	job, err := Make(Submit, 7, Job{Messages: []Message{{Role: "user", Content: strings.Repeat("é\x00", 100_000)}}, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	frames := []Frame{job, {Kind: Piece, Request: 7, Tokens: 2, Payload: []byte("hi")}, {Kind: Cancel, Request: 7}}
	var b []byte
	for _, f := range frames {
		b = Append(b, f)
	}
	r := NewReader(bytes.NewReader(b))
	for i, want := range frames {
		got, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got.Kind != want.Kind || got.Request != want.Request || got.Tokens != want.Tokens || !bytes.Equal(got.Payload, want.Payload) {
			t.Errorf("frame %d came back different", i)
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("at the end: %v, want io.EOF", err)
	}
}

func TestNextRefuses(t *testing.T) {
	good := Append(nil, Frame{Kind: Piece, Request: 1, Tokens: 1, Payload: []byte("x")})
	set := func(at int, v byte) []byte {
		b := bytes.Clone(good)
		b[at] = v
		return b
	}
	tests := []struct {
		name string
		data []byte
		want error
	}{
		{"other version", set(4, 2), ErrProtocol},
		{"kind zero", set(5, 0), ErrProtocol},
		{"unknown kind", set(5, 99), ErrProtocol},
		{"reserved bytes", set(6, 1), ErrProtocol},
		{"tokens in another kind", set(5, byte(End)), ErrProtocol},
		{"too long", set(3, 0xff), ErrProtocol},
		{"payload cut off", good[:headerSize], io.ErrUnexpectedEOF},
		{"header cut off", good[:5], io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := NewReader(bytes.NewReader(tt.data)).Next(); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

// A header that promises much and delivers nothing must cost little.
func TestLengthIsNotAllocated(t *testing.T) {
	b := Append(nil, Frame{Kind: Submit})
	binary.LittleEndian.PutUint32(b, MaxPayload)
	r := NewReader(bytes.NewReader(b))
	if _, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if cap(r.buf) > readStep {
		t.Errorf("%d bytes were allocated for a frame that never came", cap(r.buf))
	}
}

func FuzzReader(f *testing.F) {
	f.Add(Append(nil, Frame{Kind: Piece, Request: 1, Tokens: 3, Payload: []byte("text")}))
	f.Add(Append(Append(nil, Frame{Kind: Ready, Payload: []byte(`{"context":9}`)}), Frame{Kind: Cancel, Request: 2}))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(bytes.NewReader(data))
		var again []byte
		for {
			fr, err := r.Next()
			if err != nil {
				break
			}
			_ = fr.Decode(&Result{})
			_ = fr.Decode(&Job{})
			again = Append(again, fr)
		}
		if !bytes.HasPrefix(data, again) {
			t.Error("frames read do not write back the same")
		}
	})
}
