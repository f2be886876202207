package api

import (
	"net/http"
	"strconv"
	"time"
)

// ollamaEmbedBody is the body of POST /api/embed as far as it is used.
type ollamaEmbedBody struct {
	Model      string    `json:"model"`
	Input      texts     `json:"input"`
	Truncate   *bool     `json:"truncate"`
	Dimensions *float64  `json:"dimensions"`
	KeepAlive  keepAlive `json:"keep_alive"`
}

func (o *ollamaEmbedBody) embedding(arrived time.Time) (*Embedding, int, error) {
	e, err := embedding(o.Model, "input", o.Input, arrived)
	if err != nil {
		return nil, 0, err
	}
	if err := noEmpty("input", o.Input); err != nil {
		return nil, 0, err
	}
	e.Truncate, e.KeepAlive = o.Truncate == nil || *o.Truncate, o.KeepAlive.time
	n, err := dimensions(o.Dimensions)
	return e, n, err
}

// ollamaEmbed answers POST /api/embed. Without a text a client wants the model
// loaded.
func (s *Server) ollamaEmbed(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	var o ollamaEmbedBody
	err := readBody(w, r, &o)
	v := &Vectors{}
	switch {
	case err != nil:
	case len(o.Input) == 0 || len(o.Input) == 1 && o.Input[0] == "":
		_, err = s.ready(r, o.Model, o.KeepAlive)
	default:
		var e *Embedding
		var n int
		if e, n, err = o.embedding(arrived); err == nil {
			v, err = s.embed(w, r, e, n)
		}
	}
	if err != nil {
		if !gone(r.Context(), err) {
			writeOllamaError(w, err)
		}
		return
	}
	p := newPieces(w)
	p.buf = appendString(append(p.buf, `{"model":`...), o.Model)
	p.buf = append(p.buf, `,"embeddings":[`...)
	for i, x := range v.Vectors {
		if i > 0 {
			p.buf = append(p.buf, ',')
		}
		p.buf = appendVector(p.buf, x)
		p.send(false)
	}
	p.buf = strconv.AppendInt(append(p.buf, `],"total_duration":`...), int64(v.Total), 10)
	p.buf = append(p.buf, `,"load_duration":0,"prompt_eval_count":`...)
	p.buf = append(strconv.AppendInt(p.buf, int64(v.PromptTokens), 10), "}\n"...)
	p.send(true)
}

// ollamaEmbeddings answers POST /api/embeddings, the older way to ask for one.
func (s *Server) ollamaEmbeddings(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	var o struct {
		Model     string    `json:"model"`
		Prompt    string    `json:"prompt"`
		KeepAlive keepAlive `json:"keep_alive"`
	}
	err := readBody(w, r, &o)
	vector := []float32{}
	if err == nil && o.Prompt == "" {
		_, err = s.ready(r, o.Model, o.KeepAlive)
	} else if err == nil {
		var e *Embedding
		var v *Vectors
		if e, err = embedding(o.Model, "prompt", []string{o.Prompt}, arrived); err == nil {
			e.Truncate, e.KeepAlive = true, o.KeepAlive.time
			if v, err = s.embed(w, r, e, 0); err == nil {
				vector = v.Vectors[0]
			}
		}
	}
	switch {
	case err == nil:
		writeJSON(w, nil, append(appendVector([]byte(`{"embedding":`), vector), "}\n"...))
	case !gone(r.Context(), err):
		writeOllamaError(w, err)
	}
}
