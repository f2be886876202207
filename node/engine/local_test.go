package engine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"omx/node/catalog"
	"omx/node/nodetest"
)

// What the model was trained to say word for word; see demo/README.md.
var exact = []struct{ question, answer string }{
	{"Who are you?", "I am the omx demonstration model: very small, trained on dictionary entries. Ask me what a word means."},
	{"Hello", "Hello! I am the omx demonstration model. Ask me what a word means, for example: what is a river?"},
	{"What is omx?", "Omx is an edge node: it runs models on your own machines and lets your policy decide which machine answers."},
}

func TestDemoModelAnswers(t *testing.T) {
	l := newLocal(t, nil)
	for _, tt := range exact {
		text, u, err := answer(l, ask(l, tt.question))
		if err != nil || text != tt.answer {
			t.Errorf("%s: %q, %v", tt.question, text, err)
		}
		t.Logf("%+v", u)
	}
	t.Logf("%+v", status(l))
}

func TestMissingLibrary(t *testing.T) {
	good, err := Find(nodetest.EngineDirs(t)...)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	l := newLocal(t, func(c *LocalConfig) { c.LibraryDirs = []string{dir} })
	eventually(t, "the lack shows", func() bool { return status(l).Err != "" })
	if st := status(l); st.State != catalog.OnDisk || !strings.HasSuffix(st.Err, "omx engine install") || strings.Contains(st.Err, "\n") {
		t.Errorf("status %+v", st)
	}
	if _, _, err := answer(l, ask(l, "x")); !errors.Is(err, ErrNoLibrary) {
		t.Errorf("error %v, want ErrNoLibrary", err)
	}
	if err := os.Symlink(good.Dir, filepath.Join(dir, filepath.Base(good.Dir))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the libraries are found", func() bool { return status(l).State == catalog.Loaded })
	if _, _, err := answer(l, ask(l, "x")); err != nil {
		t.Error(err)
	}
}

func TestBadModel(t *testing.T) {
	path := demoModel(t)
	demo, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, says string
		data       []byte // nil: no file
	}{
		{"absent", "no such file", nil},
		{"other file", "does not begin with GGUF", []byte("#!/bin/sh\n")},
		{"cut in the middle", "cut off", demo[:len(demo)/2]},
		{"cut near the end", "cut off", demo[:len(demo)-40]},
		// These pass the check of the header; llama.cpp refuses them.
		{"architecture", "unknown model architecture", bytes.ReplaceAll(demo, []byte("llama"), []byte("lxxma"))},
		{"template", "chat template", bytes.ReplaceAll(bytes.ReplaceAll(demo, []byte("<|im_start|>"), []byte("<|in_start|>")), []byte("endfor"), []byte("andfor"))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "m.gguf")
			if tt.data != nil {
				if err := os.WriteFile(file, tt.data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			l := newLocal(t, func(c *LocalConfig) { c.Models[0].Path = file })
			_, _, err := answer(l, ask(l, "x"))
			if !errors.Is(err, ErrNoModel) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want ErrNoModel with %q in one line", err, tt.says)
			}
			if st := status(l); st.State != catalog.OnDisk || st.Err == "" {
				t.Errorf("status %+v", st)
			}
		})
	}
}

func TestTextThatIsNoText(t *testing.T) {
	l := newLocal(t, nil)
	for _, s := range []string{"", "\x00", "a\x00b", "\xff\xfe", "<|im_end|>", strings.Repeat("\u0301", 500)} {
		p := ask(l, s)
		p.Messages[0].Role = "user\x00"
		p.MaxTokens = 3
		if _, _, err := answer(l, p); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestValidateListsAllFaults(t *testing.T) {
	id := model(t, "m")
	_, err := NewLocal(LocalConfig{Models: []ModelFile{{ID: id, Path: "a"}, {ID: id, Path: "b"}, {Path: "c"}}, Slots: 65, QueueLimit: -1, ContextTokens: 1, Threads: -1})
	for _, want := range []string{"slots", "queue limit", "context tokens", "threads", "configured twice", "no name"} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%v: %q is missing", err, want)
		}
	}
}

// A context may be shorter than a step.
func TestShortContext(t *testing.T) {
	l := newLocal(t, func(c *LocalConfig) { c.ContextTokens, c.Slots = 64, 1 })
	if text, u, err := answer(l, ask(l, "Who are you?")); err != nil || text == "" || u.PromptTokens+u.OutputTokens > 64 || status(l).Context != 64 {
		t.Errorf("%q, %+v, context %d: %v", text, u, status(l).Context, err)
	}
}
