package api

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

func TestVectors(t *testing.T) {
	s := &script{embedded: make(chan *Embedding, 1)}
	_, url := start(t, s)
	const stored = `"object":"list","data":[{"object":"embedding","index":0,"embedding":`
	ten := make([]byte, 0, 12)
	for _, x := range []float32{3, 0, -0.5} {
		ten = binary.LittleEndian.AppendUint32(ten, math.Float32bits(x))
	}
	for _, c := range []struct{ name, path, body, want, asked string }{
		{"one", "/v1/embeddings", `{"model":"m","input":"abc","user":"u"}`, `{` + stored + `[3,0,-0.5]}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}`, `m [abc] "" false nil`},
		{"more", "/v1/embeddings", `{"model":"m:latest","input":["abc","de"],"encoding_format":"float"}`, `{` + stored + `[3,0,-0.5]},{"object":"embedding","index":1,"embedding":[2,0,-0.5]}],"model":"m:latest","usage":{"prompt_tokens":5,"total_tokens":5}}`, `m [abc de] "" false nil`},
		{"base64", "/v1/embeddings", `{"model":"m","input":"abc","encoding_format":"base64"}`, stored + `"` + base64.StdEncoding.EncodeToString(ten) + `"}]`, `m [abc] "" false nil`},
		{"cut", "/v1/embeddings", `{"model":"m","input":"abc","dimensions":2}`, stored + `[1,0]}]`, `m [abc] "" false nil`},
		{"all", "/v1/embeddings", `{"model":"m","input":"abc","dimensions":3}`, stored + `[3,0,-0.5]}]`, `m [abc] "" false nil`},
		{"rank", "/v1/rerank", `{"model":"m","query":"q","documents":["abc",{"text":"a"},"abcd"]}`, `{"model":"m","object":"list","results":[{"index":2,"relevance_score":0.5},{"index":0,"relevance_score":0.375},{"index":1,"relevance_score":0.125}],"usage":{"prompt_tokens":8,"total_tokens":8}}`, `m [abc a abcd] "q" true nil`},
		{"best", "/rerank", `{"model":"m","query":"q","documents":["abc","a"],"top_n":1,"return_documents":true}`, `"results":[{"index":0,"relevance_score":0.375,"document":{"text":"abc"}}]`, `m [abc a] "q" true nil`},
		{"best of few", "/v1/rerank", `{"model":"m","query":"q","documents":["a"],"top_n":9}`, `"results":[{"index":0,"relevance_score":0.125}]`, `m [a] "q" true nil`},
		{"ollama", "/api/embed", `{"model":"m","input":["abc","d"],"keep_alive":"5m"}`, `{"model":"m","embeddings":[[3,0,-0.5],[1,0,-0.5]],"total_duration":1000000000,"load_duration":0,"prompt_eval_count":4}`, `m [abc d] "" true 5m0s`},
		{"ollama's one", "/api/embed", `{"model":"m","input":"abc","truncate":false,"dimensions":1}`, `"embeddings":[[1]]`, `m [abc] "" false nil`},
		{"ollama's older", "/api/embeddings", `{"model":"m","prompt":"abc","keep_alive":-1}`, `{"embedding":[3,0,-0.5]}`, `m [abc] "" true -1ns`},
	} {
		status, header, body := do(t, "POST", url+c.path, c.body)
		if status != 200 || !strings.Contains(body, c.want) || !json.Valid([]byte(body)) || header.Get(headerNodeName) != "one" {
			t.Errorf("%s: %d %s\nwant %s", c.name, status, body, c.want)
			continue
		}
		e := <-s.embedded
		keep := "nil"
		if e.KeepAlive != nil {
			keep = e.KeepAlive.String()
		}
		if got := fmt.Sprintf("%s %v %q %v %s", e.Model, e.Input, e.Query, e.Truncate, keep); got != c.asked || e.EstimatedPromptTokens == 0 || e.Arrived.IsZero() {
			t.Errorf("%s: asked %s, want %s", c.name, got, c.asked)
		}
	}
}

