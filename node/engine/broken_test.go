package engine

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"omx/node/catalog"
	"omx/node/engine/frame"
)

// brokenWorker is a worker process with a fault.
func brokenWorker(how string) {
	say := func(f frame.Frame) { _, _ = os.Stdout.Write(frame.Append(nil, f)) }
	r := frame.NewReader(bufio.NewReader(os.Stdin))
	_, _ = r.Next() // Load
	switch how {
	case "dies":
		fmt.Fprintln(os.Stderr, "GGML_ASSERT(broken) failed")
		os.Exit(134)
	case "segfaults":
		_ = syscall.Kill(syscall.Getpid(), syscall.SIGSEGV)
		select {}
	case "lies":
		say(frame.Frame{Kind: frame.Ready, Payload: []byte(`{"context":64}`)})
	case "babbles":
		fmt.Println("this is not a frame, it is a line that somebody printed")
	case "deaf":
		say(frame.Frame{Kind: frame.Ready, Payload: []byte(`{"context":64}`)})
		select {} // closing its input does not end it
	case "crashes on work":
		say(frame.Frame{Kind: frame.Ready, Payload: []byte(`{"context":64}`)})
		f, _ := r.Next()
		say(frame.Frame{Kind: frame.Piece, Request: f.Request, Tokens: 1, Payload: []byte("half an ")})
		fmt.Fprintln(os.Stderr, "out of memory")
		os.Exit(1)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func newBroken(t *testing.T, how string) *Local {
	return newLocal(t, func(c *LocalConfig) { c.WorkerArgs = []string{"broken", how} })
}

func TestBrokenWorkerIsSetAside(t *testing.T) {
	for how, says := range map[string]string{
		"dies":    "exit status 134): GGML_ASSERT(broken) failed",
		"babbles": "worker protocol violated",
	} {
		t.Run(how, func(t *testing.T) {
			l := newBroken(t, how)
			_, _, err := answer(l, ask(l, "x")) // waits through all three starts
			if !errors.Is(err, ErrNoModel) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "3 crashes") {
				t.Errorf("error %v, want ErrNoModel with %q", err, says)
			}
			if st := status(l); st.State != catalog.OnDisk || !strings.Contains(st.Err, says) || st.Load.Running != 0 {
				t.Errorf("status %+v", st)
			}
			if _, _, err := answer(l, ask(l, "x")); !errors.Is(err, ErrNoModel) {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestCrashDuringAnswer(t *testing.T) {
	l := newBroken(t, "crashes on work")
	text, u, err := answer(l, ask(l, "x"))
	if !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "out of memory") {
		t.Errorf("error %v", err)
	}
	if text != "half an " || u.OutputTokens != 1 {
		t.Errorf("%q, %+v: what came before the crash must come through", text, u)
	}
}

func TestDeafWorkerIsKilled(t *testing.T) {
	l := newBroken(t, "deaf")
	eventually(t, "loaded", func() bool { return status(l).State == catalog.Loaded })
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// A worker that is lost takes its running requests along, and only these.
func TestRestart(t *testing.T) {
	l := newLocal(t, func(c *LocalConfig) { c.Slots = 1; c.Models[0].Path = endlessModel(t) })
	release := hold(t, l)
	done := make(chan error, 1)
	go func() {
		p := ask(l, "Hello")
		_, _, err := answer(l, p)
		done <- err
	}()
	eventually(t, "one waits", func() bool { return status(l).Load.Queued == 1 })
	m := l.models[0]
	m.mu.Lock()
	pid := m.proc.cmd.Process.Pid
	m.mu.Unlock()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the loss shows", func() bool { return strings.Contains(status(l).Err, "signal: killed") })
	if err := release(); !errors.Is(err, ErrLost) {
		t.Errorf("the running request: %v, want ErrLost", err)
	}
	if err := <-done; err != nil {
		t.Errorf("the waiting request: %v", err)
	}
	if st := status(l); st.State != catalog.Loaded || st.Err != "" || st.Load.Running != 0 {
		t.Errorf("afterwards %+v", st)
	}
}

func TestWorkerThatCannotStart(t *testing.T) {
	l := newLocal(t, func(c *LocalConfig) { c.Exe = "/nowhere/omx" })
	if _, _, err := answer(l, ask(l, "x")); !errors.Is(err, ErrNoModel) || !strings.Contains(err.Error(), "/nowhere/omx") {
		t.Errorf("error %v", err)
	}
}
