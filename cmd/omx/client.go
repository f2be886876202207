package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// target is the node a command talks to.
type target struct {
	API string `help:"Base URL of the node's API." env:"OMX_API" default:"http://127.0.0.1:11435" placeholder:"URL"`
	Key string `help:"Key, where the node asks for one." env:"OMX_KEY" placeholder:"KEY"`
}

// maxReply bounds what a command reads from a node that is not streaming.
const maxReply = 8 << 20

func (t *target) url(path string) string { return strings.TrimRight(t.API, "/") + path }

// get fetches a JSON answer of the node.
func (t *target) get(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url(path), nil)
	if err != nil {
		return usageError{fmt.Errorf("--api %q is not a URL: %w", t.API, err)}
	}
	resp, err := t.do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxReply)).Decode(into); err != nil {
		return fmt.Errorf("read the answer of %s: %w", req.URL, err)
	}
	return nil
}

// post sends a JSON body and returns the answer's body, to be closed.
func (t *target) post(ctx context.Context, path string, body any) (*http.Response, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url(path), bytes.NewReader(b))
	if err != nil {
		return nil, usageError{fmt.Errorf("--api %q is not a URL: %w", t.API, err)}
	}
	req.Header.Set("Content-Type", "application/json")
	return t.do(req)
}

func (t *target) do(req *http.Request) (*http.Response, error) {
	if t.Key != "" {
		req.Header.Set("Authorization", "Bearer "+t.Key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if req.Context().Err() != nil {
			return nil, req.Context().Err()
		}
		return nil, fmt.Errorf("reach the node at %s: %w; is it running? start one with: omx serve --demo", t.API, err)
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		message, code := errorText(io.LimitReader(resp.Body, maxReply))
		return nil, &refusal{fmt.Sprintf("the node at %s answered %d: %s", t.API, resp.StatusCode, message), code}
	}
	return resp, nil
}

// refusal is an error that a node has answered with.
type refusal struct {
	text string
	code string // of the API, "" if it said none
}

func (r *refusal) Error() string { return r.text }

// errorText finds the message in an error body of the OpenAI or Ollama shape, and the
// code in one of OpenAI's.
func errorText(r io.Reader) (message, code string) {
	b, _ := io.ReadAll(r)
	var body struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(b, &body) != nil {
		return strings.TrimSpace(string(b[:min(len(b), 200)])), ""
	}
	var nested struct {
		Message string `json:"message"`
		Code    string `json:"code"`
	}
	var plain string
	if json.Unmarshal(body.Error, &plain) == nil {
		return plain, ""
	}
	if json.Unmarshal(body.Error, &nested) == nil {
		return nested.Message, nested.Code
	}
	return strings.TrimSpace(string(b[:min(len(b), 200)])), ""
}
