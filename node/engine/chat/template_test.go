package chat

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ardanlabs/jinja"
)

// show is a template that writes expression before what a template must show.
func show(t *testing.T, source string) (string, error) {
	t.Helper()
	tm, err := Compile("{{ messages[-1].content }}|{% set d = {'b': 1, 'a': 'x'} %}"+source, "<s>", "</s>")
	if err != nil {
		return "", err
	}
	out, err := tm.Render([]Message{{Role: "user", Content: "q"}}, nil, Options{Now: time.Date(2026, 3, 5, 14, 7, 9, 0, time.UTC), Extra: map[string]any{"l": []any{"p", "q", "r"}}})
	return strings.TrimPrefix(out, "q|"), err
}

func TestLanguage(t *testing.T) {
	for source, want := range map[string]string{
		`{{ strftime_now("%d %b %Y, %H:%M:%S %-d %j %%") }}`: "05 Mar 2026, 14:07:09 5 064 %",
		`{{ d | tojson }} {{ d | tojson(indent=1) }}`:        "{\"b\": 1, \"a\": \"x\"} {\n \"b\": 1,\n \"a\": \"x\"\n}",
		`{{ "<é\n\x41\u2581>" | tojson }}`:                   `"<é\nA▁>"`,
		`{% set n = namespace(i=0) %}{% for x in l %}{% set n.i = n.i + loop.index0 %}{{ loop.first }}{{ loop.last }} {% endfor %}{{ n.i }}`: "TrueFalse FalseFalse FalseTrue 3",
		`{{ l[1:] | join(",") }} {{ l[::-1][0] }} {{ l[-1] }} {{ l | length }}`:                                                              "q,r r r 3",
		`{{ x is defined }} {{ d is mapping }} {{ none is none }} {{ "a" is string }}`:                                                       "False True True True",
		`{{ "  a-b ".strip().split("-")[1] }}{{ "abc".startswith("ab") }}{{ "abc".upper() }}`:                                                "bTrueABC",
		`{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{{ d.get("z", "no") }}{{ d["a"] }}{{ "a" in d }}`:                            "b=1;a=x;noxTrue",
		`{{ none }} {{ 1.0 }} {{ none | string }} {{ 3 | string ~ "x" }} {{ true }}`:                                                         "None 1.0 None 3x True",
		"{{ 'a' }} {%- if true %}\n  {% set x = 1 %}\nb{% endif %}\n c":                                                                      "ab c", // blanks by trim_blocks, lstrip_blocks
		"a {{ 'b' }}{%- if true %} c{% endif %}":                                                                                             "a b c",
		"{% raw %}{{ x }}{% endraw %}{# no #}.":                                                                                              "{{ x }}.",
		`{% macro m(a, b="2") %}<{{ a }}{{ b }}>{% endmacro %}{{ m("1") }}{{ m("1", b="3") }}`:                                               "<12><13>",
		`{% for i in range(2, 8, 3) %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}`:                                              "2",
		`{{ bos_token ~ eos_token }}`: "<s></s>",
	} {
		if got, err := show(t, source); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", source, got, err, want)
		}
	}
}

// No template hangs, and what goes wrong is said.
func TestBoundsOfTemplates(t *testing.T) {
	loop := "{% for i in range(1000) %}"
	for source, want := range map[string]string{
		`{{ raise_exception("only one system message") }}`:                                                    "only one system message",
		`{% for i in range(10**9) %}x{% endfor %}`:                                                            "cannot be used",
		`{% for i in range(1000000000) %}x{% endfor %}`:                                                       "more than 262144 steps",
		`{{ range(9999999999999999) }}`:                                                                       "wants smaller numbers",
		strings.Repeat(loop, 8) + strings.Repeat("{% endfor %}", 8):                                           "more than 262144 steps",
		`{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}`:                                                     "more than 64 deep",
		`{% set x = "` + strings.Repeat("x", 9000) + `" %}` + loop + loop + `{{ x }}{% endfor %}{% endfor %}`: "writes more than",
		"{{ " + strings.Repeat("(", 100) + "1" + strings.Repeat(")", 100) + " }}":                             "brackets lie more than 64",
		"{{ " + strings.Repeat("-", maxTag+1) + "1 }}":                                                        "more than 32768 bytes",
		strings.Repeat("x", maxSource):                                                                        "are possible",
		`{{ omx_out(1) }}`:                                                                                    "are ours", `{% if %}`: "cannot be used", `{{ x`: "not closed", `{% raw %}`: "without endraw",
		`{% set l = [] %}{% set _ = l.append(l) %}{{ l | tojson }}`: "in a circle",
	} {
		if got, err := show(t, source); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %.60q, %v; want %q", source, got, err, want)
		}
	}
	if _, err := Compile("no messages", "", ""); err == nil || !strings.Contains(err.Error(), "does not show what the user says") {
		t.Errorf("a template without messages: %v", err)
	}
}

