package worker

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/hybridgroup/yzma/pkg/llama"

	"omx/node/engine/chat"
	"omx/node/engine/frame"
)

var (
	errNoTemplate = errors.New("the model's chat template is not one the engine knows")
	errNoTools    = errors.New("tools need a chat template that can be read, and the model's cannot")
)

// openTemplate finds out how conversations are written for the model: by its own Jinja
// template or, where that cannot be read, by the form that llama.cpp takes it for.
func (m *loaded) openTemplate() error {
	source := llama.ModelChatTemplate(m.model, "")
	bos := ""
	if !llama.VocabGetAddBOS(m.vocab) { // else the tokenizer writes it
		bos = llama.VocabGetText(m.vocab, llama.VocabBOS(m.vocab))
	}
	var err error
	if source == "" {
		err = errNoTemplate
	} else if m.chat, err = chat.Compile(source, bos, llama.VocabGetText(m.vocab, llama.VocabEOS(m.vocab))); err == nil {
		m.source = source
		m.thinks = strings.Contains(source, "think") || strings.Contains(source, "THINK") || strings.Contains(source, "<|channel|>")
		return nil
	}
	if m.template = source; source == "" {
		m.template = "chatml" // what llama.cpp takes for models that name none
	}
	if _, plain := m.plain([]frame.Message{{Role: "user", Content: "hi"}}); plain != nil {
		return fmt.Errorf("%w: %v", plain, err)
	}
	return nil
}

// encode turns a request's conversation, or its text, into tokens.
func (m *loaded) encode(job *frame.Job, limit int) (*encoded, error) {
	if m.ctx == 0 {
		return nil, errNoText
	}
	e := &encoded{grammar: job.Grammar}
	size := len(job.Raw)
	for i := range job.Messages {
		size += len(job.Messages[i].Content)
	}
	if job.Begun != nil {
		size += len(job.Begun.Thought) + len(job.Begun.Text)
	}
	if size > (limit+1)*maxTokenBytes {
		e.n = size / 4
		return e, nil
	}
	text := clean(job.Raw)
	if job.Raw == "" {
		var err error
		if text, err = m.converse(job, e); err != nil {
			return nil, err
		}
	}
	e.tokens = tokens(llama.Tokenize(m.vocab, text, true, true))
	e.n = len(e.tokens)
	e.bos = e.n > 0 && e.tokens[0] == token(llama.VocabBOS(m.vocab))
	if job.Begun != nil {
		return e, m.goOn(e, job.Begun)
	}
	return e, nil
}

// converse writes a conversation as the model knows it, and says how its answer is to
// be read.
func (m *loaded) converse(job *frame.Job, e *encoded) (string, error) {
	tools := job.Tools
	if job.Choice == "none" {
		tools = nil
	}
	if m.chat == nil {
		if len(tools) > 0 {
			return "", errNoTools
		}
		return m.plain(job.Messages)
	}
	messages := make([]chat.Message, len(job.Messages))
	for i := range job.Messages {
		messages[i] = m.message(&job.Messages[i])
	}
	offered := make([]chat.Tool, len(tools))
	for i, t := range tools {
		offered[i].RawMessage = json.RawMessage(m.defuse(clean(string(t))))
	}
	text, err := m.chat.Render(messages, offered, chat.Options{AddGenerationPrompt: true, Thinking: job.Think, Now: time.Now()})
	if err != nil {
		return "", err
	}
	e.inThought = m.thinks && chat.OpensThought(text)
	if name, named := strings.CutPrefix(job.Choice, "="); named || job.Choice == "required" {
		if !named {
			name = "" // any
		}
		if e.grammar, err = chat.Grammar(offered, chat.Choice{Name: name, InThought: e.inThought}, !job.OneCall); err != nil {
			return "", err
		}
	}
	if m.thinks || len(offered) > 0 {
		e.parser = chat.NewParser(chat.ParserOptions{Tools: offered, InThought: e.inThought, ID: callID})
	}
	return text, nil
}

func (m *loaded) message(f *frame.Message) chat.Message {
	c := chat.Message{Role: clean(f.Role), Content: m.defuse(clean(f.Content)), Thinking: m.defuse(clean(f.Thinking)), CallID: m.defuse(clean(f.CallID)), Name: m.defuse(clean(f.Name))}
	for _, call := range f.Calls {
		c.Calls = append(c.Calls, chat.Call{ID: m.defuse(clean(call.ID)), Name: m.defuse(clean(call.Name)), Arguments: json.RawMessage(m.defuse(clean(string(call.Arguments))))})
	}
	return c
}

// callID names a call of a tool: 24 letters and digits.
func callID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func tokens(from []llama.Token) []token {
	out := make([]token, len(from))
	for i, t := range from {
		out[i] = token(t)
	}
	return out
}

// plain writes a conversation with llama.cpp's own form of the model's template.
func (m *loaded) plain(messages []frame.Message) (string, error) {
	turns := make([]llama.ChatMessage, len(messages))
	for i, x := range messages {
		turns[i] = llama.NewChatMessage(clean(x.Role), m.defuse(clean(x.Content)))
	}
	defer runtime.KeepAlive(turns)
	for {
		n := int(llama.ChatApplyTemplate(m.template, turns, true, m.buf))
		switch {
		case n < 0:
			return "", errNoTemplate
		case n <= len(m.buf):
			return string(m.buf[:n]), nil
		case n > maxTemplate:
			return "", fmt.Errorf("the conversation is longer than %d bytes", maxTemplate)
		}
		m.buf = make([]byte, n)
	}
}

// clean makes a string fit for C and for the tokenizer.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
}
