package upstream

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"omx/node/engine"
)

// faulty has one model of either API, and answers prompts as it is told.
func faulty(kind Kind, answer http.HandlerFunc) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"data":[{"id":"m"}]}`)
	})
	mux.HandleFunc("GET /api/tags", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"models":[{"name":"m","digest":"d"}]}`)
	})
	mux.HandleFunc("GET /api/ps", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404) })
	mux.HandleFunc("POST /api/show", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `[]`) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		if kind == Ollama {
			fmt.Fprint(w, "Ollama is running")
		}
	})
	mux.HandleFunc("/", answer)
	return mux
}

const secret = "the secret of the prompt, which nobody may tell"

func TestErrors(t *testing.T) {
	tests := []struct {
		name   string
		kind   Kind
		status int
		body   string
		want   error
		says   string
	}{
		{"vLLM's context", OpenAI, 400, `{"object":"error","message":"This model's maximum context length is 4096 tokens.","code":400}`, engine.ErrTooLong, "4096"},
		{"llama-server's context", OpenAI, 400, `{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}`, engine.ErrTooLong, "exceeds"},
		{"OpenAI's code", OpenAI, 400, `{"error":{"message":"too much","code":"context_length_exceeded"}}`, engine.ErrTooLong, "too much"},
		{"older llama-server", OpenAI, 500, `{"error":{"message":"exceeds the available context size"}}`, engine.ErrTooLong, "500"},
		{"Ollama's context", Ollama, 400, `{"error":"the input length exceeds the context length"}`, engine.ErrTooLong, "400"},
		{"large", OpenAI, 413, "", engine.ErrTooLong, "413"},
		{"bad", OpenAI, 400, `{"error":{"message":"no such role"}}`, engine.ErrBadPrompt, "no such role"},
		{"FastAPI", OpenAI, 422, `{"detail":"field required"}`, engine.ErrBadPrompt, "field required"},
		{"no tools", Ollama, 400, `{"error":"m does not support tools"}`, engine.ErrCannot, "tools"},
		{"no model", Ollama, 404, `{"error":"model 'm' not found"}`, engine.ErrNoModel, "not found"},
		{"no key", OpenAI, 401, `{"error":{"message":"key sk-123 is wrong"}}`, engine.ErrNoModel, "asks for a key"},
		{"wrong key", OpenAI, 403, `{"error":{"message":"key sk-123 is wrong"}}`, engine.ErrNoModel, "refuses the key"},
		{"llama-server has it no more", OpenAI, 400, `{"error":{"code":400,"message":"model 'm' not found","type":"invalid_request_error"}}`, engine.ErrNoModel, "not found"},
		{"busy", OpenAI, 429, `{}`, engine.ErrBusy, "429"},
		{"loading", OpenAI, 503, `{"error":{"message":"Loading model"}}`, engine.ErrBusy, "Loading model"},
		{"not there", OpenAI, 501, `{"error":{"message":"start it with --pooling"}}`, engine.ErrCannot, "pooling"},
		{"broken", OpenAI, 500, `{"error":"oops"}`, engine.ErrLost, "oops"},
		{"redirect", OpenAI, 307, "", engine.ErrLost, "redirect"},
		{"page", OpenAI, 502, "<html>Bad gateway</html>", engine.ErrLost, "502"},
		{"controls", OpenAI, 400, `{"error":"one\ntwo\u001b[31m three\u202e"}`, engine.ErrBadPrompt, "one two [31m three"},
		{"long", OpenAI, 400, `{"error":"` + strings.Repeat("é", 4_000) + `"}`, engine.ErrBadPrompt, "éé…"},
		{"echo", OpenAI, 422, `{"detail":"cannot use [{'input': '` + secret + `'}]"}`, engine.ErrBadPrompt, "repeats the prompt"},
		{"a part of it", OpenAI, 400, `{"error":{"message":"after 'of the prompt, which' nothing"}}`, engine.ErrBadPrompt, "repeats the prompt"},
		{"in mid-stream", OpenAI, 200, "data: {\"error\":{\"message\":\"out of memory\",\"code\":500}}\n\n", engine.ErrLost, "out of memory"},
		{"too long in mid-stream", OpenAI, 200, "data: {\"error\":{\"message\":\"maximum context length\",\"code\":400}}\n\n", engine.ErrTooLong, ""},
		{"in Ollama's stream", Ollama, 200, `{"error":"runner has ended"}` + "\n", engine.ErrLost, "runner"},
		{"echo in mid-stream", Ollama, 200, `{"error":"` + secret + `"}` + "\n", engine.ErrLost, "repeats the prompt"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			elsewhere := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.Error("a redirect was followed") }))
			s := serve(t, faulty(tt.kind, func(w http.ResponseWriter, r *http.Request) {
				kind := "application/json"
				if tt.status == 200 && tt.kind == OpenAI {
					kind = "text/event-stream"
				} else if strings.HasPrefix(tt.body, "<") {
					kind = "text/html"
				}
				w.Header().Set("Content-Type", kind)
				w.Header().Set("Location", elsewhere.URL)
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			}))
			u := start(t, Config{URL: s.URL})
			_, _, err := answerOf(u, ask(u, secret))
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("error %v, want %v with %q", err, tt.want, tt.says)
			}
			said := strings.SplitN(err.Error(), s.URL, 2)[1]
			if strings.Contains(err.Error(), "secret") || len(said) > maxSaid+64 || strings.ContainsAny(err.Error(), "\n\r\x1b\u202e") || strings.Contains(err.Error(), "sk-123") || strings.Contains(err.Error(), "html") {
				t.Errorf("it tells too much: %q", err)
			}
			var busy *engine.BusyError
			if errors.As(err, &busy) != (tt.want == engine.ErrBusy) || busy != nil && busy.Wait != 7*time.Second {
				t.Errorf("busy: %+v", busy)
			}
		})
	}
}

