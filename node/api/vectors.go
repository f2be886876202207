package api

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// texts reads texts: a string, or a list of strings.
type texts []string

func (t *texts) UnmarshalJSON(b []byte) error {
	*t = nil
	var one string
	var list []string
	switch {
	case string(b) == "null":
	case json.Unmarshal(b, &one) == nil:
		*t = texts{one}
	case json.Unmarshal(b, &list) == nil:
		*t = list
	default:
		return badField("input", "must be text or a list of texts; lists of token ids are not supported")
	}
	return nil
}

// embedding is the request for vectors of texts that are in a field of some name.
func embedding(model, field string, input []string, arrived time.Time) (*Embedding, error) {
	id, err := modelID(model)
	if err != nil {
		return nil, err
	}
	if len(input) == 0 || len(input) > maxInputs {
		return nil, badField(field, "must have 1 to %d entries", maxInputs)
	}
	e := &Embedding{Chat: Chat{Model: id, Arrived: arrived}, Input: input}
	for _, text := range input {
		e.EstimatedPromptTokens += len(text)/4 + 1
	}
	return e, nil
}

// noEmpty refuses texts that say nothing, of which engines make nothing.
func noEmpty(field string, input []string) error {
	for i, text := range input {
		if text == "" {
			return badField(fmt.Sprintf("%s[%d]", field, i), "is empty; leave it out")
		}
	}
	return nil
}

// embed has vectors made for whoever asks, and cuts them to so many dimensions if
// any are asked for.
func (s *Server) embed(w http.ResponseWriter, r *http.Request, e *Embedding, dimensions int) (*Vectors, error) {
	if err := s.ask(r, &e.Chat); err != nil {
		return nil, err
	}
	v, err := s.chat.Embed(r.Context(), e)
	if err != nil {
		return nil, err
	}
	if len(v.Vectors) != len(e.Input) {
		return nil, fmt.Errorf("%d vectors for %d texts", len(v.Vectors), len(e.Input))
	}
	for i := range v.Vectors {
		if v.Vectors[i], err = cut(v.Vectors[i], dimensions); err != nil {
			return nil, err
		}
	}
	setMeta(w.Header(), v.Meta)
	return &v, nil
}

// cut takes a vector's first dimensions and makes it of length 1 again, as models
// that are made for it allow; 0 takes all.
func cut(v []float32, dimensions int) ([]float32, error) {
	if dimensions > len(v) {
		return nil, badField("dimensions", "this model has %d of them", len(v))
	}
	sum := 0.0
	for _, x := range v {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return nil, &Error{Status: http.StatusBadGateway, Code: "bad_answer", Message: "the model gave a vector that has no number in a place; try another text or model"}
		}
	}
	if dimensions == 0 || dimensions == len(v) {
		return v, nil
	}
	v = v[:dimensions]
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	short := make([]float32, len(v))
	for i, x := range v {
		if sum > 0 {
			short[i] = float32(float64(x) / math.Sqrt(sum))
		}
	}
	return short, nil
}

// dimensions checks how long vectors are wanted; 0 is as long as they are.
func dimensions(v *float64) (int, error) {
	k := checker{}
	if n := k.int("dimensions", v, 1, maxWidth); n != nil {
		return *n, nil
	}
	return 0, k.err()
}

func appendVector(b []byte, v []float32) []byte {
	b = append(b, '[')
	for i, x := range v {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendFloat(b, float64(x), 'g', -1, 32)
	}
	return append(b, ']')
}

// pieces writes a body that may be too long to hold, a piece at a time. Nobody
// is told when the client is gone.
type pieces struct {
	w    http.ResponseWriter
	buf  []byte
	gone error
}

func newPieces(w http.ResponseWriter) *pieces {
	w.Header().Set("Content-Type", "application/json")
	return &pieces{w: w}
}

// send writes what there is if it is enough to be worth it, or the last.
func (p *pieces) send(last bool) {
	if !last && len(p.buf) < pieceSize || p.gone != nil {
		return
	}
	_ = http.NewResponseController(p.w).SetWriteDeadline(time.Now().Add(writeTimeout))
	_, p.gone = p.w.Write(p.buf)
	p.buf = p.buf[:0]
}
