package api

import (
	"encoding/json"
	"time"
)

// completionTokens is how long an answer of POST /v1/completions is if the
// client does not say, as OpenAI has it.
const completionTokens = 16

// completion is the body of POST /v1/completions as far as it is used.
type completion struct {
	openAIBody
	Prompt onePrompt       `json:"prompt"`
	Echo   json.RawMessage `json:"echo"`
	Suffix json.RawMessage `json:"suffix"`
	BestOf *float64        `json:"best_of"`
	// Logprobs is how many likely tokens to tell beside each.
	Logprobs *float64 `json:"logprobs"`
}

// onePrompt reads a prompt: a string, or a list of one.
type onePrompt string

func (p *onePrompt) UnmarshalJSON(b []byte) error {
	var one string
	var list []string
	switch {
	case json.Unmarshal(b, &one) == nil: // null is "", which is refused later
	case json.Unmarshal(b, &list) != nil:
		return badField("prompt", "must be text; lists of token ids are not supported")
	case len(list) != 1:
		return badField("prompt", "has %d entries; send one prompt a request", len(list))
	default:
		one = list[0]
	}
	*p = onePrompt(one)
	return nil
}

func (o *completion) chat(arrived time.Time) (*Chat, error) {
	if o.Prompt == "" {
		return nil, badField("prompt", "is missing or empty; send the text to go on from")
	}
	err := refuseSet(unsupported{"echo", isSet(o.Echo)}, unsupported{"suffix", isSet(o.Suffix)},
		unsupported{"best_of", o.BestOf != nil && *o.BestOf != 1})
	if err != nil {
		return nil, err
	}
	c := &Chat{Raw: string(o.Prompt), Arrived: arrived}
	if err := c.likeliest(o.Logprobs != nil, "logprobs", o.Logprobs); err != nil {
		return nil, err
	}
	if err := o.into(c, "prompt"); err != nil {
		return nil, err
	}
	if c.MaxTokens == 0 {
		c.MaxTokens = completionTokens
	}
	return c, nil
}

func (o *completion) format(id string, arrived time.Time) format {
	return &completionFormat{openAIFormat: openAIFormat{id: "cmpl-" + id, model: o.Model, created: arrived.Unix(),
		usage: o.StreamOptions.IncludeUsage, logprobs: o.Logprobs != nil}}
}

// completionFormat writes answers as OpenAI's completions do.
type completionFormat struct {
	openAIFormat
	offset int // characters of the text so far
}

const completionObject = "text_completion"

func (f *completionFormat) begin(b []byte) []byte { return b }

func (f *completionFormat) choice(b []byte, text string, logprobs []Logprob) []byte {
	b = f.object(b, completionObject)
	b = append(b, `,"choices":[{"index":0,"text":`...)
	b = append(appendString(b, text), `,"logprobs":`...)
	if f.logprobs {
		b, f.offset = appendLegacyLogprobs(b, logprobs, f.offset)
	} else {
		b = append(b, "null"...)
	}
	return append(b, `,"finish_reason":`...)
}

// token takes thoughts as the text they are: a model that goes on from a text has
// no other place for them.
func (f *completionFormat) token(b []byte, t Token) []byte {
	b = f.choice(append(b, "data: "...), t.Text, t.Logprobs)
	return append(b, "null}]}\n\n"...)
}

func (f *completionFormat) end(b []byte, r *Result) []byte {
	b = f.choice(append(b, "data: "...), "", nil)
	b = appendString(b, r.Finish)
	b = append(b, "}]}\n\n"...)
	return f.done(b, r, completionObject)
}

func (f *completionFormat) whole(b []byte, a *whole, r *Result) []byte {
	b = f.choice(b, a.thought.String()+a.text.String(), a.logprobs)
	b = appendString(b, r.Finish)
	b = append(b, `}],"usage":`...)
	b = appendTimings(appendUsage(b, r), r)
	return append(b, "}\n"...)
}
