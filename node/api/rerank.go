package api

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// rerankBody is the body of POST /v1/rerank, as Jina, Cohere and llama.cpp have it.
type rerankBody struct {
	Model           string     `json:"model"`
	Query           string     `json:"query"`
	Documents       []document `json:"documents"`
	Top             *float64   `json:"top_n"`
	ReturnDocuments bool       `json:"return_documents"`
}

// document is text, or an object that has one.
type document string

func (d *document) UnmarshalJSON(b []byte) error {
	var text string
	var box struct{ Text *string }
	switch {
	case json.Unmarshal(b, &text) == nil && string(b) != "null":
	case json.Unmarshal(b, &box) == nil && box.Text != nil:
		text = *box.Text
	default:
		return badField("documents", "must be texts, or objects with a text")
	}
	*d = document(text)
	return nil
}

func (o *rerankBody) embedding(arrived time.Time) (*Embedding, int, error) {
	input := make([]string, len(o.Documents))
	for i, d := range o.Documents {
		input[i] = string(d)
	}
	e, err := embedding(o.Model, "documents", input, arrived)
	if err != nil {
		return nil, 0, err
	}
	if o.Query == "" {
		return nil, 0, badField("query", "is missing or empty; send what the documents are to answer")
	}
	e.Query, e.Truncate = o.Query, true
	e.EstimatedPromptTokens += len(input) * len(o.Query) / 4 // it is read with each
	k := checker{}
	k.int("top_n", o.Top, 1, maxWidth)
	if err := k.err(); err != nil {
		return nil, 0, err
	}
	return e, 0, noEmpty("documents", input)
}

// rerank answers POST /v1/rerank: the documents, best first.
func (s *Server) rerank(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	var o rerankBody
	v, err := s.embedAs(w, r, &o, func() (*Embedding, int, error) { return o.embedding(arrived) })
	if err == nil && v != nil && slices.ContainsFunc(v.Vectors, func(x []float32) bool { return len(x) != 1 }) {
		err = &Error{Status: http.StatusBadRequest, Code: "invalid_request", Param: "model", Message: "model: this one makes vectors and no scores; ask one that is made for ranking"}
	}
	if err != nil {
		writeOpenAIError(w, err)
		return
	}
	if v != nil {
		o.write(w, v)
	}
}

func (o *rerankBody) write(w http.ResponseWriter, v *Vectors) {
	order := make([]int, len(v.Vectors))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(v.Vectors[b][0], v.Vectors[a][0]) })
	if o.Top != nil {
		order = order[:min(len(order), int(*o.Top))]
	}
	p := newPieces(w)
	p.buf = appendString(append(p.buf, `{"model":`...), o.Model)
	p.buf = append(p.buf, `,"object":"list","results":[`...)
	for i, k := range order {
		if i > 0 {
			p.buf = append(p.buf, ',')
		}
		p.buf = strconv.AppendInt(append(p.buf, `{"index":`...), int64(k), 10)
		p.buf = append(p.buf, `,"relevance_score":`...)
		p.buf = strconv.AppendFloat(p.buf, float64(v.Vectors[k][0]), 'g', -1, 32)
		if o.ReturnDocuments {
			p.buf = appendString(append(p.buf, `,"document":{"text":`...), string(o.Documents[k]))
			p.buf = append(p.buf, '}')
		}
		p.buf = append(p.buf, '}')
		p.send(false)
	}
	p.buf = append(appendPromptUsage(append(p.buf, "],"...), v.PromptTokens), "}\n"...)
	p.send(true)
}