// streams writes an answer without ever ending it by itself.
func streams(kind string, write func(w io.Writer)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		write(flushing{w})
	}
}

type flushing struct{ w http.ResponseWriter }

func (f flushing) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	f.w.(http.Flusher).Flush()
	return n, err
}

func delta(s string) string { return `data: {"choices":[{"delta":` + s + `}]}` + "\n\n" }

func TestHostileServers(t *testing.T) {
	const sse, ndjson = "text/event-stream", "application/x-ndjson"
	forever := func(s string) func(io.Writer) {
		return func(w io.Writer) {
			for {
				if _, err := io.WriteString(w, s); err != nil {
					return
				}
			}
		}
	}
	once := func(s string) func(io.Writer) { return func(w io.Writer) { io.WriteString(w, s) } }
	long := strings.Repeat("x", 64<<10)
	tests := []struct {
		name, contentType string
		kind              Kind
		write             func(io.Writer)
		says              string
	}{
		{"endless line", sse, OpenAI, forever(long), "a line of more"},
		{"endless line", ndjson, Ollama, forever(long), "a line of more"},
		{"endless event", sse, OpenAI, forever("data: " + long + "\n"), "an event of more"},
		{"garbage", sse, OpenAI, once("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: \x00\xff{{\n\n"), "cannot be read"},
		{"garbage", ndjson, Ollama, once("\x1f\x8b\x08\x00garbage\n"), "cannot be read"},
		{"another type", "text/html; charset=utf-8", OpenAI, once("<html>" + delta(`{"content":"a"}`)), "text/html instead of text/event-stream"},
		{"no type at all", "", Ollama, once(`{"message":{"content":"a"},"done":true}`), "instead of"},
		{"types that do not fit", sse, OpenAI, once(delta(`{"content":5}`)), "cannot be read"},
		{"cut in the middle", sse, OpenAI, func(w io.Writer) {
			io.WriteString(w, delta(`{"content":"a"}`))
			panic(http.ErrAbortHandler)
		}, "ended in the middle"},
		{"ends without an end", sse, OpenAI, once(delta(`{"content":"a"}`)), "ended in the middle"},
		{"ends without an end", ndjson, Ollama, once(`{"message":{"content":"a"},"done":false}`), "ended in the middle"},
		{"gave up", sse, OpenAI, once(`data: {"choices":[{"delta":{},"finish_reason":"abort"}]}` + "\n\n"), "gave the answer up"},
		{"far call", sse, OpenAI, once(delta(`{"tool_calls":[{"index":1000000000,"function":{"name":"f"}}]}`)), "call 1000000000"},
		{"negative call", sse, OpenAI, once(delta(`{"tool_calls":[{"index":-2,"function":{"name":"f"}}]}`)), "call 64"},
		{"many calls", sse, OpenAI, func(w io.Writer) {
			for i := range maxCalls + 1 {
				fmt.Fprint(w, delta(fmt.Sprintf(`{"tool_calls":[{"index":%d,"function":{"name":"f","arguments":"{}"}}]}`, i)))
			}
		}, "call 64"},
		{"long arguments", sse, OpenAI, forever(delta(`{"tool_calls":[{"index":0,"function":{"arguments":"` + long + `"}}]}`)), "calls of tools have more"},
		{"long name", sse, OpenAI, forever(delta(`{"tool_calls":[{"index":0,"function":{"name":"` + strings.Repeat("f", 100) + `"}}]}`)), "name of a call"},
		{"bad arguments", sse, OpenAI, once(delta(`{"tool_calls":[{"function":{"name":"f","arguments":"[1"}}]}`) + "data: [DONE]\n\n"), "no JSON object"},
		{"slow loris", sse, OpenAI, func(w io.Writer) {
			io.WriteString(w, delta(`{"content":"a"}`))
			for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
				if _, err := io.WriteString(w, ": still here\n\ndata: {\"choices\":[]}\n\n"); err != nil {
					return
				}
			}
		}, "nothing new for too long"},
	}
	for _, tt := range tests {
		t.Run(string(tt.kind)+" "+tt.name, func(t *testing.T) {
			s := serve(t, faulty(tt.kind, streams(tt.contentType, tt.write)))
			cfg := Config{URL: s.URL}
			if tt.name == "slow loris" {
				cfg.Timeouts.Idle = 200 * time.Millisecond
			}
			u := start(t, cfg)
			_, _, err := answerOf(u, ask(u, secret))
			if !errors.Is(err, engine.ErrLost) || !strings.Contains(err.Error(), tt.says) || strings.ContainsAny(err.Error(), "\n\x00") {
				t.Errorf("error %v, want ErrLost with %q", err, tt.says)
			}
			if n := status(u).Load.Running; n != 0 {
				t.Errorf("%d slots are taken", n)
			}
		})
	}
}

