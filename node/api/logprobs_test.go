package api

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// What is told of the tokens of "one two" with one likely token beside each, as
// script has them.
const (
	firstLikely = `{"token":"o","logprob":-0.5,"bytes":[111],"top_logprobs":[{"token":"O","logprob":-0.25,"bytes":[79]}]},` +
		`{"token":"ne ","logprob":-1e-06,"bytes":[110,101,32],"top_logprobs":[{"token":"NE ","logprob":-0.25,"bytes":[78,69,32]}]}`
	lastLikely = `{"token":"t","logprob":-0.5,"bytes":[116],"top_logprobs":[{"token":"T","logprob":-0.25,"bytes":[84]}]},` +
		`{"token":"wo","logprob":-1e-06,"bytes":[119,111],"top_logprobs":[{"token":"WO","logprob":-0.25,"bytes":[87,79]}]}`
	firstLegacy = `{"tokens":["o","ne "],"token_logprobs":[-0.5,-1e-06],"top_logprobs":[{"O":-0.25},{"NE ":-0.25}],"text_offset":[0,1]}`
	lastLegacy  = `{"tokens":["t","wo"],"token_logprobs":[-0.5,-1e-06],"top_logprobs":[{"T":-0.25},{"WO":-0.25}],"text_offset":[4,5]}`
	wholeLegacy = `{"tokens":["o","ne ","t","wo"],"token_logprobs":[-0.5,-1e-06,-0.5,-1e-06],"top_logprobs":[{"O":-0.25},{"NE ":-0.25},{"T":-0.25},{"WO":-0.25}],"text_offset":[0,1,4,5]}`
)

func TestLogprobs(t *testing.T) {
	_, url := start(t, &script{thought: "hm"})
	for _, c := range []struct{ shape, fields, first, last, whole string }{
		{"chat completions", `"logprobs":true,"top_logprobs":1`, `"delta":{"content":"one "},"logprobs":{"content":[` + firstLikely + `],"refusal":null},"finish_reason":null`,
			`"logprobs":{"content":[` + lastLikely + `],"refusal":null}`, `"logprobs":{"content":[` + firstLikely + "," + lastLikely + `],"refusal":null},"finish_reason":"stop"`},
		{"responses", `"include":["message.output_text.logprobs"],"top_logprobs":1`, `"delta":"one ","logprobs":[` + firstLikely + `]}`,
			`"text":"one two","logprobs":[` + firstLikely + "," + lastLikely + `]}`, `"annotations":[],"logprobs":[` + firstLikely + "," + lastLikely + `],"text":"one two"}`},
		{"responses", `"top_logprobs":1`, `"logprobs":[` + firstLikely + `]`, `"logprobs":[` + lastLikely + `]`, `"logprobs":[` + firstLikely + "," + lastLikely + `]`},
		{"ollama chat", `"logprobs":true,"top_logprobs":1`, `"content":"one "},"logprobs":[` + firstLikely + `],"done":false`, `"logprobs":[` + lastLikely + `]`, `"logprobs":[` + firstLikely + "," + lastLikely + `],"done":true`},
		{"ollama generate", `"logprobs":true,"top_logprobs":1`, `"response":"one ","logprobs":[` + firstLikely + `]`, `"logprobs":[` + lastLikely + `]`, `"logprobs":[` + firstLikely + "," + lastLikely + `]`},
	} {
		s := shapeOf(t, c.shape)
		_, _, body := do(t, "POST", url+s.path, s.with("omx-demo", c.fields+`,"stream":true`))
		if !strings.Contains(body, c.first) || !strings.Contains(body, c.last) || strings.Contains(body, `"token":"h"`) {
			t.Errorf("%s: streamed %s\nwant %s\nand %s, and none of thoughts", c.shape, body, c.first, c.last)
		}
		if _, _, body = do(t, "POST", url+s.path, s.with("omx-demo", c.fields+`,"stream":false`)); !strings.Contains(body, c.whole) || strings.Contains(body, `"token":"h"`) {
			t.Errorf("%s: whole %s\nwant %s", c.shape, body, c.whole)
		}
	}
	_, url = start(t, &script{})
	s := shapeOf(t, "completions")
	if _, _, body := do(t, "POST", url+s.path, s.with("omx-demo", `"logprobs":1,"stream":true`)); !strings.Contains(body, `"text":"one ","logprobs":`+firstLegacy) || !strings.Contains(body, `"text":"two","logprobs":`+lastLegacy) {
		t.Errorf("completions, streamed: %s", body)
	}
	if _, _, body := do(t, "POST", url+s.path, s.with("omx-demo", `"logprobs":1`)); !strings.Contains(body, `"logprobs":`+wholeLegacy) {
		t.Errorf("completions: %s\nwant %s", body, wholeLegacy)
	}
	if _, _, body := do(t, "POST", url+s.path, s.with("omx-demo", `"logprobs":0`)); !strings.Contains(body, `"top_logprobs":[{},{},{},{}]`) {
		t.Errorf("completions without others: %s", body)
	}
}

// Parts of characters, and numbers that JSON does not have.
func TestLogprobsOfPieces(t *testing.T) {
	list := []Logprob{
		{Text: []byte("\xe2\x82"), Logprob: float32(math.Inf(-1)), Top: []TopLogprob{{Text: []byte("\xe2"), Logprob: float32(math.NaN())}, {Text: []byte("\xf0")}}},
		{Text: []byte("\xac"), Logprob: -1},
		{Text: []byte("é"), Logprob: 0},
	}
	want := `[{"token":"\ufffd\ufffd","logprob":-9999,"bytes":[226,130],"top_logprobs":[{"token":"\ufffd","logprob":-9999,"bytes":[226]},{"token":"\ufffd","logprob":0,"bytes":[240]}]},` +
		`{"token":"\ufffd","logprob":-1,"bytes":[172],"top_logprobs":[]},{"token":"é","logprob":0,"bytes":[195,169],"top_logprobs":[]}]`
	if got := string(appendLogprobs(nil, list)); got != want || !json.Valid([]byte(got)) {
		t.Errorf("%s\nwant %s", got, want)
	}
	b, offset := appendLegacyLogprobs(nil, list, 7)
	want = `{"tokens":["bytes:\\xe2\\x82","bytes:\\xac","é"],"token_logprobs":[-9999,-1,0],"top_logprobs":[{"bytes:\\xe2":-9999,"bytes:\\xf0":0},{},{}],"text_offset":[7,8,8]}`
	if string(b) != want || offset != 9 {
		t.Errorf("%s, then %d\nwant %s, then 9", b, offset, want)
	}
}

func TestLogprobsDoNotAllocate(t *testing.T) {
	token := Token{Text: "one", N: 1, Logprobs: []Logprob{{Text: []byte("one"), Logprob: -0.5, Top: []TopLogprob{{Text: []byte("One"), Logprob: -1.5}}}}}
	for _, f := range []format{&openAIFormat{logprobs: true}, &ollamaFormat{logprobs: true}, &completionFormat{openAIFormat: openAIFormat{logprobs: true}}} {
		b := make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(100, func() { b = f.token(b[:0], token) }); n != 0 {
			t.Errorf("%T allocates %v times a token", f, n)
		}
	}
}
