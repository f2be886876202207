package upstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"omx/node/engine"
)

// statusError is an answer other than 200 OK.
type statusError struct {
	status int
	said   string // by the server, cleaned; may be empty
	base   string
	bare   bool  // it was sent no key
	kind   error // of the engine's
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%v: upstream %s %s", e.kind, e.base, e.words())
}

func (e *statusError) Unwrap() error { return e.kind }

func (e *statusError) words() string {
	switch {
	case e.status >= 300 && e.status < 400:
		return fmt.Sprintf("answers with a redirect (%d), which is not followed; give the URL that it leads to", e.status)
	case e.status == http.StatusUnauthorized && e.bare:
		return "asks for a key (401); name a file that has one (--upstream-key)"
	case e.status == http.StatusUnauthorized || e.status == http.StatusForbidden:
		return fmt.Sprintf("refuses the key (%d); give it another", e.status)
	case e.said == "":
		return fmt.Sprintf("answers %d", e.status)
	}
	return fmt.Sprintf("answers %d: %s", e.status, e.said)
}

// names reports that the server does not like one of these fields.
func (e *statusError) names(fields []string) bool {
	if e.status != http.StatusBadRequest && e.status != http.StatusUnprocessableEntity {
		return false
	}
	for _, f := range fields {
		if strings.Contains(e.said, f) {
			return true
		}
	}
	return false
}

// refusal reads an answer that is not good.
func (c *caller) refusal(resp *http.Response, texts []string) error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, maxError)) // what came is enough
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	said := message(b)
	if said == "" && kind == "text/plain" {
		said = string(b)
	}
	err := c.failed(resp.StatusCode, said, texts, resp.Header.Get("Retry-After"))
	var e *statusError
	if errors.As(err, &e) {
		e.bare = resp.Request.Header.Get("Authorization") == ""
	}
	return err
}

// failed is the error of a status and of what was said with it.
func (c *caller) failed(status int, said string, texts []string, retryAfter string) error {
	e := &statusError{status: status, said: clean(said), base: c.base}
	if echoes(e.said, texts) {
		e.said = "(what it says repeats the prompt)"
	}
	e.kind = kindOf(status, said)
	if e.kind == engine.ErrBusy {
		return &engine.BusyError{Wait: wait(retryAfter), Why: "upstream " + c.base + " " + e.words()}
	}
	return e
}

func kindOf(status int, said string) error {
	said = strings.ToLower(said)
	tooLong := false
	for _, words := range []string{"context length", "context size", "context_length", "context_size", "context window", "maximum allowed length", "prompt too long", "prompt is too long", "too many tokens", "too large to process"} {
		tooLong = tooLong || strings.Contains(said, words)
	}
	switch {
	case tooLong && (status == 400 || status == 413 || status == 422 || status == 500):
		return engine.ErrTooLong
	case status == http.StatusRequestEntityTooLarge:
		return engine.ErrTooLong
	case status == http.StatusBadRequest && (strings.Contains(said, "does not support") || strings.Contains(said, "not supported")):
		return engine.ErrCannot
	case status == http.StatusBadRequest && strings.HasPrefix(said, "model ") && strings.HasSuffix(said, " not found"): // llama-server's
		return engine.ErrNoModel
	case status == http.StatusBadRequest, status == http.StatusUnprocessableEntity:
		return engine.ErrBadPrompt
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound:
		return engine.ErrNoModel
	case status == http.StatusMethodNotAllowed, status == http.StatusNotImplemented:
		return engine.ErrCannot
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return engine.ErrBusy
	}
	return engine.ErrLost
}

// wait reads Retry-After: seconds or a date.
func wait(s string) time.Duration {
	if n, err := strconv.Atoi(s); err == nil {
		return time.Duration(min(max(n, 0), int(maxWait/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return min(max(time.Until(at), 0), maxWait)
	}
	return 0
}

// interrupted is an error that came in the middle of a stream, where no status
// can be. What is left of one is in the code.
func (c *caller) interrupted(raw json.RawMessage, texts []string) error {
	var e struct {
		Code json.RawMessage `json:"code"`
	}
	_ = json.Unmarshal(raw, &e) // else there is none
	status, err := strconv.Atoi(string(e.Code))
	if err != nil || status < 400 || status > 599 {
		status = http.StatusInternalServerError
	}
	said := message([]byte(`{"error":` + string(raw) + `}`))
	return c.failed(status, said, texts, "")
}

// message is what an error's JSON says, in any of the forms that servers have:
// {"error":{"message":…}}, {"error":"…"}, {"message":"…"}, {"detail":…}.
func message(b []byte) string {
	var outer struct{ Error, Message, Detail, Type json.RawMessage }
	if json.Unmarshal(b, &outer) != nil {
		return ""
	}
	var inner struct{ Message, Type, Code json.RawMessage }
	if json.Unmarshal(outer.Error, &inner) == nil {
		return strings.TrimSpace(word(inner.Message) + kindWord(inner.Type, inner.Code))
	}
	for _, raw := range []json.RawMessage{outer.Error, outer.Message, outer.Detail} {
		if s := word(raw); s != "" {
			return s
		}
	}
	return ""
}

// kindWord adds the kind of an error where it says more than the status does.
func kindWord(raw ...json.RawMessage) string {
	for _, r := range raw {
		if s := word(r); strings.Contains(s, "context") {
			return " (" + s + ")"
		}
	}
	return ""
}

func word(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return ""
}

// clean makes one short line of foreign text.
func clean(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), 4*maxSaid)], "?")
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if len(s) <= maxSaid {
		return s
	}
	const more = "…"
	return strings.ToValidUTF8(s[:maxSaid-len(more)], "") + more
}

// piece is how much of a prompt an error may have by chance: "context length" is
// in prompts, too.
const piece = 12

// echoes reports that a message has a piece of one of the texts in it: some
// servers send back what they did not like.
func echoes(said string, texts []string) bool {
	for _, t := range texts {
		if len(t) >= 4 && len(t) <= maxSaid && strings.Contains(said, t) {
			return true
		}
		for at := 0; at+piece <= len(said); at += piece / 2 {
			if strings.Contains(t, said[at:at+piece]) {
				return true
			}
		}
	}
	return false
}

// shortly is an error of a check without what the check says itself.
func shortly(err error, base string) error {
	var refused *statusError
	if errors.As(err, &refused) {
		return fmt.Errorf("upstream %s %s", base, refused.words())
	}
	var busy *engine.BusyError
	if errors.As(err, &busy) {
		return errors.New(busy.Why)
	}
	return fmt.Errorf("upstream %s does not answer: %w", base, err)
}
