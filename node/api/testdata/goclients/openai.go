package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
)

func openAIClient(key string) openai.Client {
	return openai.NewClient(option.WithBaseURL(base+"/v1"), option.WithAPIKey(key), option.WithMaxRetries(0))
}

// openAIStatus checks that an error is the client's own, with a status.
func openAIStatus(err error, status int) {
	var e *openai.Error
	that(errors.As(err, &e) && e.StatusCode == status && e.Message != "", "error %v, want status %d", err, status)
}

func openAI() []check {
	ctx, c := context.Background(), openAIClient(key)
	ask := openai.ChatCompletionNewParams{Model: model, Temperature: openai.Float(0), Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(question)}}
	with := func(change func(*openai.ChatCompletionNewParams)) openai.ChatCompletionNewParams {
		p := ask
		change(&p)
		return p
	}
	chat := func(p openai.ChatCompletionNewParams) *openai.ChatCompletion {
		return get(c.Chat.Completions.New(ctx, p))
	}
	stream := func(p openai.ChatCompletionNewParams) *openai.ChatCompletionAccumulator {
		acc := &openai.ChatCompletionAccumulator{}
		s := c.Chat.Completions.NewStreaming(ctx, p)
		for s.Next() {
			that(acc.AddChunk(s.Current()), "the chunk %s does not fit those before", s.Current().RawJSON())
		}
		that(s.Err() == nil, "%v", s.Err())
		return acc
	}
	form := func(schema any) openai.ChatCompletionNewParamsResponseFormatUnion {
		return openai.ChatCompletionNewParamsResponseFormatUnion{OfJSONSchema: &openai.ResponseFormatJSONSchemaParam{
			JSONSchema: openai.ResponseFormatJSONSchemaJSONSchemaParam{Name: "form", Schema: schema, Strict: openai.Bool(true)}}}
	}
	tools := []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{
		Name: "weather", Description: openai.String("Tells the weather."), Parameters: schema(), Strict: openai.Bool(true)})}
	must := openai.ChatCompletionToolChoiceOptionUnionParam{OfAuto: openai.String("required")}
	embed := func(format openai.EmbeddingNewParamsEncodingFormat, texts ...string) *openai.CreateEmbeddingResponse {
		return get(c.Embeddings.New(ctx, openai.EmbeddingNewParams{Model: model, EncodingFormat: format, Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: texts}}))
	}
	respond := responses.ResponseNewParams{Model: model, Temperature: openai.Float(0), Store: openai.Bool(false), Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(question)}}

	return []check{
		{"models: list, get", func() {
			found := false
			for all := c.Models.ListAutoPaging(ctx); all.Next(); {
				found = found || all.Current().ID == model
			}
			that(found, "%s is not listed", model)
			equal(get(c.Models.Get(ctx, model)).ID, model)
		}},
		{"chat", func() {
			r := chat(ask)
			equal(r.Choices[0].Message.Content, answer)
			equal(r.Choices[0].FinishReason, "stop")
		}},
		{"chat, streamed", func() {
			r := stream(ask)
			equal(r.Choices[0].Message.Content, answer)
			equal(r.Choices[0].FinishReason, "stop")
		}},
		{"chat: system turn", func() {
			r := chat(with(func(p *openai.ChatCompletionNewParams) {
				p.Messages = append([]openai.ChatCompletionMessageParamUnion{openai.SystemMessage("Be kind.")}, p.Messages...)
			}))
			that(r.Usage.PromptTokens > chat(ask).Usage.PromptTokens, "%d tokens", r.Usage.PromptTokens)
		}},
		{"usage", func() {
			u := chat(ask).Usage
			that(u.PromptTokens > 0 && u.CompletionTokens > 0 && u.TotalTokens == u.PromptTokens+u.CompletionTokens, "%s", u.RawJSON())
		}},
		{"usage, streamed", func() {
			r := stream(with(func(p *openai.ChatCompletionNewParams) { p.StreamOptions.IncludeUsage = openai.Bool(true) }))
			u := chat(ask).Usage
			equal([2]int64{r.Usage.PromptTokens, r.Usage.CompletionTokens}, [2]int64{u.PromptTokens, u.CompletionTokens})
		}},
		{"stop text", func() {
			r := chat(with(func(p *openai.ChatCompletionNewParams) { p.Stop.OfStringArray = []string{stop} }))
			equal(r.Choices[0].Message.Content, stopped)
			equal(r.Choices[0].FinishReason, "stop")
		}},
		{"token limit", func() {
			r := chat(with(func(p *openai.ChatCompletionNewParams) { p.MaxCompletionTokens = openai.Int(3) }))
			equal(r.Choices[0].FinishReason, "length")
			equal(r.Usage.CompletionTokens, 3)
		}},
		{"JSON schema", func() {
			isWeather(chat(with(func(p *openai.ChatCompletionNewParams) { p.ResponseFormat = form(schema()) })).Choices[0].Message.Content)
		}},
		{"JSON of any form", func() {
			r := chat(with(func(p *openai.ChatCompletionNewParams) {
				p.MaxTokens, p.ResponseFormat.OfJSONObject = openai.Int(400), &openai.ResponseFormatJSONObjectParam{}
			})).Choices[0]
			that(r.FinishReason == "length" || json.Valid([]byte(r.Message.Content)), "%s", r.Message.Content)
		}},
		{"tool call", func() {
			r := chat(with(func(p *openai.ChatCompletionNewParams) { p.Tools, p.ToolChoice = tools, must })).Choices[0]
			equal(r.FinishReason, "tool_calls")
			equal(r.Message.ToolCalls[0].Function.Name, "weather")
			isWeather(r.Message.ToolCalls[0].Function.Arguments)
		}},
		{"tool call, streamed", func() {
			named := openai.ToolChoiceOptionFunctionToolChoice(openai.ChatCompletionNamedToolChoiceFunctionParam{Name: "weather"})
			r := stream(with(func(p *openai.ChatCompletionNewParams) { p.Tools, p.ToolChoice = tools, named })).Choices[0]
			equal(r.FinishReason, "tool_calls")
			that(r.Message.ToolCalls[0].ID != "", "the call has no id")
			isWeather(r.Message.ToolCalls[0].Function.Arguments)
		}},
		{"tool result", func() {
			called := chat(with(func(p *openai.ChatCompletionNewParams) { p.Tools, p.ToolChoice = tools, must })).Choices[0].Message
			r := chat(with(func(p *openai.ChatCompletionNewParams) {
				p.Tools, p.ToolChoice = tools, openai.ChatCompletionToolChoiceOptionUnionParam{OfAuto: openai.String("none")}
				p.Messages = append(p.Messages[:1:1], called.ToParam(), openai.ToolMessage("sunny", called.ToolCalls[0].ID))
			})).Choices[0]
			that(r.Message.Content != "" && len(r.Message.ToolCalls) == 0, "%s", r.RawJSON())
		}},
		{"tool offered, not called", func() {
			equal(chat(with(func(p *openai.ChatCompletionNewParams) { p.Tools = tools })).Choices[0].FinishReason, "stop")
		}},
		{"embeddings", func() {
			r := embed(openai.EmbeddingNewParamsEncodingFormatFloat, "a river", "a horse")
			that(cosine(r.Data[0].Embedding, r.Data[1].Embedding) < 0.9999 && r.Usage.PromptTokens > 0, "all texts are the same")
		}},
		{"embeddings, base64", func() {
			packed := embed(openai.EmbeddingNewParamsEncodingFormatBase64, "a river").Data[0]
			var text string
			that(json.Unmarshal([]byte(packed.JSON.Embedding.Raw()), &text) == nil, "%.40s is no text", packed.JSON.Embedding.Raw())
			raw := get(base64.StdEncoding.DecodeString(text))
			var v []float64
			for i := 0; i+4 <= len(raw); i += 4 {
				v = append(v, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[i:]))))
			}
			same(v, embed(openai.EmbeddingNewParamsEncodingFormatFloat, "a river").Data[0].Embedding)
		}},
		{"logprobs", func() {
			r := chat(with(func(p *openai.ChatCompletionNewParams) { p.Logprobs, p.TopLogprobs = openai.Bool(true), openai.Int(2) }))
			var text strings.Builder
			for _, l := range r.Choices[0].Logprobs.Content {
				text.WriteString(l.Token)
				that(l.Logprob <= 0 && len(l.TopLogprobs) == 2, "%s", l.RawJSON())
			}
			equal(text.String(), answer)
		}},
		{"completions", func() {
			p := openai.CompletionNewParams{Model: openai.CompletionNewParamsModel(model), Temperature: openai.Float(0), MaxTokens: openai.Int(8), Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("A river is")}}
			var text strings.Builder
			s := c.Completions.NewStreaming(ctx, p)
			for s.Next() {
				for _, choice := range s.Current().Choices {
					text.WriteString(choice.Text)
				}
			}
			that(s.Err() == nil && text.Len() > 0, "%v", s.Err())
			equal(get(c.Completions.New(ctx, p)).Choices[0].Text, text.String())
		}},
		{"responses", func() {
			r := get(c.Responses.New(ctx, respond))
			equal(r.OutputText(), answer)
			equal(r.Status, "completed")
		}},
		{"responses, streamed", func() {
			var text strings.Builder
			last := ""
			s := c.Responses.NewStreaming(ctx, respond)
			for s.Next() {
				if last = s.Current().Type; last == "response.output_text.delta" {
					text.WriteString(s.Current().Delta)
				}
			}
			that(s.Err() == nil, "%v", s.Err())
			equal(text.String(), answer)
			equal(last, "response.completed")
		}},
		{"responses: tool call and result", func() {
			p := respond
			p.Tools = []responses.ToolUnionParam{responses.ToolParamOfFunction("weather", schema(), true)}
			p.ToolChoice.OfToolChoiceMode = openai.Opt(responses.ToolChoiceOptionsRequired)
			r := get(c.Responses.New(ctx, p))
			call := r.Output[len(r.Output)-1].AsFunctionCall()
			isWeather(call.Arguments)
			result := responses.ResponseInputItemParamOfFunctionCallOutput("sunny")
			result.OfFunctionCallOutput.CallID = openai.String(call.CallID)
			p.Input = responses.ResponseNewParamsInputUnion{OfInputItemList: []responses.ResponseInputItemUnionParam{
				responses.ResponseInputItemParamOfMessage(question, "user"),
				responses.ResponseInputItemParamOfFunctionCall(call.Arguments, call.CallID, call.Name), result}}
			p.ToolChoice.OfToolChoiceMode = openai.Opt(responses.ToolChoiceOptionsNone)
			that(get(c.Responses.New(ctx, p)).OutputText() != "", "there is no answer")
		}},
		{"responses: JSON schema", func() {
			p := respond
			p.Text.Format.OfJSONSchema = &responses.ResponseFormatTextJSONSchemaConfigParam{Name: "form", Schema: schema(), Strict: openai.Bool(true)}
			isWeather(get(c.Responses.New(ctx, p)).OutputText())
		}},
		{"abort of a stream", func() {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			s, n := c.Chat.Completions.NewStreaming(ctx, with(func(p *openai.ChatCompletionNewParams) { p.ResponseFormat = form(digits()) })), 0
			for ; s.Next(); n++ {
				if n == 5 {
					cancel()
				}
			}
			that(errors.Is(s.Err(), context.Canceled), "%v after %d chunks", s.Err(), n)
			equal(chat(ask).Choices[0].Message.Content, answer)
		}},
		{"error: unknown model", func() {
			_, err := c.Chat.Completions.New(ctx, with(func(p *openai.ChatCompletionNewParams) { p.Model = noModel }))
			openAIStatus(err, 404)
			_, err = c.Models.Get(ctx, noModel)
			openAIStatus(err, 404)
		}},
		{"error: bad parameter", func() {
			_, err := c.Chat.Completions.New(ctx, with(func(p *openai.ChatCompletionNewParams) { p.Temperature = openai.Float(-1) }))
			openAIStatus(err, 400)
			_, err = c.Chat.Completions.New(ctx, with(func(p *openai.ChatCompletionNewParams) { p.Messages = nil }))
			openAIStatus(err, 400)
		}},
		{"error: wrong key", func() {
			wrong := openAIClient(wrongKey)
			_, err := wrong.Chat.Completions.New(ctx, ask)
			openAIStatus(err, 401)
			_, err = wrong.Models.List(ctx)
			openAIStatus(err, 401)
		}},
	}
}
