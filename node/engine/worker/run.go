package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"omx/node/engine/frame"
	"omx/node/engine/library"
)

// Run is the whole life of a worker: it loads the model that the first frame on
// stdin, a pipe, names and answers requests until that closes or ctx ends. It returns
// the exit status at once then, even while the model is busy; the caller is
// expected to end the process. llama.cpp is loaded into this process for good,
// so Run works once.
func Run(ctx context.Context, stdin *os.File, stdout, stderr io.Writer) int {
	code, _ := run(ctx, stdin, stdout, stderr)
	return code
}

// run also returns a channel that is closed when nobody looks at stdin any more.
func run(ctx context.Context, stdin *os.File, stdout, stderr io.Writer) (code int, watched <-chan struct{}) {
	closed := make(chan struct{})
	stdout, err := reserve(stdout)
	if err != nil {
		close(closed)
		fmt.Fprintln(stderr, "worker:", err)
		return 1, closed
	}
	in := newInput(stdin)
	ended := make(chan error, 2)
	go func() {
		defer close(closed)
		ended <- hangup(in.fd)
	}()
	go func() {
		runtime.LockOSThread() // llama.cpp keeps some state by thread
		ended <- work(in, stdout, stderr)
	}()
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	if err != nil {
		fmt.Fprintln(stderr, "worker:", err)
		return 1, closed
	}
	return 0, closed
}

// work loads the model and answers.
func work(in *input, stdout, stderr io.Writer) error {
	cfg, err := in.load()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	case cfg.Probe:
		return probe(cfg.Library, stdout, stderr)
	}
	m, failure := prepare(&cfg, stdout, stderr)
	kind, payload := frame.Ready, any(nil)
	var l *loop
	var speed []byte
	if failure != nil {
		kind, payload = frame.Failed, failure
	} else {
		l = newLoop(m, cfg.Slots, stdout)
		if err := l.warmUp(); err != nil {
			return err
		}
		l.restore(cfg.State)
		speed, payload = l.frames, m.info()
	}
	f, err := frame.Make(kind, 0, payload)
	if err != nil {
		return err
	}
	if _, err := stdout.Write(append(frame.Append(nil, f), speed...)); err != nil {
		return fmt.Errorf("write to node: %w", err)
	}
	if failure != nil {
		return errors.New(failure.Message)
	}
	l.frames = l.frames[:0]
	return l.run(in)
}

func prepare(cfg *frame.LoadConfig, stdout, stderr io.Writer) (*loaded, *frame.Failure) {
	if cfg.Slots < 1 || cfg.Slots > MaxSlots || cfg.Context < 1 {
		return nil, &frame.Failure{Code: frame.BadModel, Message: fmt.Sprintf("%d slots of %d tokens are not possible", cfg.Slots, cfg.Context)}
	}
	if failure := tryLibrary(cfg.Library, stderr); failure != nil {
		return nil, failure
	}
	m, err := open(cfg, tell(stdout))
	if err != nil {
		return nil, &frame.Failure{Code: frame.BadModel, Message: err.Error()}
	}
	return m, nil
}

// tryLibrary is startLibrary with a message that says how to mend it.
func tryLibrary(dir string, stderr io.Writer) *frame.Failure {
	err := startLibrary(dir, stderr)
	if err == nil {
		return nil
	}
	msg := err.Error()
	if !errors.Is(err, library.ErrMissing) {
		msg = fmt.Sprintf("%v that work here: %v; they need glibc and the C++ library: apt-get install libstdc++6", library.ErrMissing, err)
	}
	return &frame.Failure{Code: frame.NoLibrary, Message: msg}
}

// tell sends how much of a model is loaded, as often as a person can see.
func tell(stdout io.Writer) func(float32) {
	told := -progressStep
	return func(p float32) {
		now := int(p * 1000)
		if now < told+progressStep {
			return
		}
		told = now
		if f, err := frame.Make(frame.Progress, 0, frame.Loading{PerMille: now}); err == nil {
			_, _ = stdout.Write(frame.Append(nil, f)) // if the node is gone, the next read says so
		}
	}
}
