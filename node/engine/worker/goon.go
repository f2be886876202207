package worker

import (
	"errors"
	"strings"

	"github.com/hybridgroup/yzma/pkg/llama"

	"omx/node/engine/chat"
	"omx/node/engine/frame"
)

// An answer that another worker has begun is gone on with: what it has said is read
// after the prompt, taken in by everything that follows an answer, and not said again.

var (
	errGoOn    = errors.New("the answer cannot be gone on with: what it has said does not read back as the model writes it")
	cannotGoOn = frame.Failure{Code: frame.Cannot, Message: errGoOn.Error()}
)

// begun is what a reader has of an answer already.
type begun struct {
	thought, text string
	astray        bool // the answer reads otherwise now
}

// cut takes away what the reader has.
func (b *begun) cut(out string, thought bool) string {
	has := &b.text
	if thought {
		has = &b.thought
	}
	n := min(len(*has), len(out))
	if b.astray = b.astray || out[:n] != (*has)[:n]; b.astray {
		return ""
	}
	*has = (*has)[n:]
	return out[n:]
}

// acceptAll tells a sampler what has been drawn; false if it would not have been.
func acceptAll(s sampler, all []token) bool {
	for _, t := range all {
		if !s.accept(t) {
			return false
		}
	}
	return true
}

// goOn has a slot's answer stand where its beginning ends.
func (l *loop) goOn(s *slot, in *encoded, b *frame.Begun) {
	s.begun, s.output, s.pending = len(in.begun), len(in.begun), len(in.begun)-b.Tokens
	s.said = begun{thought: b.Thought, text: b.Text}
	out, stopped := s.text.Add([]byte(in.written))
	l.say(s, out)
	switch {
	case stopped || s.said.astray || len(s.calls) > 0:
		l.finish(s, frame.Result{Failure: cannotGoOn})
	case s.output >= s.limit:
		l.over(s, s.text.Flush(), frame.Result{Finish: "length"})
	}
}

// goOn adds the beginning of the answer to a request.
func (m *loaded) goOn(e *encoded, b *frame.Begun) error {
	marks, thinks := e.parser != nil, e.parser != nil && m.thinks
	if b.Thought != "" && !thinks {
		return errGoOn
	}
	for _, s := range []string{b.Thought, b.Text} {
		if clean(s) != s || marks && m.defuse(s) != s { // it would be read as marks
			return errGoOn
		}
	}
	ok := true
	if e.written = b.Text; thinks {
		e.written, ok = chat.Rejoin(m.source, e.inThought, b.Thought, b.Text)
	}
	if ok {
		e.begun, ok = m.spell(e.written, marks)
	}
	if !ok {
		return errGoOn
	}
	return nil
}

// spell finds the tokens that read as a text, and as nothing else. Some vocabularies
// put a space before what they take for the beginning of a text: then the tokens
// after a line's end are those.
func (m *loaded) spell(text string, marks bool) ([]token, bool) {
	for _, before := range []string{"", "\n"} {
		all := tokens(llama.Tokenize(m.vocab, before+text, false, marks))
		var read strings.Builder
		begins := make([]int, len(all)) // where each token begins in what they read as
		for i, t := range all {
			begins[i] = read.Len()
			read.Write(m.text(t, marks))
		}
		for i, at := range begins {
			if rest := read.String()[at:]; len(rest) <= len(text) {
				if rest == text {
					return all[i:], true
				}
				break
			}
		}
	}
	return nil, false
}