func TestRefusedConversations(t *testing.T) {
	tm, err := Compile(sources(t)["qwen3-coder"], "", "")
	if err != nil {
		t.Fatal(err)
	}
	user := Message{Role: "user", Content: "hi"}
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	for want, c := range map[string]struct {
		m []Message
		t []Tool
	}{
		"it is empty":               {},
		"tools[0]: tool is no func": {[]Message{user}, []Tool{{json.RawMessage(`{"type":"x"}`)}}},
		"tools[0]: tool is no JSON": {[]Message{user}, []Tool{{json.RawMessage(`[`)}}},
		"are possible; leave some":  {[]Message{user}, make([]Tool, maxTools+1)},
		"call 0 are no JSON object": {[]Message{user, {Role: "assistant", Calls: []Call{{Name: "x", Arguments: json.RawMessage(`[]`)}}}}, nil},
		"values lie more than 128":  {[]Message{user, {Role: "assistant", Calls: []Call{{Name: "x", Arguments: json.RawMessage(`{"a":` + deep + `}`)}}}}, nil},
	} {
		if _, err := tm.Render(c.m, c.t, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// What is found out about real templates.
func TestProbe(t *testing.T) {
	all := sources(t)
	full := abilities{system: true, same: true, tools: true, calls: true, parallel: true, answers: true}
	with := func(a abilities, edit func(*abilities)) abilities { edit(&a); return a }
	for name, want := range map[string]abilities{
		"qwen2.5-instruct":           full,
		"Qwen3-8B-Q8_0":              with(full, func(a *abilities) { a.thoughts = "reasoning_content" }),
		"gpt-oss-20b-Q8_0":           with(full, func(a *abilities) { a.thoughts, a.parallel = "thinking", false }),
		"Llama-3.2-1B-Instruct-GGUF": with(full, func(a *abilities) { a.parallel = false }),
		"short-ids":                  with(full, func(a *abilities) { a.shortIDs = true }),
		"deepseek-r1":                with(full, func(a *abilities) { a.tools, a.textArgs = false, true }),
		"granite3.3":                 {system: true, same: true, tools: true},
		"phi4":                       {system: true, same: true},
		"mistral-7b":                 {},
	} {
		tm, err := Compile(all[name], "", "")
		if err != nil || tm.can != want {
			t.Errorf("%s: %v %+v, want %+v", name, err, tm.can, want)
		}
	}
}

// What a template lacks is said in other words.
func TestAdapt(t *testing.T) {
	texts := func(a abilities, messages []Message, tools []Tool) string {
		ms, ts, err := a.adapt(messages, tools)
		if err != nil {
			t.Fatal(err)
		}
		v, err := toJSON([]jinja.Value{jinja.NewList(append(ms, ts...))}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return v.AsString()
	}
	two := []Message{{Role: "system", Content: "S"}, {Role: "user", Content: "U"}, {Role: "user", Content: "V"}}
	for _, c := range []struct {
		about    string
		can      abilities
		messages []Message
		want     string
	}{
		{"all", abilities{system: true, same: true}, two, `[{"role": "system", "content": "S"}, {"role": "user", "content": "U"}, {"role": "user", "content": "V"}]`},
		{"no system", abilities{same: true}, two, `[{"role": "user", "content": "S\n\nU"}, {"role": "user", "content": "V"}]`},
		{"turns alternate", abilities{system: true}, two, `[{"role": "system", "content": "S"}, {"role": "user", "content": "U\n\nV"}]`},
		{"neither", abilities{}, two, `[{"role": "user", "content": "S\n\nU\n\nV"}]`},
		{"system only", abilities{}, two[:1], `[{"role": "user", "content": "S\n\n"}]`},
		{"developer", abilities{system: true}, []Message{{Role: "developer", Content: "D"}}, `[{"role": "system", "content": "D"}]`},
		{"parts", abilities{parts: true}, two[1:2], `[{"role": "user", "content": [{"type": "text", "text": "U"}]}]`},
		{"one at a time", abilities{calls: true, answers: true, same: true}, []Message{{Role: "assistant", Content: "C", Calls: []Call{{ID: "1", Name: "a"}, {ID: "2", Name: "b"}}}, {Role: "tool", CallID: "2", Content: "two"}, {Role: "tool", CallID: "1", Content: "one"}, {Role: "tool", CallID: "3", Content: "three"}},
			`[{"role": "assistant", "content": "C", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "a", "arguments": {}}}]}, {"role": "tool", "content": "one", "tool_call_id": "1"}, ` +
				`{"role": "assistant", "content": "", "tool_calls": [{"id": "2", "type": "function", "function": {"name": "b", "arguments": {}}}]}, {"role": "tool", "content": "two", "tool_call_id": "2"}, {"role": "tool", "content": "three", "tool_call_id": "3"}]`},
		{"in words", abilities{same: true}, []Message{{Role: "assistant", Content: "C", Calls: []Call{{Name: "a\""}}}, {Role: "tool", Content: "one"}},
			`[{"role": "assistant", "content": "C\n<tool_call>\n{\"name\": \"a\\\"\", \"arguments\": {}}\n</tool_call>"}, {"role": "user", "content": "<tool_response>\none\n</tool_response>"}]`},
		{"no content", abilities{calls: true, parallel: true, nullContent: true, textArgs: true}, []Message{{Role: "assistant", Thinking: "T", Calls: []Call{{ID: "1", Name: "a", Arguments: json.RawMessage(`{"x":1.50}`)}}}},
			`[{"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "a", "arguments": "{\"x\":1.50}"}}]}]`},
	} {
		if got := texts(c.can, c.messages, nil); got != c.want {
			t.Errorf("%s: %s\nwant %s", c.about, got, c.want)
		}
	}
	if got := texts(abilities{system: true}, two, []Tool{weather}); !strings.Contains(got, `<tools>\n{\"type\": \"function\"`) || !strings.Contains(got, `</tool_call>\n\nS"}`) {
		t.Errorf("tools in words: %s", got)
	}
	if two[0].Content != "S" || two[1].Content != "U" {
		t.Error("the messages given were changed")
	}
}

// What was said in words can be read again.
func TestWordsCanBeRead(t *testing.T) {
	a := abilities{}
	ms := a.inWords([]Message{{Role: "assistant", Calls: []Call{{Name: "weather", Arguments: json.RawMessage(`{"place":"Bonn"}`)}}}})
	if got, _ := read(ms[0].Content, ParserOptions{Tools: []Tool{weather}}, nil); got != `[weather {"place":"Bonn"}]` {
		t.Error(got)
	}
}

func FuzzCompile(f *testing.F) {
	for _, source := range sources(f) {
		f.Add(source)
	}
	f.Add(`{% for m in messages %}{{ m.content }}{%- endfor -%}{# c #}{% raw %}{{ "\x" }}{% endraw %}`)
	f.Fuzz(func(t *testing.T, source string) {
		tm, err := Compile(source, "<s>", "</s>")
		if err != nil {
			return
		}
		for _, messages := range conversations {
			if out, err := tm.Render(messages, []Tool{weather}, Options{AddGenerationPrompt: true}); err == nil && len(out) > maxOutput {
				t.Fatal("longer than possible")
			}
		}
	})
}
