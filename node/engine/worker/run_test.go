package worker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"omx/node/engine/frame"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stream is what a node says, as bytes.
func stream(t *testing.T, kinds ...frame.Kind) []byte {
	t.Helper()
	var b []byte
	for _, k := range kinds {
		var payload any
		switch k {
		case frame.Load, frame.Probe:
			payload = frame.LoadConfig{Model: "/nowhere.gguf", Library: t.TempDir(), Slots: 1, Context: 64}
		case frame.Submit:
			payload = frame.Job{}
		}
		f, err := frame.Make(k, 1, payload)
		if err != nil {
			t.Fatal(err)
		}
		b = frame.Append(b, f)
	}
	return b
}

func TestRead(t *testing.T) {
	whole := stream(t, frame.Load, frame.Submit)
	tests := []struct {
		name string
		data []byte
		want error // nil: the end of the stream
	}{
		{"closed at once", nil, nil},
		{"closed later", stream(t, frame.Load, frame.Submit, frame.Cancel), nil},
		{"garbage", []byte("hello, is this a worker?"), frame.ErrProtocol},
		{"submit before load", stream(t, frame.Submit), frame.ErrProtocol},
		{"probed", stream(t, frame.Probe), nil},
		{"work after a probe", stream(t, frame.Probe, frame.Probe), frame.ErrProtocol},
		{"loaded twice", stream(t, frame.Load, frame.Load), frame.ErrProtocol},
		{"a worker's frame", stream(t, frame.Load, frame.End), frame.ErrProtocol},
		{"cut off", whole[:len(whole)-3], io.ErrUnexpectedEOF},
		{"too many commands", stream(t, append([]frame.Kind{frame.Load}, slices.Repeat([]frame.Kind{frame.Cancel}, maxCommands+1)...)...), frame.ErrProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := read(bytes.NewReader(tt.data), make(chan frame.LoadConfig, 1), make(chan command, maxCommands))
			if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestRunWithoutLibraries(t *testing.T) {
	in, node := io.Pipe()
	var out, talk bytes.Buffer
	go func() { _, _ = node.Write(stream(t, frame.Load)) }()
	if code := Run(t.Context(), in, &out, &talk); code != 1 {
		t.Errorf("status %d", code)
	}
	node.Close() // the reader ends
	f, err := frame.NewReader(&out).Next()
	var why frame.Failure
	if err != nil || f.Kind != frame.Failed || f.Decode(&why) != nil || why.Code != frame.NoLibrary || !strings.HasSuffix(why.Message, "omx engine install") {
		t.Errorf("said %+v %+v, %v", f, why, err)
	}
}

func TestRunEndsWithItsInput(t *testing.T) {
	if code := Run(t.Context(), strings.NewReader(""), io.Discard, io.Discard); code != 0 {
		t.Errorf("status %d", code)
	}
	in, node := io.Pipe()
	defer node.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if code := Run(ctx, in, io.Discard, io.Discard); code != 0 {
		t.Errorf("after the context: status %d", code)
	}
}
