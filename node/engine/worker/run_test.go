package worker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
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
		want error
	}{
		{"closed at once", nil, io.EOF},
		{"closed later", stream(t, frame.Load, frame.Submit, frame.Cancel), io.EOF},
		{"garbage", []byte("hello, is this a worker?"), frame.ErrProtocol},
		{"submit before load", stream(t, frame.Submit), frame.ErrProtocol},
		{"probed", stream(t, frame.Probe), io.EOF},
		{"work after a probe", stream(t, frame.Probe, frame.Probe), frame.ErrProtocol},
		{"loaded twice", stream(t, frame.Load, frame.Load), frame.ErrProtocol},
		{"a worker's frame", stream(t, frame.Load, frame.End), frame.ErrProtocol},
		{"cut off", whole[:len(whole)-3], io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := &input{r: frame.NewReader(bytes.NewReader(tt.data))}
			_, err := in.load()
			for err == nil {
				_, err = in.next()
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestRunWithoutLibraries(t *testing.T) {
	in, node := pipe(t)
	var out, talk bytes.Buffer
	if _, err := node.Write(stream(t, frame.Load)); err != nil {
		t.Fatal(err)
	}
	code, watched := run(t.Context(), in, &out, &talk)
	if code != 1 {
		t.Errorf("status %d", code)
	}
	node.Close()
	<-watched
	f, err := frame.NewReader(&out).Next()
	var why frame.Failure
	if err != nil || f.Kind != frame.Failed || f.Decode(&why) != nil || why.Code != frame.NoLibrary || !strings.HasSuffix(why.Message, "omx engine install") {
		t.Errorf("said %+v %+v, %v", f, why, err)
	}
}

func TestRunEndsWithItsInput(t *testing.T) {
	in, node := pipe(t)
	node.Close()
	code, watched := run(t.Context(), in, io.Discard, io.Discard)
	if code != 0 {
		t.Errorf("status %d", code)
	}
	<-watched
	in, node = pipe(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if code, watched = run(ctx, in, io.Discard, io.Discard); code != 0 {
		t.Errorf("after the context: status %d", code)
	}
	node.Close()
	<-watched
}

// What a node has said does not matter any more when it is gone.
func TestHangup(t *testing.T) {
	in, node := pipe(t)
	if readable(int(in.Fd())) {
		t.Error("readable before anything was written")
	}
	if _, err := node.Write([]byte("unread")); err != nil || !readable(int(in.Fd())) {
		t.Error("not readable", err)
	}
	done, fd := make(chan error, 1), int(in.Fd())
	go func() { done <- hangup(fd) }()
	select {
	case err := <-done:
		t.Error("ended while the node was there", err)
	default:
	}
	node.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// pipe is closed by the end of the test, once what reads from it has ended.
func pipe(t *testing.T) (in, node *os.File) {
	t.Helper()
	in, node, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		node.Close()
		in.Close()
	})
	return in, node
}
