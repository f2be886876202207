package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"omx/node/engine"
)

// ollama asks by Ollama's own API.
type ollama struct {
	*caller
	shown map[string]found // by digest: what does not change
}

type ollamaRequest struct {
	Model    string            `json:"model"`
	Messages []ollamaMessage   `json:"messages,omitempty"`
	Prompt   string            `json:"prompt,omitempty"`
	Raw      bool              `json:"raw,omitempty"`
	Stream   bool              `json:"stream"`
	Format   json.RawMessage   `json:"format,omitempty"`
	Tools    []json.RawMessage `json:"tools,omitempty"`
	Think    *bool             `json:"think,omitempty"`
	Logprobs bool              `json:"logprobs,omitempty"`
	Top      int               `json:"top_logprobs,omitempty"`
	Options  map[string]any    `json:"options"`
	Keep     string            `json:"keep_alive,omitempty"` // else Ollama's own time
	// What is too long is an error, and not cut behind the client's back; contexts
	// shift if that is asked for.
	Truncate bool `json:"truncate"`
	Shift    bool `json:"shift"`
}

type ollamaMessage struct {
	Role      string       `json:"role"`
	Content   string       `json:"content"`
	Thinking  string       `json:"thinking,omitempty"`
	ToolCalls []ollamaCall `json:"tool_calls,omitempty"`
	ToolName  string       `json:"tool_name,omitempty"`
	CallID    string       `json:"tool_call_id,omitempty"`
}

