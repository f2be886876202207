package upstream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"omx/node/engine"
)

// chunk is an event of a stream: of chat completions or of completions.
type chunk struct {
	Choices []struct {
		Index int `json:"index"`
		Delta struct {
			Content   string `json:"content"`
			Refusal   string `json:"refusal"`
			Reasoning loose  `json:"reasoning_content"` // vLLM, SGLang, llama-server, DeepSeek
			Thinking  loose  `json:"reasoning"`         // OpenRouter, LM Studio, newer vLLM; some send both
			ToolCalls []struct {
				Index    *int   `json:"index"`
				ID       string `json:"id"`
				Function struct {
					Name      string          `json:"name"`
					Arguments json.RawMessage `json:"arguments"`
				} `json:"function"`
			} `json:"tool_calls"`
		} `json:"delta"`
		Text         string    `json:"text"`
		Logprobs     *logprobs `json:"logprobs"`
		FinishReason string    `json:"finish_reason"`
		StopReason   loose     `json:"stop_reason"` // vLLM: the stop text, or a token's number
	} `json:"choices"`
	Usage *struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Details    struct {
			Cached int `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	} `json:"usage"`
	Timings struct { // llama-server
		Prompt float64 `json:"prompt_ms"`
	} `json:"timings"`
	Error json.RawMessage `json:"error"`
}

// loose is a string, or what is passed over.
type loose string

func (l *loose) UnmarshalJSON(b []byte) error {
	*l = loose(word(b))
	return nil
}

// read takes an answer as it comes. A stream ends with [DONE], or, where that is
// left out, with its connection after the reason.
func (o *openAI) read(l *lines, a *answer, likely int) error {
	ended := false
	for e := (events{lines: l}); ; {
		data, err := e.next()
		switch {
		case err == io.EOF && ended, err == nil && string(data) == "[DONE]":
			return nil
		case err != nil:
			return err
		case len(data) == 0:
			continue
		}
		var c chunk
		if json.Unmarshal(data, &c) != nil {
			return fmt.Errorf("%w: an event that is no chunk of an answer", errGarbage)
		}
		if len(c.Error) > 0 && string(c.Error) != "null" {
			return o.interrupted(c.Error, a.texts)
		}
		for i := range c.Choices {
			ch := &c.Choices[i]
			if ch.Index != 0 {
				continue // one was asked for
			}
			if err := take(&c, i, a, likely); err != nil {
				return err
			}
			if ch.FinishReason != "" {
				ended = true
				a.stopped(string(ch.StopReason))
				if err := a.end(ch.FinishReason); err != nil {
					return err
				}
			}
		}
		if u := c.Usage; u != nil {
			a.tell(u.Prompt, u.Details.Cached, u.Completion)
		}
		a.took(c.Timings.Prompt * float64(time.Millisecond))
	}
}

// take hands on what a choice has.
func take(c *chunk, i int, a *answer, likely int) error {
	ch := &c.Choices[i]
	d := &ch.Delta
	said := ch.Logprobs.read(likely)
	thought := string(d.Reasoning)
	if thought == "" {
		thought = string(d.Thinking)
	}
	of := said
	if d.Content+d.Refusal+ch.Text != "" {
		of = nil
	}
	if err := a.thought(thought, of); err != nil {
		return err
	}
	if thought != "" && of != nil {
		said = nil
	}
	if err := a.text(d.Content+d.Refusal+ch.Text, said); err != nil {
		return err
	}
	for _, t := range d.ToolCalls {
		index := -1
		if t.Index != nil {
			if index = *t.Index; index < 0 {
				index = maxCalls
			}
		}
		args := []byte(word(t.Function.Arguments)) // in a string, as OpenAI has it
		if raw := bytes.TrimSpace(t.Function.Arguments); len(raw) > 0 && raw[0] == '{' {
			args = raw
		}
		if err := a.delta(index, t.ID, t.Function.Name, args); err != nil {
			return err
		}
	}
	return nil
}

// tokenLogprob is a token's likelihood as chat completions and Ollama have it.
type tokenLogprob struct {
	Token   string   `json:"token"`
	Bytes   []uint16 `json:"bytes"` // []byte would be read as base64
	Logprob float32  `json:"logprob"`
}

func (t *tokenLogprob) text() []byte {
	if len(t.Bytes) == 0 {
		return []byte(t.Token)
	}
	b := make([]byte, len(t.Bytes))
	for i, x := range t.Bytes {
		b[i] = byte(x)
	}
	return b
}

// ranked is a token with those that might have come.
type ranked struct {
	tokenLogprob
	Top []tokenLogprob `json:"top_logprobs"`
}

// logprobs are of a piece of an answer; completions have the older form.
type logprobs struct {
	Content []ranked             `json:"content"`
	Tokens  []string             `json:"tokens"`
	Own     []*float32           `json:"token_logprobs"`
	Top     []map[string]float32 `json:"top_logprobs"`
}

// read returns as many as were asked for.
func (l *logprobs) read(likely int) []engine.Logprob {
	if l == nil || likely == 0 {
		return nil
	}
	if len(l.Content) > 0 {
		return likelihoods(l.Content, likely)
	}
	var all []ranked
	for i, text := range l.Tokens {
		r := ranked{tokenLogprob: tokenLogprob{Token: text}}
		if i < len(l.Own) && l.Own[i] != nil {
			r.Logprob = *l.Own[i]
		}
		if i < len(l.Top) {
			for _, text := range slices.Sorted(maps.Keys(l.Top[i])) {
				r.Top = append(r.Top, tokenLogprob{Token: text, Logprob: l.Top[i][text]})
			}
		}
		all = append(all, r)
	}
	return likelihoods(all, likely)
}

func likelihoods(all []ranked, likely int) []engine.Logprob {
	if likely == 0 {
		return nil
	}
	var out []engine.Logprob
	for i := range all {
		r := &all[i]
		slices.SortStableFunc(r.Top, func(a, b tokenLogprob) int {
			switch {
			case a.Logprob > b.Logprob:
				return -1
			case a.Logprob < b.Logprob:
				return 1
			}
			return 0
		})
		p := engine.Logprob{Text: r.text(), Logprob: r.Logprob}
		for j := range r.Top[:min(len(r.Top), likely-1, maxTop)] {
			p.Top = append(p.Top, engine.TopLogprob{Text: r.Top[j].text(), Logprob: r.Top[j].Logprob})
		}
		out = append(out, p)
	}
	return out
}
