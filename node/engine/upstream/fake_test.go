package upstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"omx/node/engine"
)

// Two servers in few lines, each in front of an engine: one as OpenAI's API has
// it, one as Ollama's.

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// refuse tells an engine's error as these servers do.
func refuse(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	for is, s := range map[error]int{engine.ErrTooLong: 400, engine.ErrBadPrompt: 400, engine.ErrNoModel: 404, engine.ErrBusy: 503, engine.ErrCannot: 501} {
		if errors.Is(err, is) {
			status = s
		}
	}
	text := err.Error()
	if errors.Is(err, engine.ErrTooLong) {
		text = "exceeds the maximum context length: " + text
	}
	reply(w, status, map[string]any{"error": map[string]any{"message": text}})
}

// stream answers with lines that the functions write.
func stream(w http.ResponseWriter, r *http.Request, e engine.Engine, p *engine.Prompt, kind string, piece func(engine.Token), end func(engine.Usage)) {
	begun := false
	begin := func() {
		if !begun {
			begun = true
			w.Header().Set("Content-Type", kind)
		}
	}
	u, err := e.Generate(r.Context(), p, func(t engine.Token) error {
		begin()
		piece(t)
		w.(http.Flusher).Flush()
		return r.Context().Err()
	})
	switch {
	case err == nil:
		begin()
		end(u)
	case !begun:
		refuse(w, err)
	default:
		panic(http.ErrAbortHandler)
	}
}

func fakeOpenAI(e engine.Engine) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, r *http.Request) {
		var data []any
		for _, m := range e.Models() {
			data = append(data, map[string]any{"id": m.ID, "max_model_len": m.Context})
		}
		reply(w, 200, map[string]any{"data": data})
	})
	mux.HandleFunc("POST /v1/embeddings", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			engine.EmbedRequest
			Cut int `json:"truncate_prompt_tokens"` // as vLLM has it
		}
		json.NewDecoder(r.Body).Decode(&in)
		in.Truncate = in.Cut != 0
		out, err := e.Embed(r.Context(), &in.EmbedRequest)
		if err != nil {
			refuse(w, err)
			return
		}
		var data []any
		for i, v := range out.Vectors {
			data = append([]any{map[string]any{"index": i, "embedding": v}}, data...)
		}
		reply(w, 200, map[string]any{"data": data, "usage": map[string]int{"prompt_tokens": out.PromptTokens}})
	})
	mux.HandleFunc("POST /tokenize", func(w http.ResponseWriter, r *http.Request) {
		var p engine.Prompt
		json.NewDecoder(r.Body).Decode(&p)
		n, err := e.Count(r.Context(), &p)
		if err != nil {
			refuse(w, err)
			return
		}
		reply(w, 200, map[string]int{"count": n})
	})
	mux.HandleFunc("POST /v1/{kind...}", func(w http.ResponseWriter, r *http.Request) {
		var p engine.Prompt // most fields have the same names
		body, _ := io.ReadAll(r.Body)
		var raw struct{ Prompt string }
		json.Unmarshal(body, &raw)
		json.Unmarshal(body, &p)
		p.Raw = raw.Prompt
		send := func(choice, rest string) {
			fmt.Fprintf(w, ": hello\r\ndata: {\"choices\":[{\"index\":0,%s}]%s}\r\n\r\n", choice, rest)
		}
		stream(w, r, e, &p, "text/event-stream; charset=utf-8", func(t engine.Token) {
			text, _ := json.Marshal(t.Text)
			if p.Raw != "" {
				send(`"text":`+string(text), "")
				return
			}
			send(`"delta":{"content":`+string(text)+`}`, "")
		}, func(u engine.Usage) {
			send(`"delta":{},"finish_reason":"`+string(u.Finish)+`"`, "")
			fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%d}}\n\ndata: [DONE]\n\n", u.PromptTokens, u.OutputTokens)
		})
	})
	return mux
}

func fakeOllama(e engine.Engine) http.Handler {
	mux := http.NewServeMux()
	models := func(w http.ResponseWriter, r *http.Request) {
		var data []any
		for _, m := range e.Models() {
			data = append(data, map[string]any{"name": m.ID.String() + ":latest", "size": 7, "context_length": m.Context, "details": map[string]any{"family": "sim"}})
		}
		reply(w, 200, map[string]any{"models": data})
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "Ollama is running") })
	mux.HandleFunc("GET /api/tags", models)
	mux.HandleFunc("GET /api/ps", models)
	mux.HandleFunc("POST /api/show", func(w http.ResponseWriter, r *http.Request) {
		reply(w, 200, map[string]any{"template": "{{ .Prompt }}", "parameters": "num_ctx   512\nstop \"x\"", "model_info": map[string]any{"general.architecture": "sim", "sim.context_length": 4096}})
	})
	mux.HandleFunc("POST /api/embed", func(w http.ResponseWriter, r *http.Request) {
		var in engine.EmbedRequest
		json.NewDecoder(r.Body).Decode(&in)
		in.Model = e.Models()[0].ID
		out, err := e.Embed(r.Context(), &in)
		if err != nil {
			refuse(w, err)
			return
		}
		reply(w, 200, map[string]any{"embeddings": out.Vectors, "prompt_eval_count": out.PromptTokens})
	})
	mux.HandleFunc("POST /api/{kind}", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Model, Prompt string
			Messages      []engine.Message
			Options       struct {
				engine.Prompt
				Predict int `json:"num_predict"`
			}
		}
		json.NewDecoder(r.Body).Decode(&in)
		p := in.Options.Prompt
		p.Model, p.Raw, p.Messages, p.MaxTokens = e.Models()[0].ID, in.Prompt, in.Messages, in.Options.Predict
		send := func(v map[string]any) { json.NewEncoder(w).Encode(v) }
		stream(w, r, e, &p, "application/x-ndjson", func(t engine.Token) {
			if p.Raw != "" {
				send(map[string]any{"response": t.Text})
				return
			}
			send(map[string]any{"message": map[string]any{"role": "assistant", "content": t.Text}})
		}, func(u engine.Usage) {
			send(map[string]any{"message": map[string]any{"content": ""}, "done": true, "done_reason": u.Finish, "prompt_eval_count": u.PromptTokens, "eval_count": u.OutputTokens})
		})
	})
	return mux
}