// What is odd, but can be understood, is.
func TestOddAnswers(t *testing.T) {
	tests := []struct {
		name, body, text string
		check            func(engine.Usage) bool
	}{
		{"10,000 pieces of a call", strings.Repeat(delta(`{"tool_calls":[{"index":0,"function":{"arguments":" "}}]}`), 10_000) +
			delta(`{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{\"a\":1}"}}]}`) + "data: [DONE]\n\n", "",
			func(u engine.Usage) bool {
				return len(u.Calls) == 1 && u.Calls[0].Name == "f" && string(u.Calls[0].Arguments) == `{"a":1}` && u.OutputTokens == 10_001
			}},
		{"calls without an index", delta(`{"tool_calls":[{"id":"1","function":{"name":"f","arguments":"{"}}]}`) + delta(`{"tool_calls":[{"function":{"arguments":"}"}}]}`) +
			delta(`{"tool_calls":[{"id":"2","function":{"name":"g","arguments":{"b":2}}}]}`) + "data: [DONE]\n\n", "",
			func(u engine.Usage) bool {
				return len(u.Calls) == 2 && string(u.Calls[0].Arguments) == "{}" && u.Calls[1].ID == "2" && string(u.Calls[1].Arguments) == `{"b":2}`
			}},
		{"a call cut off", delta(`{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{\"a"}}]}`) + `data: {"choices":[{"finish_reason":"length"}]}` + "\n\n", "",
			func(u engine.Usage) bool { return len(u.Calls) == 0 && u.Finish == engine.FinishLength }},
		{"negative numbers", delta(`{"content":"a"}`) + `data: {"choices":[],"usage":{"prompt_tokens":-5,"completion_tokens":-9,"prompt_tokens_details":{"cached_tokens":-1}}}` + "\n\ndata: [DONE]\n\n", "a",
			func(u engine.Usage) bool { return u.PromptTokens == 0 && u.OutputTokens == 1 && u.CachedTokens == 0 }},
		{"more cached than read", delta(`{"content":"a"}`) + `data: {"usage":{"prompt_tokens":5,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":9}}}` + "\n\ndata: [DONE]\n\n", "a",
			func(u engine.Usage) bool { return u.PromptTokens == 5 && u.OutputTokens == 2 && u.CachedTokens == 5 }},
		{"an event in lines", "\xef\xbb\xbfevent: x\r\nid: 7\r\ndata: {\"choices\":\r\ndata:[{\"delta\":{\"content\":\"a\"},\r\n: no\r\ndata: \"finish_reason\":\"stop\"}]}\r\n\r\n", "a",
			func(u engine.Usage) bool { return u.Finish == engine.FinishStop && u.OutputTokens == 1 }},
		{"other choices", `data: {"choices":[{"index":1,"delta":{"content":"b"}},{"index":0,"delta":{"content":"a"}}]}` + "\n\ndata: [DONE]", "a", nil},
		{"vLLM's stop", `data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop","stop_reason":"STOP"}]}` + "\n\ndata: [DONE]\n\n", "a",
			func(u engine.Usage) bool { return u.Stop == "STOP" }},
		{"a token's number", `data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop","stop_reason":151645}]}` + "\n\ndata: [DONE]\n\n", "a",
			func(u engine.Usage) bool { return u.Stop == "" }},
		{"nothing", "data: [DONE]\n\n", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, faulty(OpenAI, streams("text/event-stream", func(w io.Writer) { io.WriteString(w, tt.body) })))
			u := start(t, Config{URL: s.URL})
			p := ask(u, "x")
			p.Stop = []string{"STOP"}
			got, use, err := answerOf(u, p)
			if err != nil || got.Text != tt.text || tt.check != nil && !tt.check(use) {
				t.Errorf("%q, %+v, %v", got.Text, use, err)
			}
		})
	}
}

// A server that goes on after its last event holds up nobody.
func TestNoEndAfterDone(t *testing.T) {
	for _, after := range []string{"", ": more\n\n"} {
		s := serve(t, faulty(OpenAI, streams("text/event-stream", func(w io.Writer) {
			io.WriteString(w, delta(`{"content":"a"}`)+"data: [DONE]\n\n")
			for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
				if _, err := io.WriteString(w, ": x\n"+after); err != nil {
					return
				}
			}
		})))
		u := start(t, Config{URL: s.URL})
		began := time.Now()
		if got, _, err := answerOf(u, ask(u, "x")); err != nil || got.Text != "a" {
			t.Errorf("%q, %v", got.Text, err)
		}
		if d := time.Since(began); d > 10*drainTimeout {
			t.Errorf("it took %v", d)
		}
	}
}
