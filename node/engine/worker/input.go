package worker

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"omx/node/engine/frame"
)

// input is what the node says. The loop reads it by itself, between two steps or
// when there is nothing to do: to hand it over from another thread would cost each
// request the time in which that one wakes this.
type input struct {
	fd  int
	buf *bufio.Reader
	r   *frame.Reader
}

func newInput(f *os.File) *input {
	in := &input{fd: int(f.Fd()), buf: bufio.NewReaderSize(f, inputBuffer)}
	in.r = frame.NewReader(in.buf)
	return in
}

// ready tells whether there is something to read.
func (in *input) ready() bool { return in.buf.Buffered() > 0 || readable(in.fd) }

// load is what the node says first.
func (in *input) load() (cfg frame.LoadConfig, err error) {
	f, err := in.r.Next()
	switch {
	case err != nil:
		return cfg, told(err)
	case f.Kind != frame.Load && f.Kind != frame.Probe:
		return cfg, outOfTurn(f)
	}
	err = f.Decode(&cfg)
	cfg.Probe = f.Kind == frame.Probe
	return cfg, err
}

// next waits for a command; io.EOF says that the node has closed the pipe.
func (in *input) next() (command, error) {
	f, err := in.r.Next()
	if err != nil {
		return command{}, told(err)
	}
	c := command{request: f.Request}
	var payload any
	switch f.Kind {
	case frame.Submit, frame.Count:
		c.job, c.count = new(frame.Job), f.Kind == frame.Count
		payload = c.job
	case frame.Embed:
		c.texts = new(frame.Texts)
		payload = c.texts
	case frame.Save:
		c.save = new(frame.State)
		payload = c.save
	case frame.Cancel:
		return c, nil
	default:
		return c, outOfTurn(f)
	}
	if f.Request == 0 {
		return c, outOfTurn(f)
	}
	return c, f.Decode(payload)
}

func told(err error) error {
	if errors.Is(err, io.EOF) {
		return err
	}
	return fmt.Errorf("read from node: %w", err)
}

func outOfTurn(f frame.Frame) error {
	return fmt.Errorf("%w: kind %d out of turn", frame.ErrProtocol, f.Kind)
}
