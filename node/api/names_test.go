package api

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

// tags answers for models by the names they are kept under only.
type tags struct{ script }

func (s *tags) missing(id string) error {
	if slices.ContainsFunc(tagged{}.Models(), func(m ModelView) bool { return m.ID == id }) {
		return nil
	}
	return &Error{Status: 404, Code: codeNoModel, Message: "no node has " + id}
}

func (s *tags) Chat(ctx context.Context, c *Chat, reply Reply) (Result, error) {
	if err := s.missing(c.Model.String()); err != nil {
		return Result{}, err
	}
	return s.script.Chat(ctx, c, reply)
}

func (s *tags) Embed(ctx context.Context, e *Embedding) (Vectors, error) {
	if err := s.missing(e.Model.String()); err != nil {
		return Vectors{}, err
	}
	return s.script.Embed(ctx, e)
}

func (s *tags) CountTokens(ctx context.Context, c *Chat) (int, error) {
	if err := s.missing(c.Model.String()); err != nil {
		return 0, err
	}
	return s.script.CountTokens(ctx, c)
}

// A model is found by its name with and without the tag latest, and by no other.
func TestNames(t *testing.T) {
	srv, url := startWith(t, Config{}, &tags{})
	srv.inspect = tagged{}
	srv.chat.(*named).inspect = tagged{}
	for name, status := range map[string]int{"mine": 200, "mine:latest": 200, "elsewhere": 200, "elsewhere:latest": 200, "small:3b": 200,
		"small": 404, "small:latest": 404, "mine:3b": 404, "small:3b:latest": 200} {
		for _, s := range shapes {
			if got, _, body := do(t, "POST", url+s.path, s.with(name, "")); got != status || status == 200 && !strings.Contains(body, `"model":"`+name+`"`) {
				t.Errorf("%s by %s: %d %s, want %d", name, s.name, got, body, status)
			}
		}
		for path, body := range map[string]string{"/v1/embeddings": `{"model":"` + name + `","input":"x"}`, "/v1/messages/count_tokens": shapeOf(t, "messages").with(name, "")} {
			if got, _, body := do(t, "POST", url+path, body); got != status {
				t.Errorf("%s by %s: %d %s, want %d", name, path, got, body, status)
			}
		}
	}
}

// timed says when an answer begins how long it took.
type timed struct{ script }

func (s *timed) Chat(ctx context.Context, c *Chat, reply Reply) (Result, error) {
	return s.script.Chat(ctx, c, timedReply{reply})
}

type timedReply struct{ Reply }

func (r timedReply) Begin(m Meta) error {
	m.Queue, m.TTFT = 1500*time.Microsecond, 2*time.Second
	return r.Reply.Begin(m)
}

func TestTimesInHeaders(t *testing.T) {
	_, known := startWith(t, Config{}, &timed{})
	_, unknown := start(t, &script{})
	s := shapeOf(t, "chat completions")
	for _, c := range []struct{ url, stream, queue, ttft string }{
		{known, "true", "1.500", "2000.000"},
		{unknown, "true", "", ""},
		{unknown, "false", "", "1.000"}, // of the result
	} {
		_, h, _ := do(t, "POST", c.url+s.path, s.with("omx-demo", `"stream":`+c.stream))
		if h.Get(headerQueue) != c.queue || h.Get(headerTTFT) != c.ttft {
			t.Errorf("streamed %s: queue %q, first token %q, want %q and %q", c.stream, h.Get(headerQueue), h.Get(headerTTFT), c.queue, c.ttft)
		}
	}
}
