package api

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"net/http"
	"strconv"
	"time"
)

// embeddingsBody is the body of POST /v1/embeddings as far as it is used.
type embeddingsBody struct {
	Model      string   `json:"model"`
	Input      texts    `json:"input"`
	Encoding   string   `json:"encoding_format"`
	Dimensions *float64 `json:"dimensions"`
}

func (o *embeddingsBody) embedding(arrived time.Time) (*Embedding, int, error) {
	e, err := embedding(o.Model, "input", o.Input, arrived)
	if err != nil {
		return nil, 0, err
	}
	if err := noEmpty("input", o.Input); err != nil {
		return nil, 0, err
	}
	switch o.Encoding {
	case "", "float", "base64":
	default:
		return nil, 0, badField("encoding_format", "%q is not supported; use float or base64", clip(o.Encoding))
	}
	n, err := dimensions(o.Dimensions)
	return e, n, err
}

// embeddings answers POST /v1/embeddings.
func (s *Server) embeddings(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	var o embeddingsBody
	v, err := s.embedAs(w, r, &o, func() (*Embedding, int, error) { return o.embedding(arrived) })
	if err != nil {
		writeOpenAIError(w, err)
		return
	}
	if v != nil {
		o.write(w, v)
	}
}

// embedAs reads a body and does what it asks for; nil and no error where nobody is
// left to answer.
func (s *Server) embedAs(w http.ResponseWriter, r *http.Request, body any, asked func() (*Embedding, int, error)) (*Vectors, error) {
	if err := readBody(w, r, body); err != nil {
		return nil, err
	}
	e, n, err := asked()
	if err != nil {
		return nil, err
	}
	v, err := s.embed(w, r, e, n)
	if err != nil && gone(r.Context(), err) {
		return nil, nil
	}
	return v, err
}

func (o *embeddingsBody) write(w http.ResponseWriter, v *Vectors) {
	p := newPieces(w)
	p.buf = append(p.buf, `{"object":"list","data":[`...)
	for i, x := range v.Vectors {
		if i > 0 {
			p.buf = append(p.buf, ',')
		}
		p.buf = append(p.buf, `{"object":"embedding","index":`...)
		p.buf = append(strconv.AppendInt(p.buf, int64(i), 10), `,"embedding":`...)
		if o.Encoding == "base64" {
			p.buf = appendBase64(p.buf, x)
		} else {
			p.buf = appendVector(p.buf, x)
		}
		p.buf = append(p.buf, '}')
		p.send(false)
	}
	p.buf = appendString(append(p.buf, `],"model":`...), o.Model)
	p.buf = append(appendPromptUsage(append(p.buf, ','), v.PromptTokens), "}\n"...)
	p.send(true)
}

// appendBase64 appends a vector as little-endian numbers of 4 bytes.
func appendBase64(b []byte, v []float32) []byte {
	raw := make([]byte, 0, 4*len(v))
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return append(base64.StdEncoding.AppendEncode(append(b, '"'), raw), '"')
}

// appendPromptUsage appends the usage of what has no answer in tokens.
func appendPromptUsage(b []byte, tokens int) []byte {
	b = strconv.AppendInt(append(b, `"usage":{"prompt_tokens":`...), int64(tokens), 10)
	b = strconv.AppendInt(append(b, `,"total_tokens":`...), int64(tokens), 10)
	return append(b, '}')
}
