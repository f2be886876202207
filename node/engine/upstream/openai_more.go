package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"omx/node/engine"
)

// embed makes embeddings, or scores where there is a query: vLLM, SGLang and
// llama-server have /v1/rerank in common.
func (o *openAI) embed(ctx context.Context, m found, r *engine.EmbedRequest) ([][]float32, int, error) {
	if r.Query != "" {
		return o.rank(ctx, m, r)
	}
	var reply struct {
		Data []struct {
			Index     int       `json:"index"`
			Embedding []float32 `json:"embedding"`
		} `json:"data"`
		Usage struct {
			Prompt int `json:"prompt_tokens"`
		} `json:"usage"`
	}
	body := map[string]any{"model": m.name, "input": r.Input, "encoding_format": "float"}
	const cut = "truncate_prompt_tokens"
	if r.Truncate {
		body[cut] = -1 // vLLM; others cut by themselves, or cannot
	}
	ask := func() error {
		return o.json(ctx, http.MethodPost, "/v1/embeddings", body, r.Input, &reply, maxEmbed)
	}
	err := ask()
	var refused *statusError
	if errors.As(err, &refused) && refused.names([]string{cut}) {
		delete(body, cut)
		err = ask()
	}
	if err != nil {
		return nil, 0, err
	}
	vectors := make([][]float32, len(r.Input))
	for _, d := range reply.Data {
		if d.Index < 0 || d.Index >= len(vectors) || vectors[d.Index] != nil {
			return nil, 0, fmt.Errorf("%w: a vector for text %d of %d", errGarbage, d.Index, len(vectors))
		}
		vectors[d.Index] = d.Embedding
	}
	return vectors, reply.Usage.Prompt, nil
}

func (o *openAI) rank(ctx context.Context, m found, r *engine.EmbedRequest) ([][]float32, int, error) {
	var reply struct {
		Results []struct {
			Index int     `json:"index"`
			Score float32 `json:"relevance_score"`
		} `json:"results"`
		Usage struct {
			Prompt int `json:"prompt_tokens"`
			Total  int `json:"total_tokens"`
		} `json:"usage"`
	}
	body := map[string]any{"model": m.name, "query": r.Query, "documents": r.Input, "top_n": len(r.Input)}
	if err := o.json(ctx, http.MethodPost, "/v1/rerank", body, append([]string{r.Query}, r.Input...), &reply, maxEmbed); err != nil {
		return nil, 0, err
	}
	scores := make([][]float32, len(r.Input))
	for _, s := range reply.Results {
		if s.Index < 0 || s.Index >= len(scores) || scores[s.Index] != nil {
			return nil, 0, fmt.Errorf("%w: a score for text %d of %d", errGarbage, s.Index, len(scores))
		}
		scores[s.Index] = []float32{s.Score}
	}
	return scores, max(reply.Usage.Prompt, reply.Usage.Total), nil
}

// count asks how many tokens a prompt has. OpenAI's API has no word for it: vLLM
// takes messages at /tokenize, llama-server text, which it makes of messages at
// /apply-template.
func (o *openAI) count(ctx context.Context, m found, p *engine.Prompt) (int, error) {
	body := map[string]any{"model": m.name, "prompt": p.Raw}
	if p.Raw == "" {
		body = map[string]any{"model": m.name, "messages": openAIMessages(p.Messages), "tools": p.Tools}
	}
	texts := promptTexts(p)
	var reply struct {
		Count  int               `json:"count"`
		Tokens []json.RawMessage `json:"tokens"`
	}
	err := o.json(ctx, http.MethodPost, "/tokenize", body, texts, &reply, maxCount)
	if err == nil && tokens(reply.Count) > 0 {
		return reply.Count, nil
	}
	text := p.Raw
	if err == nil && text == "" {
		var templated struct {
			Prompt string `json:"prompt"`
		}
		err = o.json(ctx, http.MethodPost, "/apply-template", body, texts, &templated, maxCount)
		text = templated.Prompt
	}
	if err == nil && text != "" {
		body := map[string]any{"model": m.name, "content": text, "add_special": true, "parse_special": true}
		err = o.json(ctx, http.MethodPost, "/tokenize", body, append(texts, text), &reply, maxCount)
	}
	var refused *statusError
	if len(reply.Tokens) == 0 && (err == nil || errors.As(err, &refused) && refused.status < 500) {
		return 0, fmt.Errorf("%w: upstream %s counts no tokens", engine.ErrCannot, o.base)
	}
	return len(reply.Tokens), err
}
