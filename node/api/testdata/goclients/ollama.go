package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ollama/ollama/api"
)

// withKey sends a key, which the client itself does not.
type withKey string

func (k withKey) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(k))
	return http.DefaultTransport.RoundTrip(r)
}

func ollamaClient(host, key string) *api.Client {
	return api.NewClient(get(url.Parse(host)), &http.Client{Transport: withKey(key)})
}

func ollamaStatus(err error, status int) {
	var e api.StatusError
	that(errors.As(err, &e) && e.StatusCode == status && e.ErrorMessage != "", "error %v, want status %d", err, status)
}

func ollama() []check {
	ctx, c, manager := context.Background(), ollamaClient(base, key), ollamaClient(holder, key)
	whole := new(bool)
	ask := func(change func(*api.ChatRequest)) *api.ChatRequest {
		p := &api.ChatRequest{Model: model, Stream: whole, Messages: []api.Message{{Role: "user", Content: question}}, Options: map[string]any{"temperature": 0}}
		if change != nil {
			change(p)
		}
		return p
	}
	// chat puts an answer together and counts its parts.
	chat := func(p *api.ChatRequest) (last api.ChatResponse, parts int) {
		var text strings.Builder
		err := c.Chat(ctx, p, func(r api.ChatResponse) error {
			text.WriteString(r.Message.Content)
			last = r
			parts++
			return nil
		})
		that(err == nil && last.Done, "%v", err)
		last.Message.Content = text.String()
		return last, parts
	}
	names := func(c *api.Client) (names []string) {
		for _, m := range get(c.List(ctx)).Models {
			names = append(names, m.Name)
		}
		return names
	}
	running := func(c *api.Client) bool {
		return slices.ContainsFunc(get(c.ListRunning(ctx)).Models, func(m api.ProcessModelResponse) bool { return m.Name == model && m.ExpiresAt.After(time.Now()) })
	}
	tools := api.Tools{{Type: "function", Function: api.ToolFunction{Name: "weather", Description: "Tells the weather.", Parameters: api.ToolFunctionParameters{Type: "object", Required: []string{"city"}, Properties: api.NewToolPropertiesMap()}}}}
	tools[0].Function.Parameters.Properties.Set("city", api.ToolProperty{Type: api.PropertyType{"string"}, Enum: []any{"Oslo", "Lima"}})
	generate := func(p *api.GenerateRequest) (text, reason string) {
		p.Model = model
		err := c.Generate(ctx, p, func(r api.GenerateResponse) error {
			text += r.Response
			reason = r.DoneReason
			return nil
		})
		that(err == nil, "%v", err)
		return text, reason
	}

	return []check{
		{"models: list, get", func() {
			that(slices.Contains(names(c), model), "%s is not listed", model)
			m := get(c.Show(ctx, &api.ShowRequest{Model: model}))
			that(m.Details.Format == "gguf" && len(m.Capabilities) > 0, "%+v", m)
		}},
		{"models: running", func() { that(running(c), "%s does not run", model) }},
		{"version", func() {
			that(get(c.Version(ctx)) != "", "there is none")
			that(c.Heartbeat(ctx) == nil, "there is no heartbeat")
		}},
		{"chat", func() {
			r, parts := chat(ask(nil))
			equal(r.Message.Content, answer)
			equal(r.DoneReason, "stop")
			equal(parts, 1)
		}},
		{"chat, streamed", func() {
			r, parts := chat(ask(func(p *api.ChatRequest) { p.Stream = nil }))
			equal(r.Message.Content, answer)
			that(parts > 5, "%d parts", parts)
		}},
		{"chat: system turn", func() {
			r, _ := chat(ask(func(p *api.ChatRequest) {
				p.Messages = append([]api.Message{{Role: "system", Content: "Be kind."}}, p.Messages...)
			}))
			plain, _ := chat(ask(nil))
			that(r.PromptEvalCount > plain.PromptEvalCount, "%d tokens", r.PromptEvalCount)
		}},
		{"generate", func() {
			text, _ := generate(&api.GenerateRequest{Prompt: question, Stream: whole, Options: map[string]any{"temperature": 0}})
			equal(text, answer)
		}},
		{"generate, streamed", func() {
			text, _ := generate(&api.GenerateRequest{Prompt: question, Options: map[string]any{"temperature": 0}})
			equal(text, answer)
		}},
		{"usage", func() {
			r, _ := chat(ask(nil))
			that(r.PromptEvalCount > 0 && r.EvalCount > 0 && r.EvalDuration > 0 && r.TotalDuration >= r.EvalDuration, "%+v", r.Metrics)
		}},
		{"stop text", func() {
			r, _ := chat(ask(func(p *api.ChatRequest) { p.Options["stop"] = []string{stop} }))
			equal(r.Message.Content, stopped)
			equal(r.DoneReason, "stop")
		}},
		{"token limit", func() {
			r, _ := chat(ask(func(p *api.ChatRequest) { p.Options["num_predict"] = 3 }))
			equal(r.DoneReason, "length")
			equal(r.EvalCount, 3)
		}},
		{"JSON schema", func() {
			r, _ := chat(ask(func(p *api.ChatRequest) { p.Format = get(json.Marshal(schema())) }))
			isWeather(r.Message.Content)
		}},
		{"JSON of any form", func() {
			r, _ := chat(ask(func(p *api.ChatRequest) { p.Format, p.Options["num_predict"] = json.RawMessage(`"json"`), 400 }))
			that(r.DoneReason == "length" || json.Valid([]byte(r.Message.Content)), "%s", r.Message.Content)
		}},
		{"tool offered, not called", func() { // nothing in this API forces a call
			r, _ := chat(ask(func(p *api.ChatRequest) { p.Tools = tools }))
			that(r.DoneReason == "stop" && len(r.Message.ToolCalls) == 0, "%+v", r)
		}},
		{"tool result", func() {
			call := api.ToolCall{Function: api.ToolCallFunction{Name: "weather", Arguments: api.NewToolCallFunctionArguments()}}
			call.Function.Arguments.Set("city", "Oslo")
			r, _ := chat(ask(func(p *api.ChatRequest) {
				p.Messages = append(p.Messages, api.Message{Role: "assistant", ToolCalls: []api.ToolCall{call}}, api.Message{Role: "tool", ToolName: "weather", Content: "sunny"})
			}))
			that(r.Message.Content != "", "there is no answer")
		}},
		{"embeddings", func() {
			r := get(c.Embed(ctx, &api.EmbedRequest{Model: model, Input: []string{"a river", "a horse"}}))
			that(cosine(r.Embeddings[0], r.Embeddings[1]) < 0.9999 && r.PromptEvalCount > 0, "all texts are the same")
			old := get(c.Embeddings(ctx, &api.EmbeddingRequest{Model: model, Prompt: "a river"}))
			var v []float32
			for _, x := range old.Embedding {
				v = append(v, float32(x))
			}
			same(v, r.Embeddings[0])
		}},
		{"logprobs", func() {
			r, _ := chat(ask(func(p *api.ChatRequest) { p.Logprobs, p.TopLogprobs = true, 2 }))
			var text strings.Builder
			for _, l := range r.Logprobs {
				text.WriteString(l.Token)
				that(l.Logprob <= 0 && len(l.TopLogprobs) == 2, "%+v", l)
			}
			equal(text.String(), answer)
		}},
		{"models: unload, load", func() {
			done := func(keep time.Duration) (reason string) {
				err := manager.Generate(ctx, &api.GenerateRequest{Model: model, KeepAlive: &api.Duration{Duration: keep}}, func(r api.GenerateResponse) error {
					reason = r.DoneReason
					return nil
				})
				that(err == nil, "%v", err)
				return reason
			}
			equal(done(0), "unload")
			for running(manager) { // it goes once nobody uses it; the test's own limit ends the wait
			}
			equal(done(-1), "load")
			that(running(manager), "it is not loaded")
		}},
		{"models: create, copy, delete", func() {
			file := get(os.ReadFile(modelFile))
			digest := fmt.Sprintf("sha256:%x", sha256.Sum256(file))
			that(manager.CreateBlob(ctx, digest, bytes.NewReader(file)) == nil, "the blob was not taken")
			create := func(r *api.CreateRequest) {
				status := ""
				err := manager.Create(ctx, r, func(p api.ProgressResponse) error {
					status = p.Status
					return nil
				})
				that(err == nil && status == "success", "%v, %s", err, status)
			}
			create(&api.CreateRequest{Model: "made", Files: map[string]string{"demo.gguf": digest}})
			create(&api.CreateRequest{Model: "kind", From: "made", System: "Be kind.", Parameters: map[string]any{"temperature": 0}})
			err := manager.Copy(ctx, &api.CopyRequest{Source: "made", Destination: "copied"})
			that(err == nil, "%v", err)
			for _, m := range []string{"made", "kind", "copied"} {
				that(slices.Contains(names(manager), m), "%s is not listed", m)
				err := manager.Delete(ctx, &api.DeleteRequest{Model: m})
				that(err == nil && !slices.Contains(names(manager), m), "%s is still there, %v", m, err)
			}
			ollamaStatus(manager.Delete(ctx, &api.DeleteRequest{Model: "made"}), 404)
		}},
		{"abort of a stream", func() {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			n := 0
			err := c.Chat(ctx, ask(func(p *api.ChatRequest) { p.Stream, p.Format = nil, get(json.Marshal(digits())) }), func(api.ChatResponse) error {
				if n++; n == 5 {
					cancel()
				}
				return nil
			})
			// This client takes a stream that was broken off for one that ended.
			that(n >= 5 && n < 100 && (err == nil || errors.Is(err, context.Canceled)), "%v after %d parts", err, n)
			r, _ := chat(ask(nil))
			equal(r.Message.Content, answer)
		}},
		{"error: unknown model", func() {
			nothing := func(api.ChatResponse) error { return nil }
			ollamaStatus(c.Chat(ctx, ask(func(p *api.ChatRequest) { p.Model = noModel }), nothing), 404)
			_, err := c.Show(ctx, &api.ShowRequest{Model: noModel})
			ollamaStatus(err, 404)
		}},
		{"error: bad parameter", func() {
			ollamaStatus(c.Chat(ctx, ask(func(p *api.ChatRequest) { p.Options["temperature"] = -1 }), func(api.ChatResponse) error { return nil }), 400)
		}},
		{"error: wrong key", func() {
			wrong := ollamaClient(base, wrongKey)
			var e api.AuthorizationError
			_, err := wrong.List(ctx)
			that(errors.As(err, &e) && e.StatusCode == 401, "%v", err)
			err = wrong.Chat(ctx, ask(nil), func(api.ChatResponse) error { return nil })
			that(errors.As(err, &e) && e.StatusCode == 401, "%v", err)
		}},
	}
}
