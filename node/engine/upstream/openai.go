package upstream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"omx/node/engine"
)

// openAI asks by OpenAI's API.
type openAI struct{ *caller }

type openAIRequest struct {
	Model             string            `json:"model"`
	Messages          []openAIMessage   `json:"messages,omitempty"`
	Prompt            string            `json:"prompt,omitempty"`
	Stream            bool              `json:"stream"`
	StreamOptions     map[string]bool   `json:"stream_options"`
	MaxTokens         int               `json:"max_tokens,omitempty"`
	Temperature       float32           `json:"temperature"`
	TopP              float32           `json:"top_p"`
	PresencePenalty   float32           `json:"presence_penalty,omitempty"`
	FrequencyPenalty  float32           `json:"frequency_penalty,omitempty"`
	Seed              uint32            `json:"seed,omitempty"`
	Stop              []string          `json:"stop,omitempty"`
	ResponseFormat    any               `json:"response_format,omitempty"`
	JSONSchema        json.RawMessage   `json:"json_schema,omitempty"` // where llama-server's completions look for one
	Tools             []json.RawMessage `json:"tools,omitempty"`
	ToolChoice        any               `json:"tool_choice,omitempty"`
	ParallelToolCalls *bool             `json:"parallel_tool_calls,omitempty"`
	Logprobs          any               `json:"logprobs,omitempty"`
	TopLogprobs       int               `json:"top_logprobs,omitempty"`
	*extras
}

// extras are what OpenAI does not have. Servers pass over what they do not know;
// one that refuses a field by its name is asked again without them all.
type extras struct {
	TopK              *int            `json:"top_k,omitempty"` // some have other defaults than none
	MinP              *float32        `json:"min_p,omitempty"`
	RepeatPenalty     float32         `json:"repeat_penalty,omitempty"`     // llama-server, omx
	RepetitionPenalty float32         `json:"repetition_penalty,omitempty"` // vLLM, SGLang: the same
	RepeatLast        int             `json:"repeat_last_n,omitempty"`
	TemplateArguments map[string]bool `json:"chat_template_kwargs,omitempty"`
	// CacheSalt keeps what vLLM has read for one tenant from the next.
	CacheSalt string `json:"cache_salt,omitempty"`
}

var extraFields = []string{"top_k", "min_p", "repeat_penalty", "repetition_penalty", "repeat_last_n", "chat_template_kwargs", "cache_salt"}

type openAIMessage struct {
	Role       string       `json:"role"`
	Content    string       `json:"content"`
	Reasoning  string       `json:"reasoning_content,omitempty"`
	ToolCalls  []openAICall `json:"tool_calls,omitempty"`
	ToolCallID string       `json:"tool_call_id,omitempty"`
	Name       string       `json:"name,omitempty"`
}

type openAICall struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

func openAIMessages(messages []engine.Message) []openAIMessage {
	var out []openAIMessage
	for _, m := range linked(messages) {
		o := openAIMessage{Role: m.Role, Content: m.Content, Reasoning: m.Thinking, ToolCallID: m.CallID, Name: m.Name}
		for _, c := range m.Calls {
			call := openAICall{ID: c.ID, Type: "function"}
			call.Function.Name, call.Function.Arguments = c.Name, string(c.Arguments)
			o.ToolCalls = append(o.ToolCalls, call)
		}
		out = append(out, o)
	}
	return out
}

// request is the body that asks for an answer.
func (o *openAI) request(m found, p *engine.Prompt) (*openAIRequest, error) {
	if p.Shift {
		return nil, fmt.Errorf("%w: a server with OpenAI's API cannot be told to shift its context (shift, context_shift)", engine.ErrCannot)
	}
	r := &openAIRequest{Model: m.name, Messages: openAIMessages(p.Messages), Prompt: p.Raw, Stream: true, StreamOptions: map[string]bool{"include_usage": true},
		MaxTokens: max(p.MaxTokens, 0), Temperature: p.Temperature, TopP: p.TopP, PresencePenalty: p.PresencePenalty, FrequencyPenalty: p.FrequencyPenalty,
		Seed: p.Seed, Stop: p.Stop, Tools: p.Tools, extras: &extras{}}
	if r.TopP <= 0 || r.TopP > 1 {
		r.TopP = 1
	}
	if p.Raw != "" && r.MaxTokens == 0 {
		if r.MaxTokens = m.context - len(p.Raw); r.MaxTokens <= 0 { // a token has a byte at least
			r.MaxTokens = rawTokens
		}
	}
	if p.Temperature > 0 {
		r.TopK, r.MinP = &p.TopK, &p.MinP
	}
	if p.RepeatPenalty != 0 && p.RepeatPenalty != 1 {
		r.RepeatPenalty, r.RepetitionPenalty, r.RepeatLast = p.RepeatPenalty, p.RepeatPenalty, p.RepeatLast
	}
	if p.Think != nil {
		r.TemplateArguments = map[string]bool{"enable_thinking": *p.Think}
	}
	if p.Scope != 0 {
		r.CacheSalt = strconv.FormatUint(p.Scope, 16)
	}
	if n := p.Logprobs; n > 0 && p.Raw == "" {
		r.Logprobs, r.TopLogprobs = true, n-1
	} else if n > 0 {
		r.Logprobs = max(n-1, 1) // 0 is none for some
	}
	o.choose(r, p)
	return r, r.format(p)
}

