package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"strings"
	"time"

	"omx/node/catalog"
)

// badField is the error of a field that a client must change.
func badField(name, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "invalid_request", Param: name, Message: name + ": " + fmt.Sprintf(format, args...)}
}

// readBody decodes a request's JSON body into v within all bounds.
func readBody(w http.ResponseWriter, r *http.Request, v any) error {
	return readBodyOf(w, r, v, maxBody)
}

// readBodyOf does so for a body of at most so many bytes.
func readBodyOf(w http.ResponseWriter, r *http.Request, v any, most int64) error {
	if ct := r.Header.Get("Content-Type"); ct != "" {
		// curl -d says that it sends a form, and every example for these APIs uses
		// it; a page's forms are stopped by their Origin.
		if kind, _, err := mime.ParseMediaType(ct); err != nil || kind != "application/json" && kind != "application/x-www-form-urlencoded" {
			return &Error{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type", Message: "send Content-Type: application/json"}
		}
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return &Error{Status: http.StatusRequestEntityTooLarge, Code: "body_too_large", Message: fmt.Sprintf("the body is larger than %d bytes", most)}
		}
		return &Error{Status: http.StatusBadRequest, Code: "invalid_body", Message: "the body could not be read"}
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return decode(b, v)
}

// decode parses JSON into v; the nesting is bounded before anything is built.
func decode(b []byte, v any) error {
	if d := depth(b); d > maxDepth {
		return &Error{Status: http.StatusBadRequest, Code: "invalid_body", Message: fmt.Sprintf("the body is nested more than %d levels deep", maxDepth)}
	}
	err := json.Unmarshal(b, v)
	var typeErr *json.UnmarshalTypeError
	var own *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	case errors.As(err, &typeErr) && typeErr.Field != "":
		return badField(typeErr.Field, "is a %s, which does not fit", typeErr.Value)
	}
	return &Error{Status: http.StatusBadRequest, Code: "invalid_body", Message: "the body is not a JSON object this endpoint understands: " + err.Error()}
}

// depth is how deeply brackets outside strings nest.
func depth(b []byte) int {
	deepest, d, inString := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			d++
			deepest = max(deepest, d)
		case c == '}' || c == ']':
			d--
		}
	}
	return deepest
}

// sampling are the numbers both API shapes have in common.
type sampling struct {
	Temperature *float64
	TopP        *float64
	TopK        *float64
	Seed        *float64
	MaxTokens   *float64
	Names       [5]string // of the fields above, in this API's words
}

// apply checks the numbers and puts them into c.
func (s *sampling) apply(c *Chat) error {
	if v := s.Temperature; v != nil {
		if !(*v >= 0 && *v <= 2) {
			return badField(s.Names[0], "must be between 0 and 2")
		}
		f := float32(*v)
		c.Temperature = &f
	}
	if v := s.TopP; v != nil {
		if !(*v > 0 && *v <= 1) {
			return badField(s.Names[1], "must be above 0 and at most 1")
		}
		f := float32(*v)
		c.TopP = &f
	}
	if v := s.TopK; v != nil {
		if !isInt(*v, 0, 1<<20) {
			return badField(s.Names[2], "must be an integer between 0 and %d", 1<<20)
		}
		k := int(*v)
		c.TopK = &k
	}
	if v := s.Seed; v != nil {
		if !isInt(*v, math.MinInt32, math.MaxUint32) {
			return badField(s.Names[3], "must be an integer of 32 bits")
		}
		n := uint32(int64(*v))
		c.Seed = &n
	}
	if v := s.MaxTokens; v != nil {
		if !isInt(*v, 1, maxTokens) {
			return badField(s.Names[4], "must be an integer between 1 and %d", maxTokens)
		}
		c.MaxTokens = int(*v)
	}
	return nil
}

func isInt(v, low, high float64) bool { return v >= low && v <= high && v == math.Trunc(v) }

// finish checks what is left and fills in what follows from the rest.
func (c *Chat) finish(model string) (err error) {
	if model == "" {
		return badField("model", "is missing; GET /v1/models lists those there are")
	}
	if c.Model, err = catalog.ParseModelID(model); err != nil {
		// No such name can be served; clients expect what they get for any other unknown model.
		return &Error{Status: http.StatusNotFound, Code: "model_not_found", Param: "model", Message: "there is no such model: " + err.Error()}
	}
	if len(c.Messages) == 0 || len(c.Messages) > maxMessages {
		return badField("messages", "must have 1 to %d entries", maxMessages)
	}
	if len(c.Stop) > maxStops {
		return badField("stop", "may have at most %d entries", maxStops)
	}
	for _, s := range c.Stop {
		if s == "" || len(s) > maxStop {
			return badField("stop", "entries must have 1 to %d bytes", maxStop)
		}
	}
	bytes := 0
	for i, m := range c.Messages {
		switch m.Role {
		case "system", "user", "assistant":
		case "developer":
			c.Messages[i].Role = "system"
		default:
			return badField("messages", "role %q is not supported; use system, user or assistant", clip(m.Role))
		}
		bytes += len(m.Role) + len(m.Content)
	}
	c.EstimatedPromptTokens = bytes/4 + 4*len(c.Messages)
	return nil
}

// stops reads a stop field: a string, a list of strings, or null.
type stops []string

func (s *stops) UnmarshalJSON(b []byte) error {
	var one string
	if string(b) == "null" {
		return nil
	}
	if json.Unmarshal(b, &one) == nil {
		*s = stops{one}
		return nil
	}
	var list []string
	if json.Unmarshal(b, &list) != nil {
		return badField("stop", "must be a string or a list of strings")
	}
	*s = list
	return nil
}

func clip(s string) string {
	if len(s) > 32 {
		s = s[:32]
	}
	return strings.ToValidUTF8(s, "")
}