type ollamaCall struct {
	ID       string `json:"id,omitempty"`
	Function struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"function"`
}

// request is the body that asks for an answer. All of the sampling is said:
// models have defaults of their own.
func (o *ollama) request(m found, p *engine.Prompt) (*ollamaRequest, error) {
	if p.Grammar != "" && len(p.Schema) == 0 {
		return nil, fmt.Errorf("%w: grammars other than JSON schemas go to no upstream", engine.ErrCannot)
	}
	format, err := rewritten(p.Schema, ollamaPattern)
	if err != nil {
		return nil, err
	}
	r := &ollamaRequest{Model: m.name, Prompt: p.Raw, Raw: p.Raw != "", Stream: true, Format: format, Tools: p.Tools, Think: p.Think,
		Logprobs: p.Logprobs > 0, Top: max(p.Logprobs-1, 0), Shift: p.Shift, Keep: keepAlive(p.Keep)}
	switch {
	case p.Choice == engine.ChoiceNone:
		r.Tools = nil
	case p.Choice != engine.ChoiceAuto && len(p.Tools) > 0:
		return nil, fmt.Errorf("%w: Ollama cannot be made to call a tool", engine.ErrCannot)
	}
	for _, msg := range linked(p.Messages) {
		to := ollamaMessage{Role: msg.Role, Content: msg.Content, Thinking: msg.Thinking, ToolName: msg.Name, CallID: msg.CallID}
		for _, c := range msg.Calls {
			call := ollamaCall{ID: c.ID}
			call.Function.Name, call.Function.Arguments = c.Name, c.Arguments
			to.ToolCalls = append(to.ToolCalls, call)
		}
		r.Messages = append(r.Messages, to)
	}
	r.Options = map[string]any{"temperature": p.Temperature, "top_k": p.TopK, "top_p": p.TopP, "min_p": p.MinP,
		"presence_penalty": p.PresencePenalty, "frequency_penalty": p.FrequencyPenalty, "repeat_penalty": p.RepeatPenalty}
	if p.TopP <= 0 || p.TopP > 1 {
		r.Options["top_p"] = 1
	}
	if p.RepeatPenalty == 0 {
		r.Options["repeat_penalty"] = 1
	}
	if p.RepeatLast != 0 {
		r.Options["repeat_last_n"] = p.RepeatLast
	}
	if p.Seed != 0 {
		r.Options["seed"] = p.Seed
	}
	if len(p.Stop) > 0 {
		r.Options["stop"] = p.Stop
	}
	if p.Shift {
		r.Options["num_keep"] = p.NumKeep
	}
	// Without a number, older ones go on for ten times their context.
	if n := max(p.MaxTokens, 0); n > 0 {
		r.Options["num_predict"] = n
	} else if m.context > 0 {
		r.Options["num_predict"] = m.context
		if p.Shift {
			r.Options["num_predict"] = engine.ShiftContexts * m.context
		}
	}
	return r, nil
}

// keepAlive is a span as Ollama reads it.
func keepAlive(keep *time.Duration) string {
	if keep == nil {
		return ""
	}
	return keep.String()
}

func (o *ollama) generate(ctx context.Context, m found, p *engine.Prompt, a *answer) error {
	r, err := o.request(m, p)
	if err != nil {
		return err
	}
	path := "/api/chat"
	if p.Raw != "" {
		path = "/api/generate"
	}
	ask := func() error {
		return o.stream(ctx, path, r, a, []string{"application/x-ndjson", "application/json"}, func(l *lines) error { return o.read(l, a, p.Logprobs) })
	}
	err = ask()
	var refused *statusError
	if errors.As(err, &refused) && r.Think != nil && refused.names([]string{"support thinking"}) {
		r.Think = nil
		err = ask()
	}
	return err
}

// ollamaLine is a line of a stream: of chat or of generate.
type ollamaLine struct {
	Message struct {
		Content   string       `json:"content"`
		Thinking  string       `json:"thinking"`
		ToolCalls []ollamaCall `json:"tool_calls"`
	} `json:"message"`
	Response   string          `json:"response"`
	Thinking   string          `json:"thinking"`
	Logprobs   []ranked        `json:"logprobs"`
	Done       bool            `json:"done"`
	DoneReason string          `json:"done_reason"`
	Prompt     int             `json:"prompt_eval_count"`
	Output     int             `json:"eval_count"`
	Took       float64         `json:"prompt_eval_duration"` // ns
	Error      json.RawMessage `json:"error"`
}

// read takes an answer as it comes, to the line that says it is done.
func (o *ollama) read(l *lines, a *answer, likely int) error {
	for {
		data, err := l.next()
		if err == io.EOF {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		if len(data) == 0 {
			continue
		}
		var n ollamaLine
		if json.Unmarshal(data, &n) != nil {
			return fmt.Errorf("%w: a line that is no piece of an answer", errGarbage)
		}
		if len(n.Error) > 0 && string(n.Error) != "null" {
			return o.interrupted(n.Error, a.texts)
		}
		said, text, thought := likelihoods(n.Logprobs, likely), n.Message.Content+n.Response, n.Message.Thinking+n.Thinking
		of := said
		if text != "" {
			of = nil
		} else if thought != "" {
			said = nil
		}
		if err := a.thought(thought, of); err != nil {
			return err
		}
		if err := a.text(text, said); err != nil {
			return err
		}
		for i := range n.Message.ToolCalls { // whole ones
			c := &n.Message.ToolCalls[i]
			if err := a.delta(len(a.calls), c.ID, c.Function.Name, c.Function.Arguments); err != nil {
				return err
			}
		}
		if n.Done {
			a.tell(n.Prompt, 0, n.Output)
			a.took(n.Took)
			return a.end(n.DoneReason)
		}
	}
}

func (o *ollama) embed(ctx context.Context, m found, r *engine.EmbedRequest) ([][]float32, int, error) {
	if r.Query != "" {
		return nil, 0, fmt.Errorf("%w: Ollama does not rank", engine.ErrCannot)
	}
	var reply struct {
		Embeddings [][]float32 `json:"embeddings"`
		Prompt     int         `json:"prompt_eval_count"`
	}
	body := map[string]any{"model": m.name, "input": r.Input, "truncate": r.Truncate}
	if r.Keep != nil {
		body["keep_alive"] = keepAlive(r.Keep)
	}
	err := o.json(ctx, http.MethodPost, "/api/embed", body, r.Input, &reply, maxEmbed)
	return reply.Embeddings, reply.Prompt, err
}

func (o *ollama) count(context.Context, found, *engine.Prompt) (int, error) {
	return 0, fmt.Errorf("%w: Ollama counts no tokens", engine.ErrCannot)
}
