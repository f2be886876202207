package api

import "strconv"

// The parts of an event and of the object that a response is.

func (f *responseFormat) ofItem(b []byte) []byte {
	return strconv.AppendInt(append(b, `"output_index":`...), int64(f.index), 10)
}

// ofPart are the fields that tell which text an event is of.
func (f *responseFormat) ofPart(b []byte) []byte {
	b = f.itemID(append(b, `"item_id":`...), f.open.prefix())
	return append(f.ofItem(append(b, ',')), `,"content_index":0`...)
}

func (f *responseFormat) ofCall(b []byte) []byte {
	b = f.itemID(append(b, `"item_id":`...), "fc_")
	return f.ofItem(append(b, ','))
}

func (k itemKind) prefix() string {
	if k == thoughtItem {
		return "rs_"
	}
	return "msg_"
}

// itemID is of the item at hand: the request's id behind a prefix, and a number if
// it is not the first. There is nothing to escape in it.
func (f *responseFormat) itemID(b []byte, prefix string) []byte {
	b = append(append(append(b, '"'), prefix...), f.id...)
	if f.index > 0 {
		b = strconv.AppendInt(append(b, '_'), int64(f.index), 10)
	}
	return append(b, '"')
}

// item is the one that is open; its part is there once it is not in progress.
func (f *responseFormat) item(b []byte, status string) []byte {
	b = f.itemID(append(b, `{"id":`...), f.open.prefix())
	if f.open == thoughtItem {
		b = append(append(append(b, `,"type":"reasoning","status":"`...), status...), `","summary":[],"content":[`...)
	} else {
		b = append(append(append(b, `,"type":"message","status":"`...), status...), `","role":"assistant","content":[`...)
	}
	if status != "in_progress" {
		b = f.part(b)
	}
	return append(b, "]}"...)
}

// part is what the open item says so far.
func (f *responseFormat) part(b []byte) []byte {
	if f.open == thoughtItem {
		b = append(b, `{"type":"reasoning_text","text":`...)
	} else {
		b = append(append(b, `{"type":"output_text","annotations":[],"logprobs":[`...), f.logprobs...)
		b = append(b, `],"text":`...)
	}
	return append(appendString(b, string(f.text)), '}')
}

func (f *responseFormat) callItem(b []byte, c *Call, status, arguments string) []byte {
	b = f.itemID(append(b, `{"id":`...), "fc_")
	b = append(append(append(b, `,"type":"function_call","status":"`...), status...), `","call_id":`...)
	b = appendString(b, c.ID)
	b = appendString(append(b, `,"name":`...), c.Name)
	b = appendString(append(b, `,"arguments":`...), arguments)
	return append(b, '}')
}

// object is the response; it has its output and usage when there is a result.
func (f *responseFormat) object(b []byte, status string, r *Result) []byte {
	b = append(append(append(b, `{"id":"resp_`...), f.id...), '"')
	b = append(b, `,"object":"response","created_at":`...)
	b = strconv.AppendInt(b, f.created, 10)
	b = append(b, `,"status":"`+status+`","background":false,"error":null,"incomplete_details":`...)
	if status == "incomplete" {
		b = append(b, `{"reason":"max_output_tokens"}`...)
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"output":[`...)
	if r != nil {
		b = append(b, f.items...)
	}
	b = append(b, `],"usage":`...)
	b = f.usage(b, r)
	b = append(b, ',')
	return append(b, f.asked[1:]...) // without its own bracket
}

func (f *responseFormat) usage(b []byte, r *Result) []byte {
	if r == nil {
		return append(b, "null"...)
	}
	b = append(b, `{"input_tokens":`...)
	b = strconv.AppendInt(b, int64(r.PromptTokens), 10)
	b = append(b, `,"input_tokens_details":{"cached_tokens":`...)
	b = strconv.AppendInt(b, int64(r.CachedTokens), 10)
	b = append(b, `},"output_tokens":`...)
	b = strconv.AppendInt(b, int64(r.OutputTokens), 10)
	b = append(b, `,"output_tokens_details":{"reasoning_tokens":`...)
	b = strconv.AppendInt(b, int64(f.thoughts), 10)
	b = append(b, `},"total_tokens":`...)
	b = strconv.AppendInt(b, int64(r.PromptTokens+r.OutputTokens), 10)
	return append(b, '}')
}
