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
	if err := o.into(c, "prompt"); err != nil {
		return nil, err
	}
	if c.MaxTokens == 0 {
		c.MaxTokens = completionTokens
	}
	return c, nil
}

func (o *completion) format(id string, arrived time.Time) format {
	return &completionFormat{openAIFormat{id: "cmpl-" + id, model: o.Model, created: arrived.Unix(), usage: o.StreamOptions.IncludeUsage}}
}

// completionFormat writes answers as OpenAI's completions do.
type completionFormat struct{ openAIFormat }

const completionObject = "text_completion"

func (f *completionFormat) begin(b []byte) []byte { return b }

func (f *completionFormat) choice(b []byte, text string) []byte {
	b = f.object(b, completionObject)
	b = append(b, `,"choices":[{"index":0,"text":`...)
	b = appendString(b, text)
	return append(b, `,"logprobs":null,"finish_reason":`...)
}

func (f *completionFormat) token(b []byte, text string) []byte {
	b = f.choice(append(b, "data: "...), text)
	return append(b, "null}]}\n\n"...)
}

func (f *completionFormat) end(b []byte, r *Result) []byte {
	b = f.choice(append(b, "data: "...), "")
	b = appendString(b, r.Finish)
	b = append(b, "}]}\n\n"...)
	return f.done(b, r, completionObject)
}

func (f *completionFormat) whole(b []byte, text string, r *Result) []byte {
	b = f.choice(b, text)
	b = appendString(b, r.Finish)
	b = append(b, `}],"usage":`...)
	b = appendUsage(b, r)
	return append(b, "}\n"...)
}
