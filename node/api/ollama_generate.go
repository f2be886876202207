package api

import (
	"encoding/json"
	"net/http"
	"time"
)

// ollamaGenerate is the body of POST /api/generate as far as it is used.
type ollamaGenerate struct {
	ollamaBody
	Prompt    string          `json:"prompt"`
	System    string          `json:"system"`
	Raw       bool            `json:"raw"`
	Suffix    string          `json:"suffix"`
	Template  string          `json:"template"`
	Images    json.RawMessage `json:"images"`
	Context   json.RawMessage `json:"context"`
	KeepAlive json.RawMessage `json:"keep_alive"`
}

func (o *ollamaGenerate) chat(arrived time.Time) (*Chat, error) {
	err := refuseSet(unsupported{"suffix", o.Suffix != ""}, unsupported{"template", o.Template != ""},
		unsupported{"images", isSet(o.Images)}, unsupported{"context", isSet(o.Context)})
	if err != nil {
		return nil, err
	}
	c := &Chat{Arrived: arrived}
	switch {
	case o.Raw && o.System != "":
		return nil, badField("system", "goes with no raw prompt; put it into the prompt")
	case o.Raw:
		c.Raw = o.Prompt
	default:
		if o.System != "" {
			c.Messages = append(c.Messages, Message{Role: "system", Content: o.System})
		}
		c.Messages = append(c.Messages, Message{Role: "user", Content: o.Prompt})
	}
	return c, o.into(c, "prompt")
}

func (o *ollamaGenerate) format(string, time.Time) format {
	return &ollamaFormat{model: o.Model, generate: true}
}

// ollamaGenerate answers POST /api/generate. Without a prompt a client wants the
// model loaded, as nodes have theirs from the start.
func (s *Server) ollamaGenerate(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	var o ollamaGenerate
	err := readBody(w, r, &o)
	if err == nil && o.Prompt != "" {
		var c *Chat
		if c, err = o.chat(arrived); err == nil {
			s.answer(w, r, c, o.format("", arrived))
			return
		}
	}
	if err == nil {
		err = s.preloaded(w, r, &o)
	}
	if err != nil {
		writeOllamaError(w, err)
	}
}

// preloaded answers a request to load a model, once it is.
func (s *Server) preloaded(w http.ResponseWriter, r *http.Request, o *ollamaGenerate) error {
	id, err := modelID(o.model())
	if err != nil {
		return err
	}
	if err := s.ask(r, &Chat{Model: id}); err != nil {
		return err
	}
	m, err := s.ollamaModel(id.String())
	if err != nil {
		return err
	}
	if k := string(o.KeepAlive); k == "0" || k == `"0"` || k == `"0s"` {
		return badField("keep_alive", "cannot unload a model of this node; it keeps what it serves")
	}
	if !m.loaded() {
		return &Error{Status: http.StatusServiceUnavailable, Code: "model_not_ready", RetryAfter: time.Second,
			Message: "no node has model " + m.ID + " loaded now; try again later"}
	}
	f := ollamaFormat{model: o.Model, generate: true}
	writeJSON(w, nil, append(f.message(nil, ""), `,"done":true,"done_reason":"load"}`+"\n"...))
	return nil
}

// loaded tells whether any node has the model ready.
func (m *ModelView) loaded() bool {
	for _, h := range m.Holders {
		if h.State == "loaded" {
			return true
		}
	}
	return false
}
