package api

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// likeliest checks how many likely tokens are to be told beside each of the
// answer's own, if any are.
func (c *Chat) likeliest(asked bool, name string, top *float64) error {
	if asked {
		c.Logprobs = 1
	}
	if top == nil { // as in most requests
		return nil
	}
	k := checker{}
	if n := k.int(name, top, 0, maxTop); n != nil && asked {
		c.Logprobs += *n
	}
	return k.err()
}

// appendLogprobs appends a list of tokens as chat completions, responses and
// Ollama have it.
func appendLogprobs(b []byte, list []Logprob) []byte {
	b = append(b, '[')
	for i := range list {
		l := &list[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = appendLikely(append(b, '{'), l.Text, l.Logprob)
		b = append(b, `,"top_logprobs":[`...)
		for k := range l.Top {
			if k > 0 {
				b = append(b, ',')
			}
			b = append(appendLikely(append(b, '{'), l.Top[k].Text, l.Top[k].Logprob), '}')
		}
		b = append(b, "]}"...)
	}
	return append(b, ']')
}

// appendLikely appends the fields of one token. Its text may be a part of a
// character, which the bytes tell.
func appendLikely(b, text []byte, logprob float32) []byte {
	b = append(b, `"token":`...)
	b = appendString(b, string(text)) // not on the heap: it is short and stays here
	b = append(b, `,"logprob":`...)
	b = appendNumber(b, logprob)
	b = append(b, `,"bytes":[`...)
	for i, c := range text {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(c), 10)
	}
	return append(b, ']')
}

// leastLogprob stands for tokens that cannot come, as OpenAI has it: JSON has no
// infinity.
const leastLogprob = -9999

func appendNumber(b []byte, v float32) []byte {
	if math.IsNaN(float64(v)) || v < leastLogprob {
		v = leastLogprob
	}
	return strconv.AppendFloat(b, float64(v), 'g', -1, 32)
}

// appendLegacyLogprobs appends tokens as completions have them: four lists. The
// offset counts the characters of the text before them, and what comes after is
// returned.
func appendLegacyLogprobs(b []byte, list []Logprob, offset int) ([]byte, int) {
	each := func(b []byte, name string, one func(b []byte, l *Logprob) []byte) []byte {
		b = append(append(append(b, '"'), name...), `":[`...)
		for i := range list {
			if i > 0 {
				b = append(b, ',')
			}
			b = one(b, &list[i])
		}
		return append(b, ']')
	}
	b = each(append(b, '{'), "tokens", func(b []byte, l *Logprob) []byte { return appendPiece(b, l.Text) })
	b = each(append(b, ','), "token_logprobs", func(b []byte, l *Logprob) []byte { return appendNumber(b, l.Logprob) })
	b = each(append(b, ','), "top_logprobs", func(b []byte, l *Logprob) []byte {
		b = append(b, '{')
		for i := range l.Top {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendPiece(b, l.Top[i].Text), ':')
			b = appendNumber(b, l.Top[i].Logprob)
		}
		return append(b, '}')
	})
	b = each(append(b, ','), "text_offset", func(b []byte, l *Logprob) []byte {
		b = strconv.AppendInt(b, int64(offset), 10)
		for _, c := range l.Text {
			if utf8.RuneStart(c) {
				offset++
			}
		}
		return b
	})
	return append(b, '}'), offset
}

// appendPiece appends a token as a string; a part of a character in OpenAI's way,
// since these are keys and must differ.
func appendPiece(b, text []byte) []byte {
	if utf8.Valid(text) {
		return appendString(b, string(text))
	}
	b = append(b, `"bytes:`...)
	for _, c := range text {
		b = append(b, '\\', '\\', 'x', hex[c>>4], hex[c&15])
	}
	return append(b, '"')
}
