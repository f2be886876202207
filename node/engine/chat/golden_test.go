package chat

import (
	"bufio"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ardanlabs/jinja"
)

var update = flag.Bool("update", false, "write testdata/golden by Jinja2; see testdata/README.md")

// sources are real templates by their names.
func sources(t testing.TB) map[string]string {
	t.Helper()
	out := map[string]string{}
	add := func(pattern string) {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no templates are at %s (%v)", pattern, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			out[strings.TrimSuffix(filepath.Base(f), ".jinja")] = string(b)
		}
	}
	add("testdata/templates/*.jinja")
	for module, dir := range map[string]string{"github.com/ardanlabs/jinja": "testdata/templates", "github.com/hybridgroup/yzma": "pkg/template/prompts"} {
		at, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
		if err != nil {
			t.Fatal(err)
		}
		add(filepath.Join(strings.TrimSpace(string(at)), dir, "*.jinja"))
	}
	return out
}

var (
	bonn = Call{ID: "call_abcdefghijklmnopqrstuvwx", Name: "weather", Arguments: json.RawMessage(`{"place":"Bö <b>","days":2,"f":1.50,"g":1e30,"n":null,"l":[true,{}]}`)}
	rome = Call{ID: "call_2bcdefghijklmnopqrstuvwx", Name: "weather", Arguments: json.RawMessage(`{"place":"Rome"}`)}

	conversations = map[string][]Message{
		"plain": {{Role: "user", Content: "  Hello & <hi>\n"}},
		"turns": {{Role: "system", Content: "Be brief."}, {Role: "user", Content: "Hello"}, {Role: "assistant", Content: "Hi!", Thinking: "a greeting"}, {Role: "user", Content: "And now?"}},
		"call": {{Role: "system", Content: "Be brief."}, {Role: "user", Content: "Weather?"}, {Role: "assistant", Thinking: "must look", Calls: []Call{bonn}},
			{Role: "tool", CallID: bonn.ID, Name: "weather", Content: `{"t": 3}`}},
		"calls": {{Role: "user", Content: "Weather?"}, {Role: "assistant", Content: "Look:", Calls: []Call{bonn, rome}}, {Role: "tool", CallID: bonn.ID, Name: "weather", Content: `{"t": 3}`},
			{Role: "tool", CallID: rome.ID, Name: "weather", Content: `{"t": 4}`}, {Role: "assistant", Content: "3"}, {Role: "user", Content: "thanks"}},
	}
)

// python is one run of the reference.
type python struct {
	in  *json.Encoder
	out *bufio.Reader
}

func newPython(t testing.TB) *python {
	t.Helper()
	if exec.Command("python3", "-c", "import jinja2").Run() != nil {
		t.Skip("python3 with jinja2 is not here")
	}
	cmd := exec.Command("python3", "testdata/reference.py")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	return &python{json.NewEncoder(in), bufio.NewReader(out)}
}

// ordered is a value whose JSON keeps the order of names.
type ordered []jinja.Value

func (o ordered) MarshalJSON() ([]byte, error) {
	v, err := toJSON([]jinja.Value{jinja.NewList(o)}, nil)
	return []byte(v.AsString()), err
}

func (p *python) render(t testing.TB, source string, messages, tools []jinja.Value, o Options) (out, fault string) {
	t.Helper()
	vars := map[string]any{"messages": ordered(messages), "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": o.AddGenerationPrompt}
	if len(tools) > 0 {
		vars["tools"] = ordered(tools)
	}
	if o.Thinking != nil {
		vars["enable_thinking"], vars["thinking"] = *o.Thinking, *o.Thinking
	}
	if err := p.in.Encode(map[string]any{"source": source, "vars": vars}); err != nil {
		t.Fatal(err)
	}
	line, err := p.out.ReadBytes('\n')
	var r struct{ Out, Err string }
	if err != nil || json.Unmarshal(line, &r) != nil {
		t.Fatalf("reference: %v %s", err, line)
	}
	return r.Out, r.Err
}

// Ours and Python's Jinja agree, byte by byte, for all templates at hand.
func TestReference(t *testing.T) {
	py := newPython(t)
	yes, no := true, false
	at := time.Date(2026, 3, 5, 14, 7, 9, 0, time.UTC)
	n := 0
	for name, source := range sources(t) {
		tm, err := Compile(source, "<s>", "</s>")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for about, messages := range conversations {
			for _, o := range []Options{{AddGenerationPrompt: true, Now: at}, {AddGenerationPrompt: true, Thinking: &yes, Now: at}, {Thinking: &no, Now: at}} {
				for _, tools := range [][]Tool{nil, {weather}} {
					ms, ts, err := tm.can.adapt(messages, tools)
					if err != nil {
						t.Fatal(err)
					}
					got, err := tm.raw(ms, ts, o)
					want, fault := py.render(t, source, ms, ts, o)
					if n++; got != want || (err != nil) != (fault != "") {
						t.Errorf("%s, %s, %d tools: %v, Python says %q\n%s\nwant\n%s", name, about, len(tools), err, fault, got, want)
					}
				}
			}
		}
	}
	t.Logf("%d renderings agree", n)
}

// The golden files were written by Python's Jinja.
func TestGolden(t *testing.T) {
	o := Options{AddGenerationPrompt: true, Now: time.Date(2026, 3, 5, 14, 7, 9, 0, time.UTC)}
	all := sources(t)
	var py *python
	if *update {
		py = newPython(t)
	}
	for _, name := range []string{"qwen2.5-instruct", "Qwen3-8B-Q8_0", "qwen3-coder", "Llama-3.2-1B-Instruct-GGUF", "Ministral-3-14B-Instruct-2512-Q4_0",
		"short-ids", "mistral-7b", "gemma3", "chatml", "phi4", "granite3.3", "deepseek-r1", "deepseek-v3.1", "gpt-oss-20b-Q8_0", "GLM-5.2"} {
		tm, err := Compile(all[name], "<s>", "</s>")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for about, tools := range map[string][]Tool{"turns": nil, "calls": {weather}} {
			file := filepath.Join("testdata", "golden", name+"."+about+".txt")
			if *update {
				ms, ts, err := tm.can.adapt(conversations[about], tools)
				if err != nil {
					t.Fatal(err)
				}
				out, fault := py.render(t, all[name], ms, ts, o)
				if fault != "" {
					t.Fatalf("%s: %s", file, fault)
				}
				if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tm.Render(conversations[about], tools, o)
			if err != nil || got != string(want) {
				t.Errorf("%s: %v\n%s\nwant\n%s", file, err, got, want)
			}
		}
	}
}
