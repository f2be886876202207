package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"omx/node"
	"omx/node/catalog"
	"omx/node/engine"
)

const (
	slots       = 4
	roomTokens  = 2048 // of one slot, everywhere
	loadTimeout = 2 * time.Minute
)

// rig is one model, ready to be asked in each way.
type rig struct {
	model catalog.ModelID
	bare  *child
	local *engine.Local
	node  *served
	http  *client
	plain *plain
	ways  []way
}

// served is a node that serves models from files, with its default policies.
type served struct {
	*node.Node
	local  *engine.Local
	models []engine.ModelFile
	dir    string
}

// serve starts a node and waits until it answers for each of the models, whose
// names are those of their files.
func serve(ctx context.Context, opt Options, paths ...string) (s *served, err error) {
	s = &served{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	for _, path := range paths {
		id, err := catalog.ParseModelID(strings.TrimSuffix(filepath.Base(path), ".gguf"))
		if err != nil {
			return s, err
		}
		s.models = append(s.models, engine.ModelFile{ID: id, Path: path})
	}
	if s.local, err = engine.NewLocal(engine.LocalConfig{Models: s.models, LibraryDirs: opt.EngineDirs, Slots: slots, ContextTokens: roomTokens, Threads: opt.Threads}); err != nil {
		return s, err
	}
	if s.dir, err = os.MkdirTemp("", "omx-bench-engine-"); err != nil {
		return s, fmt.Errorf("create folder for a node: %w", err)
	}
	if s.Node, err = node.New(node.Config{Name: "bench", Data: s.dir, Listen: "127.0.0.1:0", Engine: s.local}); err != nil {
		return s, err
	}
	if err = s.Start(ctx); err != nil {
		return s, err
	}
	for _, m := range s.models {
		if err = s.ready(ctx, m.ID); err != nil {
			return s, err
		}
	}
	return s, nil
}

// ready waits until the node answers for a model.
func (s *served) ready(ctx context.Context, model catalog.ModelID) error {
	for deadline := time.Now().Add(loadTimeout); ; time.Sleep(10 * time.Millisecond) {
		err := askOnce(s.addr(), model)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return fmt.Errorf("model %s does not answer: %w", model, err)
		}
	}
}

func askOnce(addr string, model catalog.ModelID) error {
	c, err := dial(addr, model)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.ask("hello", 1)
	return err
}

func (s *served) addr() string { return strings.TrimPrefix(s.URL(), "http://") }

func (s *served) close() (err error) {
	switch {
	case s.Node != nil:
		err = s.Close() // and the engine with it
	case s.local != nil:
		err = s.local.Close()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// newRig loads a model twice: into the bare binding and into a node's worker. Both
// lie idle while the other is measured.
func newRig(ctx context.Context, opt Options, path string, stderr io.Writer) (r *rig, err error) {
	r = &rig{}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	lib, err := engine.Find(opt.EngineDirs...)
	if err != nil {
		return r, err
	}
	if r.bare, err = startBare(ctx, bareLoad{Library: lib.Dir, Model: path, Slots: slots, Context: roomTokens, Threads: opt.Threads}, stderr); err != nil {
		return r, err
	}
	if r.node, err = serve(ctx, opt, path); err != nil {
		return r, err
	}
	r.model, r.local = r.node.models[0].ID, r.node.local
	r.http = &client{addr: r.node.addr(), model: r.model}
	if r.plain, err = newPlain(); err != nil {
		return r, err
	}
	r.ways = []way{{variantBare, r.askBare}, {variantEngine, r.askEngine}, {variantHTTP, r.http.ask}}
	return r, nil
}

func (r *rig) close() (err error) {
	if r.http != nil {
		err = r.http.close()
	}
	if r.plain != nil {
		err = errors.Join(err, r.plain.close())
	}
	if r.node != nil {
		err = errors.Join(err, r.node.close())
	}
	if r.bare != nil {
		err = errors.Join(err, r.bare.close())
	}
	return err
}
