package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
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

// beforeFault finds the field whose value is no JSON: some clients send NaN and
// Infinity.
var beforeFault = regexp.MustCompile(`"(\w{1,64})"\s*:\s*-?$`)

// ours are the names of embedded structs, which are in the paths of fields that
// encoding/json tells; clients do not know them.
var ours = strings.NewReplacer("openAIBody.", "", "ollamaBody.", "", "sampling.", "", "shifting.", "", "modelName.", "", "flatFunction.", "")

// decode parses JSON into v; the nesting is bounded before anything is built.
func decode(b []byte, v any) error {
	if d := depth(b); d > maxDepth {
		return &Error{Status: http.StatusBadRequest, Code: "invalid_body", Message: fmt.Sprintf("the body is nested more than %d levels deep", maxDepth)}
	}
	if err := json.Unmarshal(b, v); err != nil {
		return undecoded(b, err)
	}
	return nil
}

// undecoded is an error of encoding/json in words for the client.
func undecoded(b []byte, err error) *Error {
	var typeErr *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	var own *Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &typeErr) && typeErr.Field != "":
		return badField(ours.Replace(typeErr.Field), "is a %s, which does not fit", typeErr.Value)
	case errors.As(err, &syntax):
		if field := beforeFault.FindSubmatch(b[max(0, syntax.Offset-128):max(0, syntax.Offset-1)]); field != nil {
			return badField(string(field[1]), "is not JSON: %v", err)
		}
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

// words are what an API calls the fields that all APIs have.
type words struct {
	messages, stop string
	stops          int // stop texts of one request
}

// finish checks what is left and fills in what follows from the rest.
func (c *Chat) finish(model string, w words) (err error) {
	if c.Model, err = modelID(model); err != nil {
		return err
	}
	if c.Raw == "" && len(c.Messages) == 0 || len(c.Messages) > maxMessages {
		return badField(w.messages, "must have 1 to %d entries", maxMessages)
	}
	if len(c.Stop) > w.stops {
		return badField(w.stop, "may have at most %d entries", w.stops)
	}
	for _, s := range c.Stop {
		if s == "" || len(s) > maxStop {
			return badField(w.stop, "entries must have 1 to %d bytes", maxStop)
		}
	}
	size := len(c.Raw)
	for _, t := range c.Tools {
		size += len(t)
	}
	for i, m := range c.Messages {
		switch m.Role {
		case "system", "user", "assistant", "tool":
		case "developer":
			c.Messages[i].Role = "system"
		default:
			return badField(w.messages, "role %q is not supported; use system, user, assistant or tool", clip(m.Role))
		}
		size += len(m.Role) + len(m.Content) + len(m.Thinking)
		for k := range m.Calls {
			size += len(m.Calls[k].Name) + len(m.Calls[k].Arguments)
		}
	}
	c.nameResults()
	c.EstimatedPromptTokens = size/4 + 4*len(c.Messages)
	return nil
}

// latest is the tag that Ollama's clients put to names without one.
const latest = ":latest"

// modelID is the model of a name in a body.
func modelID(name string) (catalog.ModelID, error) {
	if name == "" {
		return catalog.ModelID{}, badField("model", "is missing; GET /v1/models lists those there are")
	}
	id, err := catalog.ParseModelID(strings.TrimSuffix(name, latest))
	if err != nil {
		// No such name can be served; clients expect what they get for any other unknown model.
		return id, &Error{Status: http.StatusNotFound, Code: codeNoModel, Param: "model", Message: "there is no such model: " + err.Error()}
	}
	return id, nil
}

// unsupported is a field that this node knows of and cannot do, if it is set.
type unsupported struct {
	name string
	set  bool
}

// refuseSet refuses what would change the answer and is not supported; what this
// node has never heard of is ignored.
func refuseSet(fields ...unsupported) error {
	for _, f := range fields {
		if f.set {
			return badField(f.name, "is not supported by this node; leave it out")
		}
	}
	return nil
}

// isSet tells of a field that is there and says something.
func isSet(m json.RawMessage) bool {
	switch string(bytes.TrimSpace(m)) {
	case "", "null", "[]", "{}", `""`, "false":
		return false
	}
	return true
}

// isObject tells of a field that is an object, if it is there.
func isObject(m json.RawMessage) bool { return len(m) == 0 || m[0] == '{' || string(m) == "null" }

func clip(s string) string {
	if len(s) > 32 {
		s = s[:32]
	}
	return strings.ToValidUTF8(s, "")
}
