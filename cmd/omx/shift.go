package main

import (
	"errors"
	"fmt"
)

// shifting are the flags of answers that may go beyond the model's context, named as
// llama.cpp names them.
type shifting struct {
	ContextShift bool `help:"Let an answer that fills the model's context go on: of what is behind the first --keep tokens of the prompt, half is forgotten each time."`
	Keep         *int `env:"OMX_N_KEEP" help:"With --context-shift, tokens of the prompt that stay; --keep=-1 is all of it (default: what the model is stored with, else 4)." placeholder:"N"`
}

func (s *shifting) check() error {
	switch {
	case s.Keep == nil:
		return nil
	case !s.ContextShift:
		return usageError{errors.New("--keep says what stays when the context shifts; add --context-shift")}
	case *s.Keep < -1:
		return usageError{fmt.Errorf("--keep %d is no number of tokens; give 0 or more, or -1 for the whole prompt", *s.Keep)}
	}
	return nil
}

// tooLong tells whether a prompt was refused because it is longer than the context.
func tooLong(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.code == "context_length_exceeded"
}

// cut says why an answer ended before its end, if it did.
func (q *question) cut() string {
	switch {
	case q.Finish != "length":
		return ""
	case q.Tokens >= q.MaxTokens:
		return fmt.Sprintf("the answer was cut at --max-tokens %d", q.MaxTokens)
	case q.ContextShift:
		return "the answer was cut: even with --context-shift it may have ten contexts at most"
	}
	return "the answer was cut where the model's context ends; --context-shift lets it go on"
}

// forget drops the older half of a conversation's questions, with their answers, and
// says how many that were. What stands before them stays.
func (c *chatCmd) forget(before []turn) (left []turn, questions int) {
	begin := c.beginning()
	said := before[len(begin):]
	questions = (len(said)/2 + 1) / 2
	return append(begin, said[2*questions:]...), questions
}
