package main

import (
	"context"
	"errors"
	"strings"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
)

func anthropicClient(key string) anthropic.Client {
	return anthropic.NewClient(option.WithoutEnvironmentDefaults(), option.WithBaseURL(base), option.WithAPIKey(key), option.WithMaxRetries(0))
}

// anthropicStatus checks that an error is the client's own, with a status and type.
func anthropicStatus(err error, status int, kind string) {
	var e *anthropic.Error
	that(errors.As(err, &e) && e.StatusCode == status && strings.Contains(e.RawJSON(), kind) && e.RequestID != "", "error %v, want status %d, %s", err, status, kind)
}

func anthropics() []check {
	ctx, c := context.Background(), anthropicClient(key)
	cold := option.WithJSONSet("temperature", 0) // this client's requests have no field for it
	ask := anthropic.MessageNewParams{Model: model, MaxTokens: 1000, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(question))}}
	with := func(change func(*anthropic.MessageNewParams)) anthropic.MessageNewParams {
		p := ask
		change(&p)
		return p
	}
	chat := func(p anthropic.MessageNewParams) *anthropic.Message { return get(c.Messages.New(ctx, p, cold)) }
	stream := func(p anthropic.MessageNewParams) (m anthropic.Message, text string) {
		s := c.Messages.NewStreaming(ctx, p, cold)
		for s.Next() {
			e := s.Current()
			that(m.Accumulate(e) == nil, "the event %s does not fit those before", e.RawJSON())
			text += e.Delta.Text
		}
		that(s.Err() == nil, "%v", s.Err())
		return m, text
	}
	form := func(schema map[string]any) anthropic.OutputConfigParam {
		return anthropic.OutputConfigParam{Format: anthropic.JSONOutputFormatParam{Schema: schema}}
	}
	tools := []anthropic.ToolUnionParam{anthropic.ToolUnionParamOfTool(anthropic.ToolInputSchemaParam{Properties: properties(), Required: []string{"city", "days"}}, "weather")}
	read := func(u anthropic.Usage) int64 { return u.InputTokens + u.CacheReadInputTokens }
	// used is the call in an answer.
	used := func(m *anthropic.Message) anthropic.ToolUseBlock {
		equal(m.StopReason, anthropic.StopReasonToolUse)
		call := m.Content[len(m.Content)-1].AsToolUse()
		equal(call.Name, "weather")
		isWeather(string(call.Input))
		return call
	}

	return []check{
		{"models: list, get", func() {
			found := false
			for all := c.Models.ListAutoPaging(ctx, anthropic.ModelListParams{}); all.Next(); {
				found = found || all.Current().ID == model
			}
			that(found, "%s is not listed", model)
			m := get(c.Models.Get(ctx, model, anthropic.ModelGetParams{}))
			that(m.ID == model && m.DisplayName != "" && !m.CreatedAt.IsZero(), "%s", m.RawJSON())
		}},
		{"chat", func() {
			m := chat(ask)
			equal(m.Content[0].Text, answer)
			equal(m.StopReason, anthropic.StopReasonEndTurn)
		}},
		{"chat, streamed", func() {
			m, text := stream(ask)
			equal(text, answer)
			equal(m.Content[0].Text, answer)
			equal(m.StopReason, anthropic.StopReasonEndTurn)
		}},
		{"chat: system turn", func() {
			m := chat(with(func(p *anthropic.MessageNewParams) { p.System = []anthropic.TextBlockParam{{Text: "Be kind."}} }))
			that(read(m.Usage) > read(chat(ask).Usage), "%s", m.Usage.RawJSON())
		}},
		{"usage", func() {
			u := chat(ask).Usage
			that(u.InputTokens > 0 && u.OutputTokens > 0, "%s", u.RawJSON())
		}},
		{"usage, streamed", func() {
			m, _ := stream(ask)
			u := chat(ask).Usage
			equal([2]int64{read(m.Usage), m.Usage.OutputTokens}, [2]int64{read(u), u.OutputTokens})
		}},
		{"stop text", func() {
			m := chat(with(func(p *anthropic.MessageNewParams) { p.StopSequences = []string{stop} }))
			equal(m.Content[0].Text, stopped)
			equal(m.StopReason, anthropic.StopReasonStopSequence)
			equal(m.StopSequence, stop)
		}},
		{"token limit", func() {
			m := chat(with(func(p *anthropic.MessageNewParams) { p.MaxTokens = 3 }))
			equal(m.StopReason, anthropic.StopReasonMaxTokens)
			equal(m.Usage.OutputTokens, 3)
		}},
		{"JSON schema", func() {
			isWeather(chat(with(func(p *anthropic.MessageNewParams) { p.OutputConfig = form(schema()) })).Content[0].Text)
		}},
		{"tool call", func() {
			used(chat(with(func(p *anthropic.MessageNewParams) {
				p.Tools, p.ToolChoice = tools, anthropic.ToolChoiceParamOfTool("weather")
			})))
		}},
		{"tool call, streamed", func() {
			m, _ := stream(with(func(p *anthropic.MessageNewParams) {
				p.Tools, p.ToolChoice.OfAny = tools, &anthropic.ToolChoiceAnyParam{}
			}))
			used(&m)
		}},
		{"tool result", func() {
			called := chat(with(func(p *anthropic.MessageNewParams) {
				p.Tools, p.ToolChoice = tools, anthropic.ToolChoiceParamOfTool("weather")
			}))
			m := chat(with(func(p *anthropic.MessageNewParams) {
				p.Tools, p.ToolChoice.OfNone = tools, &anthropic.ToolChoiceNoneParam{}
				p.Messages = append(p.Messages[:1:1], called.ToParam(), anthropic.NewUserMessage(anthropic.NewToolResultBlock(used(called).ID, "sunny", false)))
			}))
			that(len(m.Content) == 1 && m.Content[0].Text != "", "%s", m.RawJSON())
		}},
		{"tool offered, not called", func() {
			equal(chat(with(func(p *anthropic.MessageNewParams) { p.Tools = tools })).StopReason, anthropic.StopReasonEndTurn)
		}},
		{"count of tokens", func() {
			n := get(c.Messages.CountTokens(ctx, anthropic.MessageCountTokensParams{Model: model, Messages: ask.Messages}))
			equal(n.InputTokens, read(chat(ask).Usage))
		}},
		{"abort of a stream", func() {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			s, n := c.Messages.NewStreaming(ctx, with(func(p *anthropic.MessageNewParams) { p.OutputConfig = form(digits()) })), 0
			for ; s.Next(); n++ {
				if n == 5 {
					cancel()
				}
			}
			that(errors.Is(s.Err(), context.Canceled), "%v after %d events", s.Err(), n)
			equal(chat(ask).Content[0].Text, answer)
		}},
		{"error: unknown model", func() {
			_, err := c.Messages.New(ctx, with(func(p *anthropic.MessageNewParams) { p.Model = noModel }))
			anthropicStatus(err, 404, "not_found_error")
			_, err = c.Models.Get(ctx, noModel, anthropic.ModelGetParams{})
			anthropicStatus(err, 404, "not_found_error")
		}},
		{"error: bad parameter", func() {
			_, err := c.Messages.New(ctx, ask, option.WithJSONSet("temperature", -1))
			anthropicStatus(err, 400, "invalid_request_error")
		}},
		{"error: wrong key", func() {
			wrong := anthropicClient(wrongKey)
			_, err := wrong.Messages.New(ctx, ask)
			anthropicStatus(err, 401, "authentication_error")
		}},
	}
}
