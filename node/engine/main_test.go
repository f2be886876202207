package engine

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"omx/node/nodetest"
)

// The test program is its own worker: "worker" as omx is, "broken" as one with
// the fault that its argument names; "parent" is a node that will be killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "worker":
			os.Exit(RunWorker(context.Background(), os.Stdin, os.Stdout, os.Stderr))
		case "broken":
			brokenWorker(os.Args[2])
		case "parent":
			orphanParent()
		}
	}
	// A program under the race detector sleeps for a second before it exits, if it
	// is not told otherwise; workers are to end at once.
	if os.Getenv("GORACE") == "" {
		os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
	goleak.VerifyTestMain(m)
}

// demoModel is a file of the demonstration model.
func demoModel(t testing.TB) string {
	t.Helper()
	path, err := DemoModel(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// newLocal starts an engine with the demonstration model, changed by edit.
func newLocal(t testing.TB, edit func(*LocalConfig)) *Local {
	t.Helper()
	path := demoModel(t)
	cfg := LocalConfig{Models: []ModelFile{{ID: model(t, DemoID), Path: path, Preload: true}}, LibraryDirs: nodetest.EngineDirs(t), Threads: 1, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	if edit != nil {
		edit(&cfg)
	}
	l, err := NewLocal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := l.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

var (
	model      = nodetest.Model
	eventually = nodetest.Eventually
)

// endlessModel is the demonstration model without an end: its end-of-turn token
// has another name, so it starts the next turn instead.
func endlessModel(t testing.TB) string {
	t.Helper()
	path := demoModel(t)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	eos := append([]byte("tokenizer.ggml.eos_token_id"), 4, 0, 0, 0, 2, 0, 0, 0)
	if bytes.Count(data, eos) != 1 {
		t.Fatal("the demonstration model has no end-of-turn token")
	}
	never := append(bytes.Clone(eos[:len(eos)-4]), 0, 0, 0, 0)
	data = bytes.Replace(data, eos, never, 1)
	data = bytes.ReplaceAll(data, []byte("<|im_end|>"), []byte("<|im_enx|>"))
	path = filepath.Join(t.TempDir(), "endless.gguf")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What follows is in package enginetest, too, which tests in this package cannot
// import, since it imports this package.

func status(e Engine) Status { return e.Models()[0] }

// ask is one question to the engine's first model, with a temperature of 0.
func ask(e Engine, question string) *Prompt {
	return &Prompt{Model: status(e).ID, Messages: []Message{{Role: "user", Content: question}}, MaxTokens: 64}
}

// answer runs a prompt to its end.
func answer(e Engine, p *Prompt) (text string, u Usage, err error) {
	u, err = e.Generate(context.Background(), p, func(t Token) error { text += t.Text; return nil })
	return text, u, err
}

// hold keeps a slot busy until the returned function is called; it waits until
// the slot is taken, and afterwards until the request has ended.
func hold(t *testing.T, e Engine) (release func() error) {
	t.Helper()
	before := status(e).Load.Running
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		p := ask(e, "Hello")
		p.MaxTokens = 0
		_, err := e.Generate(ctx, p, func(Token) error { return nil })
		done <- err
	}()
	eventually(t, "a slot is taken", func() bool { return status(e).Load.Running > before })
	return func() error { cancel(); return <-done }
}
