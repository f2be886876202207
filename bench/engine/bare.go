package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// BareArgs are the arguments with which this program is started as the bare
// binding; it must call RunBare then.
var BareArgs = []string{"bench", "engine-bare"}

// bareLoad is what the bare binding loads.
type bareLoad struct {
	Library string `json:"library"`
	Model   string `json:"model"`
	Slots   int    `json:"slots"`
	Context int    `json:"context"` // tokens of one slot
	Threads int    `json:"threads"`
}

// bareJob asks for so many tokens after each prompt, all at once. None only counts
// the prompts' tokens.
type bareJob struct {
	Prompts []string `json:"prompts"`
	Tokens  int      `json:"tokens"`
}

// bareTook is what a job took, by the clock of the process that did it.
type bareTook struct {
	Prompt int           `json:"prompt"` // tokens of the first prompt
	First  time.Duration `json:"first"`  // until a first token was text
	Whole  time.Duration `json:"whole"`
	Err    string        `json:"err,omitempty"`
}

// RunBare is the whole life of the bare binding: a line of JSON says what to load,
// each further one what to do. It is a process of its own because llama.cpp ends
// the process it is in on a wrong call, and is loaded once in each.
func RunBare(stdin io.Reader, stdout, stderr io.Writer) int {
	in, out := json.NewDecoder(stdin), json.NewEncoder(stdout)
	var load bareLoad
	err := in.Decode(&load)
	var b *bare
	if err == nil {
		b, err = openBare(&load)
		err = errors.Join(err, out.Encode(told(bareTook{}, err)))
	}
	for err == nil {
		var job bareJob
		if err = in.Decode(&job); err == nil {
			took, e := b.do(&job)
			err = out.Encode(told(took, e))
		}
	}
	if !errors.Is(err, io.EOF) {
		fmt.Fprintln(stderr, "bare binding:", err)
		return 1
	}
	return 0
}

func told(t bareTook, err error) bareTook {
	if err != nil {
		t.Err = err.Error()
	}
	return t
}

// child is the bare binding as its parent has it.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
	enc *json.Encoder
}

func startBare(ctx context.Context, load bareLoad, stderr io.Writer) (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, exe, BareArgs...)
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the bare binding: %w", err)
	}
	c := &child{cmd, in, json.NewDecoder(out), json.NewEncoder(in)}
	if _, err := c.say(load); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// say sends a line and waits for what comes back.
func (c *child) say(v any) (took bareTook, err error) {
	if err = c.enc.Encode(v); err == nil {
		err = c.out.Decode(&took)
	}
	if err == nil && took.Err != "" {
		err = errors.New(took.Err)
	}
	if err != nil {
		err = fmt.Errorf("bare binding: %w", err)
	}
	return took, err
}

func (c *child) close() error {
	c.in.Close()
	return c.cmd.Wait()
}
