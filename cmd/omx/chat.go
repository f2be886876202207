package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// maxQuestion bounds a line of a conversation: a node takes no longer requests.
const maxQuestion = 1 << 20

type chatCmd struct {
	target
	Model       string  `arg:"" help:"Model to talk with, as omx models lists it."`
	System      string  `help:"What the model is told before the conversation." placeholder:"TEXT"`
	MaxTokens   int     `default:"512" help:"Longest answer, in tokens."`
	Temperature float64 `default:"0.7" help:"0 is deterministic; higher is more varied."`
	shifting
	JSON bool `help:"Print each answer and its figures as JSON, a line each."`
}

const chatHelp = `/clear forgets the conversation, /node says who answered last, /bye or the end of the input ends`

// Run talks until the input ends. A question that fails is told and forgotten;
// the conversation goes on. Its end is a failure if the last question failed.
func (c *chatCmd) Run(e *env) error {
	if err := c.check(); err != nil {
		return err
	}
	person := false
	if f, ok := e.stdin.(*os.File); ok {
		st, err := f.Stat()
		person = err == nil && st.Mode()&os.ModeCharDevice != 0
	}
	if person {
		e.say("%s", chatHelp)
	}
	lines := bufio.NewScanner(e.stdin)
	lines.Buffer(nil, maxQuestion)
	before := c.beginning()
	var last question
	var failed error
	for e.ctx.Err() == nil {
		if person {
			fmt.Fprint(e.stderr, "> ")
		}
		if !lines.Scan() {
			break
		}
		line := strings.TrimSpace(lines.Text())
		switch line {
		case "":
			continue
		case "/bye", "/exit":
			return failed
		case "/clear":
			before = c.beginning()
			continue
		case "/node":
			e.say("%s", last.summary())
			continue
		case "/help", "/?":
			e.say("%s", chatHelp)
			continue
		}
		last = question{Model: c.Model, Prompt: line, MaxTokens: c.MaxTokens, Temperature: c.Temperature, shifting: c.shifting, Before: before}
		failed = c.askWithin(e, &last)
		before = last.Before
		if failed != nil {
			if e.ctx.Err() != nil {
				return failed
			}
			e.say("omx: %v", failed)
			failed = toldError{failed}
			continue
		}
		before = append(before, turn{"user", line}, turn{"assistant", last.Answer})
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read question: %w; a line may have %d bytes", err, maxQuestion)
	}
	return failed
}

func (c *chatCmd) beginning() []turn {
	if c.System == "" {
		return nil
	}
	return []turn{{"system", c.System}}
}

// askWithin asks a question whose conversation may be longer than the model's context.
// Then it says what can be done; with --context-shift it forgets the oldest and asks
// again. Half of the conversation goes at a time, so that the next questions begin as
// this one does, which the node need not read again.
func (c *chatCmd) askWithin(e *env, q *question) error {
	for {
		err := c.ask(e, q)
		switch left, n := c.forget(q.Before); {
		case !tooLong(err):
			return err
		case n == 0:
			return fmt.Errorf("%w; ask for less, or start the node with more --context", err)
		case !c.ContextShift:
			return fmt.Errorf("%w; start anew with /clear, or begin with --context-shift: then the oldest questions are forgotten", err)
		default:
			e.say("the conversation is longer than the model's context: its oldest %d questions are forgotten", n)
			q.Before = left
		}
	}
}

func (c *chatCmd) ask(e *env, q *question) error {
	if c.JSON {
		if err := q.ask(e, &c.target, func(string) {}); err != nil {
			return err
		}
		return json.NewEncoder(e.stdout).Encode(q)
	}
	err := q.ask(e, &c.target, func(text string) { fmt.Fprint(e.stdout, text) })
	if err == nil || q.Answer != "" {
		fmt.Fprintln(e.stdout)
	}
	if cut := q.cut(); err == nil && cut != "" {
		e.say("%s", cut)
	}
	return err
}