func TestVectorErrors(t *testing.T) {
	_, url := start(t, &script{})
	many := `["x"` + strings.Repeat(`,"x"`, maxInputs) + `]`
	for _, c := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"/v1/embeddings", `{`, 400, "JSON"},
		{"/v1/embeddings", `{"input":"x"}`, 400, "model: is missing"},
		{"/v1/embeddings", `{"model":"m"}`, 400, "input: must have"},
		{"/v1/embeddings", `{"model":"m","input":[]}`, 400, "input: must have"},
		{"/v1/embeddings", `{"model":"m","input":null}`, 400, "input: must have"},
		{"/v1/embeddings", `{"model":"m","input":["a",""]}`, 400, "input[1]: is empty"},
		{"/v1/embeddings", `{"model":"m","input":[1,2]}`, 400, "input: must be text or a list of texts; lists of token ids"},
		{"/v1/embeddings", `{"model":"m","input":[[1],[2]]}`, 400, "input: must be text"},
		{"/v1/embeddings", `{"model":"m","input":7}`, 400, "input: must be text"},
		{"/v1/embeddings", `{"model":"m","input":` + many + `}`, 400, "input: must have"},
		{"/v1/embeddings", `{"model":"m","input":"x","encoding_format":"int8"}`, 400, "encoding_format: "},
		{"/v1/embeddings", `{"model":"m","input":"x","dimensions":4}`, 400, "dimensions: this model has 3"},
		{"/v1/embeddings", `{"model":"no-such-model","input":"x"}`, 404, "no-such-model"},
		{"/v1/embeddings", `{"model":"unable","input":"x"}`, 501, "no engine here"},
		{"/v1/embeddings", `{"model":"broken","input":"x"}`, 500, "its log says more"},
		{"/v1/rerank", `{"model":"m","documents":["x"]}`, 400, "query: is missing"},
		{"/v1/rerank", `{"model":"m","query":"q"}`, 400, "documents: must have"},
		{"/v1/rerank", `{"model":"m","query":"q","documents":[7]}`, 400, "documents: must be"},
		{"/v1/rerank", `{"model":"m","query":"q","documents":[null]}`, 400, "documents: must be"},
		{"/v1/rerank", `{"model":"m","query":"q","documents":[{"image":"x"}]}`, 400, "documents: must be"},
		{"/v1/rerank", `{"model":"m","query":"q","documents":[""]}`, 400, "documents[0]: is empty"},
		{"/v1/rerank", `{"model":"busy","query":"q","documents":["x"]}`, 503, "busy"},
		{"/api/embed", `{"model":"no-such-model","input":"x"}`, 404, `{"error":"`},
		{"/api/embed", `{"input":"x"}`, 400, `{"error":"model: is missing`},
		{"/api/embed", `{"model":"m","input":[1]}`, 400, `{"error":"input: `},
		{"/api/embed", `{"model":"m","input":["",""]}`, 400, `{"error":"input[0]: `},
		{"/api/embed", `{"model":"m","input":"x","truncate":"yes"}`, 400, `{"error":"truncate: `},
		{"/api/embed", `{"model":"x"}`, 404, `{"error":"model 'x' not found`},
		{"/api/embeddings", `{"model":"no-such-model","prompt":"x"}`, 404, `{"error":"`},
		{"/api/embeddings", `{"model":"m","prompt":7}`, 400, `{"error":"prompt: `},
	} {
		status, _, body := do(t, "POST", url+c.path, c.body)
		if status != c.status || !strings.Contains(body, c.want) || strings.Contains(body, "secret") || !json.Valid([]byte(body)) {
			t.Errorf("%s %.80s: %d %s, want %d with %s", c.path, c.body, status, body, c.status, c.want)
		}
	}
	for _, c := range []struct{ path, body, field string }{
		{"/v1/embeddings", `{"model":"m","input":"x","dimensions":%s}`, "dimensions"},
		{"/v1/rerank", `{"model":"m","query":"q","documents":["x"],"top_n":%s}`, "top_n"},
		{"/api/embed", `{"model":"m","input":"x","dimensions":%s}`, "dimensions"},
		{"/api/embed", `{"model":"m","input":"x","keep_alive":%s}`, "keep_alive"},
		{"/api/embeddings", `{"model":"m","prompt":"x","keep_alive":%s}`, "keep_alive"},
	} {
		for _, v := range outOfRange {
			status, _, body := do(t, "POST", url+c.path, fmt.Sprintf(c.body, v))
			if status != 400 || !strings.Contains(body, c.field+": ") {
				t.Errorf("%s %s = %s: %d %s, want 400 that names it", c.path, c.field, v, status, body)
			}
		}
	}
}

// outOfRange are numbers that no field of any shape takes.
var outOfRange = []string{"NaN", "-Infinity", "1e308", "-1e308", "1e999", "9223372036854775808", "-9223372036854775809", "4294967296", "2147483648"}

func TestCut(t *testing.T) {
	v, err := cut([]float32{3, 4, 12}, 2)
	if err != nil || len(v) != 2 || math.Abs(float64(v[0])-0.6) > 1e-6 || math.Abs(float64(v[1])-0.8) > 1e-6 {
		t.Errorf("cut to %v, %v", v, err)
	}
	if v, err := cut([]float32{0, 0, 1}, 2); err != nil || v[0] != 0 || v[1] != 0 {
		t.Errorf("nothing is cut to %v, %v", v, err)
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		if _, err := cut([]float32{1, float32(bad)}, 0); err == nil {
			t.Errorf("%v passes", bad)
		}
	}
}

// Scores are for models that rank.
func TestRerankByVectors(t *testing.T) {
	_, url := startWith(t, Config{}, wide{&script{}})
	if status, _, body := do(t, "POST", url+"/v1/rerank", `{"model":"m","query":"q","documents":["x"]}`); status != 400 || !strings.Contains(body, "made for ranking") {
		t.Errorf("%d %s", status, body)
	}
}

// wide has vectors where scores are asked for.
type wide struct{ Chatter }

func (wide) Embed(_ context.Context, _ *Embedding) (Vectors, error) {
	return Vectors{Vectors: [][]float32{{1, 2}}}, nil
}

func FuzzVectors(f *testing.F) {
	for _, b := range []string{`{"model":"m","input":"x","dimensions":3,"encoding_format":"base64"}`, `{"model":"m","input":["x"],"keep_alive":"-1s","truncate":true}`, `{"model":"m","query":"q","documents":["x",{"text":"y"}],"top_n":1}`, `{"model":"m","input":"x","keep_alive":1.5e3}`} {
		f.Add([]byte(b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, o := range []interface {
			embedding(time.Time) (*Embedding, int, error)
		}{new(embeddingsBody), new(rerankBody), new(ollamaEmbedBody)} {
			if decode(b, o) != nil {
				continue
			}
			e, n, err := o.embedding(time.Time{})
			if err != nil {
				continue
			}
			if e.Model.IsZero() || len(e.Input) == 0 || len(e.Input) > maxInputs || n < 0 || n > maxWidth || e.KeepAlive != nil && (*e.KeepAlive > maxKeep || *e.KeepAlive < -1) {
				t.Errorf("%s passed as %+v, %d", b, e, n)
			}
		}
	})
}
