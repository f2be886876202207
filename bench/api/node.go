package api

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"omx/node"
	"omx/node/catalog"
	"omx/node/engine"
)

const modelName = "sim"

// served is a node with a simulated engine and its default policies.
type served struct {
	*node.Node
	dir string
}

// serve starts a node that answers with so many tokens, each taking a while.
func serve(ctx context.Context, tokens int, decode time.Duration, slots int) (s *served, err error) {
	model, err := catalog.ParseModelID(modelName)
	if err != nil {
		return nil, err
	}
	sim, err := engine.NewSim(engine.SimConfig{Models: []engine.Status{{ID: model}}, Slots: slots, QueueLimit: slots, Output: tokens, Decode: decode, ContextTokens: 1 << 20})
	if err != nil {
		return nil, err
	}
	s = &served{}
	if s.dir, err = os.MkdirTemp("", "omx-bench-api-"); err != nil {
		return nil, fmt.Errorf("create folder for a node: %w", err)
	}
	s.Node, err = node.New(node.Config{Name: "bench", Data: s.dir, Listen: "127.0.0.1:0", Engine: sim})
	if err == nil {
		err = s.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *served) addr() string { return strings.TrimPrefix(s.URL(), "http://") }

func (s *served) close() (err error) {
	if s.Node != nil {
		err = s.Close()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
