package chat_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hybridgroup/yzma/pkg/llama"
	"go.uber.org/goleak"

	"omx/node/engine"
	"omx/node/engine/chat"
	"omx/node/nodetest"
)

// The test program is its own worker.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		os.Exit(engine.RunWorker(context.Background(), os.Stdin, os.Stdout, os.Stderr))
	}
	if os.Getenv("GORACE") == "" {
		os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
	goleak.VerifyTestMain(m)
}

// A model that was never shown a tool calls one.
func TestDemoModelCalls(t *testing.T) {
	path, err := engine.DemoModel(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	id := nodetest.Model(t, engine.DemoID)
	e, err := engine.NewLocal(engine.LocalConfig{Models: []engine.ModelFile{{ID: id, Path: path}}, LibraryDirs: nodetest.EngineDirs(t), Threads: 1, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	tools := []chat.Tool{{RawMessage: json.RawMessage(`{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":` +
		`{"place":{"type":"string","maxLength":12},"unit":{"enum":["celsius","kelvin"]},"days":{"type":"integer"}},"required":["place","unit","days"]}}}`)}}
	grammar, err := chat.Grammar(tools, chat.Choice{Name: "weather"}, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, temperature := range []float32{0, 1} {
		p := chat.NewParser(chat.ParserOptions{Tools: tools, ID: func() string { return strings.Repeat("x", 24) }})
		var out []chat.Piece
		prompt := &engine.Prompt{Model: id, Messages: []engine.Message{{Role: "user", Content: "What is the weather in Bonn?"}}, MaxTokens: 200, Temperature: temperature, Seed: 7, Grammar: grammar}
		u, err := e.Generate(t.Context(), prompt, func(t engine.Token) error { out = append(out, p.Add(t.Text)...); return nil })
		out = append(out, p.Flush()...)
		if err != nil || len(out) != 1 || out[0].Call == nil || u.Finish != engine.FinishStop {
			t.Fatalf("%v %+v %+v", err, u, out)
		}
		var args struct {
			Place *string
			Unit  string
			Days  *int
		}
		if err := json.Unmarshal(out[0].Call.Arguments, &args); err != nil || args.Place == nil || len([]rune(*args.Place)) > 12 || args.Days == nil || args.Unit != "celsius" && args.Unit != "kelvin" {
			t.Errorf("%v: %s", err, out[0].Call.Arguments)
		}
		t.Logf("%s %s", out[0].Call.Name, out[0].Call.Arguments)
	}
}

// llama.cpp knows some templates by heart, for chats without tools. (DeepSeek's it
// knows with a blank line that the template has not.)
func TestLlamaAgrees(t *testing.T) {
	lib, err := engine.Find(nodetest.EngineDirs(t)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := llama.Load(lib.Dir); err != nil {
		t.Fatal(err)
	}
	prompts, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/hybridgroup/yzma").Output()
	if err != nil {
		t.Fatal(err)
	}
	messages := []chat.Message{{Role: "system", Content: "Be brief."}, {Role: "user", Content: "Hello & <hi>"}, {Role: "assistant", Content: "Hi!"}, {Role: "user", Content: "And now?"}}
	var theirs []llama.ChatMessage
	for _, m := range messages {
		theirs = append(theirs, llama.NewChatMessage(m.Role, m.Content))
	}
	for name, file := range map[string]string{
		"gemma": filepath.Join(strings.TrimSpace(string(prompts)), "pkg/template/prompts/gemma3.jinja"),
		"phi4":  "testdata/templates/phi4.jinja", "chatml": "testdata/templates/smollm2.jinja", "granite": "testdata/templates/granite3.3.jinja",
	} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tm, err := chat.Compile(string(source), "", "")
		if err != nil {
			t.Fatal(err)
		}
		got, err := tm.Render(messages, nil, chat.Options{AddGenerationPrompt: true})
		buf := make([]byte, 4096)
		n := llama.ChatApplyTemplate(name, theirs, true, buf)
		if n < 0 {
			t.Fatalf("%s: llama.cpp does not know it", name)
		}
		if want := string(buf[:n]); err != nil || got != want {
			t.Errorf("%s: %v\n%q\nllama.cpp:\n%q", name, err, got, want)
		}
	}
}
