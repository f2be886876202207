package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// plain is an HTTP server with nothing behind it: it reads a request, sleeps as long as
// a model would take, and streams one token. What of its first token is not sleep is what
// HTTP alone costs, on a machine that has meanwhile been idle.
type plain struct {
	*client
	server *http.Server
	sleep  time.Duration // set between two requests
}

func newPlain() (*plain, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for plain HTTP: %w", err)
	}
	p := &plain{client: &client{addr: l.Addr().String()}}
	p.server = &http.Server{Handler: http.HandlerFunc(p.answer)}
	go p.server.Serve(l)
	return p, nil
}

func (p *plain) answer(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	if b, err := io.ReadAll(r.Body); err != nil || json.Unmarshal(b, &body) != nil {
		http.Error(w, "no JSON", http.StatusBadRequest)
		return
	}
	began := time.Now()
	time.Sleep(p.sleep)
	slept := time.Since(began)
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, `data: {"choices":[{"index":0,"text":"x"}]}`, "\n\n")
	_ = http.NewResponseController(w).Flush()
	fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1},\"timings\":{\"prompt_ms\":%g}}\n\ndata: [DONE]\n\n", slept.Seconds()*1000)
}

// first is how long a first token takes beside the sleep.
func (p *plain) first(ctx context.Context, prompt string, sleep time.Duration) (time.Duration, error) {
	p.sleep = sleep
	t, err := p.ask(ctx, []string{prompt}, 1)
	return t.first - t.model, err
}

func (p *plain) close() error { return errors.Join(p.client.close(), p.server.Close()) }