// without leaves out what the server has refused by its name, if there is anything
// left to leave out.
func (r *openAIRequest) without(e *statusError) bool {
	switch {
	case len(r.Stop) > openAIStops && e.names([]string{"stop"}):
		r.Stop = r.Stop[:openAIStops]
	case r.JSONSchema != nil && e.names([]string{"json_schema"}):
		r.JSONSchema = nil
	case r.extras != nil && e.names(extraFields):
		r.extras = nil
	default:
		return false
	}
	return true
}

// choose says which tools may or must be called. A tool's name as the choice is
// passed over by llama-server and refused by LM Studio: the one tool that there is,
// and must be called, is the same to all.
func (o *openAI) choose(r *openAIRequest, p *engine.Prompt) {
	if len(p.Tools) == 0 {
		return
	}
	if forced, ok := strings.CutPrefix(string(p.Choice), "="); ok {
		r.ToolChoice = engine.ChoiceRequired
		r.Tools = slices.DeleteFunc(slices.Clone(p.Tools), func(t json.RawMessage) bool { return toolName(t) != forced })
	} else if p.Choice != engine.ChoiceAuto {
		r.ToolChoice = p.Choice
	}
	if p.OneCall {
		r.ParallelToolCalls = new(bool)
	}
}

func toolName(tool json.RawMessage) string {
	var t struct {
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	_ = json.Unmarshal(tool, &t) // else it has none
	return t.Function.Name
}

// format says what form the answer must have.
func (r *openAIRequest) format(p *engine.Prompt) (err error) {
	schema := json.RawMessage(`{"type":"object"}`)
	switch {
	case string(p.Schema) == `"json"`:
		r.ResponseFormat = map[string]string{"type": "json_object"}
	case len(p.Schema) > 0:
		if schema, err = rewritten(p.Schema, plainGroups); err != nil {
			return err
		}
		r.ResponseFormat = map[string]any{"type": "json_schema", "json_schema": map[string]any{"name": "answer", "schema": schema, "strict": true}}
	case p.Grammar != "":
		return fmt.Errorf("%w: grammars other than JSON schemas go to no upstream", engine.ErrCannot)
	}
	if p.Raw != "" && r.ResponseFormat != nil {
		r.JSONSchema = schema
	}
	return nil
}

func (o *openAI) generate(ctx context.Context, m found, p *engine.Prompt, a *answer) error {
	r, err := o.request(m, p)
	if err != nil {
		return err
	}
	path := "/v1/chat/completions"
	if p.Raw != "" {
		path = "/v1/completions"
	}
	ask := func() error {
		return o.stream(ctx, path, r, a, []string{"text/event-stream"}, func(l *lines) error { return o.read(l, a, p.Logprobs) })
	}
	err = ask()
	for refused := new(statusError); errors.As(err, &refused) && r.without(refused); {
		err = ask()
	}
	return err
}

// list asks which models there are. vLLM and SGLang tell of the context,
// llama-server of the file, and of the context and its slots elsewhere.
func (o *openAI) list(ctx context.Context) ([]found, error) {
	var reply struct {
		Data []struct {
			ID          string `json:"id"`
			MaxModelLen int    `json:"max_model_len"`
			Meta        struct {
				Context int   `json:"n_ctx"`
				Trained int   `json:"n_ctx_train"`
				Size    int64 `json:"size"`
			} `json:"meta"`
		} `json:"data"`
	}
	if err := o.json(ctx, http.MethodGet, "/v1/models", nil, nil, &reply, maxList); err != nil {
		return nil, err
	}
	var list []found
	for _, m := range reply.Data[:min(len(reply.Data), maxListed)] {
		f := found{name: m.ID, bytes: max(m.Meta.Size, 0), context: tokens(m.MaxModelLen)}
		if f.context == 0 {
			f.context = tokens(m.Meta.Context)
		}
		f.details.Trained = tokens(m.Meta.Trained)
		if m.Meta.Trained > 0 && len(reply.Data) == 1 {
			context, slots := o.props(ctx)
			f.context, f.slots = cmp.Or(f.context, context), slots
		}
		list = append(list, f)
	}
	return list, ctx.Err()
}

// props are the context of one slot of llama-server, and how many it has; 0 for what it
// does not tell.
func (o *openAI) props(ctx context.Context) (context, slots int) {
	var reply struct {
		Slots    int `json:"total_slots"`
		Defaults struct {
			Context int `json:"n_ctx"`
		} `json:"default_generation_settings"`
	}
	_ = o.json(ctx, http.MethodGet, "/props", nil, nil, &reply, maxList) // else it is not known
	return tokens(reply.Defaults.Context), max(reply.Slots, 0)
}
