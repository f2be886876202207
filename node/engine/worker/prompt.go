package worker

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/hybridgroup/yzma/pkg/llama"

	"omx/node/engine/frame"
)

// render applies the model's chat template.
func (m *loaded) render(messages []frame.Message) (string, error) {
	chat := make([]llama.ChatMessage, len(messages))
	for i, x := range messages {
		chat[i] = llama.NewChatMessage(clean(x.Role), clean(x.Content))
	}
	defer runtime.KeepAlive(chat)
	for {
		n := int(llama.ChatApplyTemplate(m.template, chat, true, m.buf))
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

func (m *loaded) encode(job *frame.Job, limit int) ([]token, int, error) {
	if m.ctx == 0 {
		return nil, 0, errNoText
	}
	text := clean(job.Raw)
	if job.Raw == "" {
		var err error
		if text, err = m.render(job.Messages); err != nil {
			return nil, 0, err
		}
	}
	if len(text) > (limit+1)*maxTokenBytes {
		return nil, len(text) / 4, nil
	}
	out := tokens(llama.Tokenize(m.vocab, text, true, true))
	return out, len(out), nil
}

func tokens(from []llama.Token) []token {
	out := make([]token, len(from))
	for i, t := range from {
		out[i] = token(t)
	}
	return out
}
