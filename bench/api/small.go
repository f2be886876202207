package api

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync"

	"omx/bench/measure"
)

// bare is what a handler cannot do without: it parses the same body and answers
// with as many bytes.
func bare(w http.ResponseWriter, r *http.Request) {
	var b struct {
		Model    string `json:"model"`
		Stream   bool   `json:"stream"`
		Messages []struct {
			Role    string `json:"role"`
			Content string `json:"content"`
		} `json:"messages"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&b); err != nil || len(b.Messages) == 0 {
		http.Error(w, "bad body", http.StatusBadRequest)
		return
	}
	var out struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Created int64  `json:"created"`
		Model   string `json:"model"`
		Choices [1]struct {
			Index   int `json:"index"`
			Message struct {
				Role    string `json:"role"`
				Content string `json:"content"`
			} `json:"message"`
			Finish string `json:"finish_reason"`
		} `json:"choices"`
		Usage struct {
			Prompt     int `json:"prompt_tokens"`
			Completion int `json:"completion_tokens"`
			Total      int `json:"total_tokens"`
		} `json:"usage"`
	}
	out.ID, out.Object, out.Created, out.Model = "chatcmpl-0123456789abcdef", "chat.completion", 1_700_000_000, b.Model
	out.Choices[0].Message.Role, out.Choices[0].Message.Content, out.Choices[0].Finish = "assistant", "some words in answer ", "stop"
	out.Usage.Prompt, out.Usage.Completion, out.Usage.Total = 16, 4, 20
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(&out) // the client has gone if it fails, and sees that itself
}

func startBare(context.Context) (string, func() error, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: http.HandlerFunc(bare)}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ln) }()
	return ln.Addr().String(), func() error {
		err := s.Close()
		if e := <-ended; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
		return err
	}, nil
}

func startNode(ctx context.Context) (string, func() error, error) {
	s, err := serve(ctx, smallTokens, 0, 2*clients)
	if err != nil {
		return "", nil, err
	}
	return s.addr(), s.close, nil
}

// small is small requests one after another, by some clients at once.
func small(ctx context.Context, variant string, start func(context.Context) (string, func() error, error)) measure.Case {
	return measure.Case{Name: nameSmall, Variant: variant, Workers: clients, Start: func(workers int) (*measure.Run, error) {
		addr, end, err := start(ctx)
		if err != nil {
			return nil, err
		}
		conns, ask := make([]*Conn, workers), request(false)
		closeAll := func() (err error) {
			for _, c := range conns {
				if c != nil {
					err = errors.Join(err, c.Close())
				}
			}
			return errors.Join(err, end())
		}
		for i := range conns {
			if conns[i], err = Dial(addr); err != nil {
				return nil, errors.Join(err, closeAll())
			}
		}
		var mu sync.Mutex
		var failed error
		return &measure.Run{
			Op: func(w *measure.Worker, n int) {
				for range n {
					if err := conns[w.Index].whole(ask); err != nil {
						mu.Lock()
						failed = err
						mu.Unlock()
						return
					}
				}
			},
			Close: func() string {
				if err := errors.Join(failed, closeAll()); err != nil {
					return err.Error()
				}
				return ""
			},
		}, nil
	}}
}
