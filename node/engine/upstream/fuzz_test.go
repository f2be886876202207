package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"omx/node/engine"
)

// fuzzed takes a stream as an answer and checks what holds for all of them.
func fuzzed(t *testing.T, data []byte, read func(*lines, *answer) error) {
	var heard atomic.Int64
	watch := time.AfterFunc(time.Hour, func() {})
	defer watch.Stop()
	covered := 0
	a := newAnswer(t.Context(), &engine.Prompt{Stop: []string{"STOP"}}, func(tok engine.Token) error {
		if tok.Text == "" || !utf8.ValidString(tok.Text) || tok.N < 0 || !tok.Thought && strings.Contains(tok.Text, "STOP") {
			t.Errorf("token %+v", tok)
		}
		covered += tok.N
		return nil
	}, time.Now(), watch, time.Hour, &heard)
	err := read(&lines{r: bufio.NewReaderSize(bytes.NewReader(data), 16), left: int64(len(data))}, a)
	if err == nil {
		err = a.finish()
	}
	u := a.usage
	if u.PromptTokens < 0 || u.CachedTokens < 0 || u.CachedTokens > u.PromptTokens || u.OutputTokens < 0 || covered > a.counted || len(u.Calls) > maxCalls {
		t.Errorf("%d tokens covered, %d counted, usage %+v", covered, a.counted, u)
	}
	if err == nil && u.Finish != engine.FinishStop && u.Finish != engine.FinishLength {
		t.Errorf("it ended by %q", u.Finish)
	}
	for _, c := range u.Calls {
		if c.Name == "" || len(c.Arguments) == 0 || c.Arguments[0] != '{' {
			t.Errorf("call %+v", c)
		}
	}
}

func FuzzOpenAIStream(f *testing.F) {
	f.Add([]byte(delta(`{"content":"a STO"}`) + delta(`{"content":"P b"}`) + "data: [DONE]\n\n"))
	f.Add([]byte(delta(`{"content":"0ST"}`) + "data: [DONE]"))
	f.Add([]byte(": c\r\n" + delta(`{"reasoning":"a","tool_calls":[{"index":0,"function":{"name":"f","arguments":"{"}},{"function":{"arguments":"}"}}]}`) + "data: {\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":3}}\n\ndata: [DONE]"))
	f.Add([]byte(`data: {"choices":[{"text":"x","logprobs":{"tokens":["x"],"token_logprobs":[-1],"top_logprobs":[{"y":-1}]},"finish_reason":"length","stop_reason":5}]}`))
	f.Add([]byte("data: {\"error\":{\"message\":\"m\",\"code\":503}}\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		o := &openAI{caller: &caller{base: "http://h"}}
		fuzzed(t, data, func(l *lines, a *answer) error { return o.read(l, a, 3) })
	})
}

func FuzzOllamaStream(f *testing.F) {
	f.Add([]byte(`{"message":{"content":"a"}}` + "\r\n\n" + `{"message":{"tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},"done":true,"eval_count":-3}`))
	f.Add([]byte(`{"response":"a","thinking":"b","logprobs":[{"token":"a","bytes":[300],"logprob":-1,"top_logprobs":[{"token":"b"}]}],"done":true,"done_reason":"length"}`))
	f.Add([]byte(`{"error":"no"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		o := &ollama{caller: &caller{base: "http://h"}}
		fuzzed(t, data, func(l *lines, a *answer) error { return o.read(l, a, 3) })
	})
}

// Lines and events do not depend on how the bytes come, and lose none.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("\xef\xbb\xbfdata: a\r\ndata:b\n\nid: 1\n: c\ndata\n\n"), 16)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		all := func(size int) (out []string) {
			e := events{lines: &lines{r: bufio.NewReaderSize(bytes.NewReader(data), size), left: int64(len(data))}}
			for {
				d, err := e.next()
				if errors.Is(err, io.EOF) || errors.Is(err, errGarbage) {
					return out
				}
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, string(d))
			}
		}
		a, b := all(16+size&0xff), all(1<<16)
		if strings.Join(a, "\x00") != strings.Join(b, "\x00") || len(a) != len(b) {
			t.Errorf("%q, then %q", a, b)
		}
	})
}

func FuzzRefusal(f *testing.F) {
	f.Add([]byte(`{"error":{"message":"m","code":"context_length_exceeded"}}`), "prompt")
	f.Add([]byte(`{"detail":[{"input":"prompt text"}]}`), "prompt text")
	f.Fuzz(func(t *testing.T, body []byte, prompt string) {
		c := &caller{base: "http://h"}
		err := c.failed(400, message(body), []string{prompt}, "")
		said := strings.TrimPrefix(err.Error(), errors.Unwrap(err).Error()+": upstream http://h answers 400")
		if len(said) > maxSaid+8 || !utf8.ValidString(said) || strings.ContainsAny(said, "\n\r\x00\x1b") {
			t.Errorf("it says %q", said)
		}
		if p := clean(prompt); len(prompt) >= 4 && len(prompt) <= maxSaid && p == prompt && strings.Contains(said, prompt) && !strings.Contains(said, "repeats the prompt") {
			t.Errorf("it says %q of the prompt %q", said, prompt)
		}
	})
}
