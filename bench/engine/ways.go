package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"omx/bench/api"
	"omx/node/catalog"
	"omx/node/engine"
)

// Ways to ask a model.
const (
	variantBare   = "bare binding"
	variantEngine = "engine"
	variantHTTP   = "HTTP"
)

// took is what answers to some prompts at once took.
type took struct {
	prompt, cached int           // tokens of the first prompt, and those of it that were not read
	first          time.Duration // until the first piece of the first answer
	whole          time.Duration // until the last answer's end
	model          time.Duration // of first, over HTTP: what the model took
	hop            time.Duration // of the bare binding: what asking its process took beside
}

// way asks for so many tokens after each prompt, all at once, and fails where an
// answer is shorter.
type way struct {
	name string
	ask  func(ctx context.Context, prompts []string, tokens int) (took, error)
}

func (r *rig) askBare(_ context.Context, prompts []string, tokens int) (took, error) {
	began := time.Now()
	t, err := r.bare.say(bareJob{prompts, tokens})
	return took{prompt: t.Prompt, first: t.First, whole: t.Whole, hop: time.Since(began) - t.Whole}, err
}

func (r *rig) askEngine(ctx context.Context, prompts []string, tokens int) (took, error) {
	return together(len(prompts), func(i int) (t took, err error) {
		began := time.Now()
		u, err := r.local.Generate(ctx, &engine.Prompt{Model: r.model, Raw: prompts[i], MaxTokens: tokens}, func(engine.Token) error {
			if t.first == 0 {
				t.first = time.Since(began)
			}
			return nil
		})
		t.prompt, t.cached = u.PromptTokens, u.CachedTokens
		return t, errors.Join(err, long(u.OutputTokens, tokens))
	})
}

// errShort means that the model ended an answer by itself.
var errShort = errors.New("an answer is short")

func long(got, want int) error {
	switch {
	case got == want:
		return nil
	case got > 0 && got < want:
		return fmt.Errorf("%w: it has %d tokens, %d were asked for", errShort, got, want)
	}
	return fmt.Errorf("an answer has %d tokens, %d were asked for", got, want)
}

// together asks n at once.
func together(n int, ask func(i int) (took, error)) (took, error) {
	all, errs := make([]took, n), make([]error, n)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { all[i], errs[i] = ask(i) })
	}
	wg.Wait()
	all[0].whole = time.Since(began)
	return all[0], errors.Join(errs...)
}

// client keeps a connection for each request at once.
type client struct {
	addr  string
	model catalog.ModelID
	conns []*conn
}

func (h *client) ask(_ context.Context, prompts []string, tokens int) (took, error) {
	for len(h.conns) < len(prompts) {
		c, err := dial(h.addr, h.model)
		if err != nil {
			return took{}, err
		}
		h.conns = append(h.conns, c)
	}
	return together(len(prompts), func(i int) (took, error) { return h.conns[i].ask(prompts[i], tokens) })
}

func (h *client) close() (err error) {
	for _, c := range h.conns {
		err = errors.Join(err, c.Close())
	}
	return err
}

// conn asks over one connection.
type conn struct {
	*api.Conn
	model catalog.ModelID
	piece func() // called at each piece of text, if it is set
}

func dial(addr string, model catalog.ModelID) (*conn, error) {
	c, err := api.Dial(addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, model: model}, nil
}

func (c *conn) ask(prompt string, tokens int) (t took, err error) {
	request := api.Post("/v1/completions", fmt.Appendf(nil, `{"model":%q,"prompt":%q,"max_tokens":%d,"temperature":0,"stream":true,"stream_options":{"include_usage":true}}`,
		c.model.String(), prompt, tokens))
	began := time.Now()
	if _, err := c.Send(request); err != nil {
		return t, err
	}
	for more := true; more; {
		if more, err = c.Next(); err != nil {
			return t, err
		}
		if more && t.first == 0 {
			t.first = time.Since(began)
		}
		if more && c.piece != nil {
			c.piece()
		}
	}
	var last struct {
		Usage struct {
			Prompt  int `json:"prompt_tokens"`
			Output  int `json:"completion_tokens"`
			Details struct {
				Cached int `json:"cached_tokens"`
			} `json:"prompt_tokens_details"`
		} `json:"usage"`
		Timings struct {
			Prompt float64 `json:"prompt_ms"`
		} `json:"timings"`
	}
	if err := json.Unmarshal(c.Usage(), &last); err != nil {
		return t, fmt.Errorf("read usage: %w", err)
	}
	t.prompt, t.cached = last.Usage.Prompt, last.Usage.Details.Cached
	t.model = time.Duration(last.Timings.Prompt * float64(time.Millisecond))
	return t, long(last.Usage.Output, tokens)
}
