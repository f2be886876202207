package chat

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

var weather = Tool{json.RawMessage(`{"type":"function","function":{"name":"weather","description":"Weather <of> a \"place\", é","parameters":` +
	`{"type":"object","properties":{"place":{"type":"string","description":"Where"},"days":{"type":"integer"},"deep":{"type":"boolean"},"list":{"type":"array","items":{"type":"string"}}},"required":["place"]}}}`)}

func ids() func() string {
	n := 0
	return func() string { n++; return fmt.Sprintf("%024d", n) }
}

// read cuts text at random, or not at all, and writes what comes in one form:
// thoughts as (…), calls as [name arguments].
func read(text string, o ParserOptions, r *rand.Rand) (string, []Call) {
	o.ID = ids()
	p := NewParser(o)
	var all []Piece
	for text != "" {
		n := len(text)
		if r != nil {
			n = min(n, 1+r.IntN(9))
		}
		all = append(all, p.Add(text[:n])...)
		text = text[n:]
	}
	all = append(all, p.Flush()...)
	var b strings.Builder
	var calls []Call
	thought := false
	turn := func(to bool) {
		if thought != to {
			b.WriteByte(")("[map[bool]int{true: 1}[to]])
		}
		thought = to
	}
	for _, x := range all {
		turn(x.Thought)
		if b.WriteString(x.Text); x.Call != nil {
			fmt.Fprintf(&b, "[%s %s]", x.Call.Name, x.Call.Arguments)
			calls = append(calls, *x.Call)
		}
	}
	turn(false)
	return b.String(), calls
}

func TestParser(t *testing.T) {
	const call = `[weather {"place":"Bonn"}]`
	for _, c := range []struct{ name, text, want string }{
		{"hermes", "Let me see.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"place\":\"Bonn\"}}\n</tool_call>", "Let me see." + call},
		{"two", "<tool_call>{\"name\":\"weather\",\"arguments\":{\"place\":\"Bonn\"}}</tool_call>\n<tool_call>{\"name\":\"weather\",\"arguments\":{\"place\":\"Bonn\"}}</tool_call>\n", call + call},
		{"not closed", `<tool_call>{"name":"weather","arguments":{"place":"Bonn"}}`, call},
		{"text arguments", `<tool_call>{"name":"weather","arguments":"{\"place\":\"Bonn\"}"}</tool_call>`, call},
		{"kept types", `<tool_call>{"name":"weather","arguments":{"place":"}</tool_call>","days":1.50,"x":null}}</tool_call>`, `[weather {"place":"}</tool_call>","days":1.50,"x":null}]`},
		{"text after", `<tool_call>{"name":"weather","arguments":{"place":"Bonn"}}</tool_call> done `, call + "done "},
		{"no arguments", `<tool_call>{"name":"weather"}</tool_call>`, "[weather {}]"},
		{"python tag", `<|python_tag|>{"name": "weather", "parameters": {"place":"Bonn"}}`, call},
		{"bare", ` {"type": "function", "name": "weather", "parameters": {"place":"Bonn"}}`, call},
		{"bare, nested", `{"type":"function","function":{"name":"weather","arguments":{"place":"Bonn"}}}`, call},
		{"bare, twice", `{"name":"weather","parameters":{"place":"Bonn"}} {"name":"weather","parameters":{"place":"Bonn"}}`, call + call},
		{"mistral list", `[TOOL_CALLS] [{"name": "weather", "arguments": {"place":"Bonn"}, "id": "123456789"}]`, call},
		{"mistral", `[TOOL_CALLS]weather[ARGS]{"place":"Bonn"}[TOOL_CALLS]weather[CALL_ID]a1[ARGS]{"place":"Bonn"}`, call + call},
		{"qwen coder", "<tool_call>\n<function=weather>\n<parameter=place>\n12\n</parameter>\n<parameter=days>\n3\n</parameter>\n<parameter=deep>\nTrue\n</parameter>\n<parameter=list>\n[\"a\"]\n</parameter>\n<parameter=other>\n3\n</parameter>\n</function>\n</tool_call>",
			`[weather {"place":"12","days":3,"deep":true,"list":["a"],"other":"3"}]`},
		{"qwen coder, bare", "Now:\n<function=weather>\n<parameter=place>\nBonn\n</parameter>\n</function>\n</tool_call>", "Now:" + call},
		{"wrong type", "<function=weather><parameter=place>a<b</parameter><parameter=days>many</parameter></function>", `[weather {"place":"a<b","days":"many"}]`},
		{"function with object", `<function=weather>{"place":"Bonn"}</function>`, call},
		{"glm", "<tool_call>weather\n<arg_key>place</arg_key>\n<arg_value>Bonn</arg_value>\n<arg_key>days</arg_key><arg_value>2</arg_value>\n</tool_call>", `[weather {"place":"Bonn","days":2}]`},
		{"deepseek", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n{\"place\":\"Bonn\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>", call + "[weather {}]"},
		{"deepseek 3.1", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>{\"place\":\"Bonn\"}<｜tool▁call▁end｜>", call},
		{"granite", `<|tool_call|>[{"name": "weather", "arguments": {"place":"Bonn"}}]`, call},
		{"phi", `<|tool_call|>[{"name": "weather", "arguments": {"place":"Bonn"}}]<|/tool_call|>`, call},
		{"phi mini", `functools[{"name": "weather", "arguments": {"place":"Bonn"}}]`, call},
		{"command r", "<|START_THINKING|>I look.<|END_THINKING|><|START_ACTION|>[\n {\"tool_call_id\": \"0\", \"tool_name\": \"weather\", \"parameters\": {\"place\":\"Bonn\"}}\n]<|END_ACTION|>", "(I look.)" + call},
		{"gpt-oss", "<|channel|>analysis<|message|>Must look.<|end|><|start|>assistant<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{\"place\":\"Bonn\"}<|call|>", "(Must look.)" + call},
		{"gpt-oss, other order", "<|start|>assistant to=functions.weather<|channel|>commentary json<|message|>{\"place\":\"Bonn\"}", call},
		{"gpt-oss, answer", "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Hello.", "(Hm.)Hello."},
		{"thought", "<think>\nHm. <tool_call>\n</think>\n\nHello. <think>", "(Hm. <tool_call>)Hello. <think>"},
		{"thought and call", "<think>a</think>\n<tool_call>{\"name\":\"weather\",\"arguments\":{\"place\":\"Bonn\"}}</tool_call>", "(a)" + call},
		{"magistral", "[THINK]a[/THINK]b", "(a)b"},
		{"no end of the thought", "<think>a ", "(a )"},
		{"unknown tool", `<tool_call>{"name":"other","arguments":{}}</tool_call>`, `<tool_call>{"name":"other","arguments":{}}</tool_call>`},
		{"broken", `<tool_call>{"name":"weather",}</tool_call> {"x":1}`, `<tool_call>{"name":"weather",}</tool_call> {"x":1}`},
		{"broken, then whole", `<tool_call>x <tool_call>{"name":"weather","arguments":{"place":"Bonn"}}</tool_call>`, `<tool_call>x` + call},
		{"no object", `<tool_call>{"name":"weather","arguments":[1]}</tool_call>`, `<tool_call>{"name":"weather","arguments":[1]}</tool_call>`},
		{"one of a list unknown", `[TOOL_CALLS][{"name":"weather"},{"name":"other"}]`, `[TOOL_CALLS][{"name":"weather"},{"name":"other"}]`},
		{"other JSON", `{"name": "weather", "size": 3}`, `{"name": "weather", "size": 3}`},
		{"JSON in text", `So {"name":"weather","parameters":{}}`, `So {"name":"weather","parameters":{}}`},
		{"cut off", `a <tool_call>{"name":"weather","argum`, `a <tool_call>{"name":"weather","argum`},
		{"twice the same parameter", "<function=weather><parameter=place>a</parameter><parameter=place>b</parameter></function>", "<function=weather><parameter=place>a</parameter><parameter=place>b</parameter></function>"},
	} {
		o := ParserOptions{Tools: []Tool{weather}}
		got, calls := read(c.text, o, nil)
		if got != c.want {
			t.Errorf("%s: got  %s\nwant %s", c.name, got, c.want)
		}
		for i, x := range calls {
			if x.ID != fmt.Sprintf("call_%024d", i+1) {
				t.Errorf("%s: ID %q", c.name, x.ID)
			}
		}
		r := rand.New(rand.NewPCG(1, 2))
		for range 100 {
			if cut, _ := read(c.text, o, r); cut != got {
				t.Fatalf("%s: cut, it gives\n%s\nwhole\n%s", c.name, cut, got)
			}
		}
	}
}

func TestWithoutTools(t *testing.T) {
	const text = " <tool_call>{\"name\":\"weather\"}</tool_call> [TOOL_CALLS][] \n"
	if got, calls := read(text, ParserOptions{}, nil); got != text || calls != nil {
		t.Errorf("got %q", got)
	}
	if got, _ := read("Hm.\n</think>\n\nHi", ParserOptions{InThought: true}, nil); got != "(Hm.)Hi" {
		t.Errorf("got %q", got)
	}
	if !OpensThought("<|assistant|><think>\n") || OpensThought("<think>\n\n</think>\n\n") {
		t.Error("a thought is not seen where the prompt ends")
	}
}

// Text comes as soon as it can be no marker.
func TestHoldsBackLittle(t *testing.T) {
	p := NewParser(ParserOptions{Tools: []Tool{weather}})
	for _, c := range []struct{ in, out string }{
		{"Hello", "Hello"}, {" wor", " wor"}, {"ld ", "ld"}, {"<", ""}, {"b>", " <b>"}, {"<tool_", ""}, {"box>", "<tool_box>"}, {"[TOOL_CALL", ""}, {"]", "[TOOL_CALL]"},
	} {
		got := ""
		for _, x := range p.Add(c.in) {
			got += x.Text
		}
		if got != c.out {
			t.Errorf("after %q: %q, want %q", c.in, got, c.out)
		}
	}
	p = NewParser(ParserOptions{Tools: []Tool{weather}})
	p.Add(`{"na`)
	if got := p.Add(`p": 1`); len(got) != 1 || got[0].Text != `{"nap": 1` {
		t.Errorf("other JSON waits: %v", got)
	}
}

func TestHeldBackIsBounded(t *testing.T) {
	for _, begin := range []string{"<tool_call>{\"a\":\"", "<function=weather><parameter=place>", "<tool_call>weather<arg_key>", "[TOOL_CALLS]", "<|channel|>", " "} {
		p := NewParser(ParserOptions{Tools: []Tool{weather}})
		fill := strings.Repeat("x", 1000)
		if begin == " " {
			fill = strings.Repeat(" ", 1000)
		}
		in, out := len(begin), 0
		p.Add(begin)
		for in < 4*maxCall {
			in += len(fill)
			for _, x := range p.Add(fill) {
				out += len(x.Text)
			}
			if in-out > maxCall+maxHead+len(fill)+maxSpace {
				t.Fatalf("%s: %d bytes are held back", begin, in-out)
			}
		}
		for _, x := range p.Flush() {
			out += len(x.Text)
		}
		if in != out {
			t.Errorf("%s: %d of %d bytes came", begin, out, in)
		}
	}
}

// However an answer is cut, the same comes of it, and without thoughts and calls
// it is the answer itself.
func FuzzParser(f *testing.F) {
	for _, s := range []string{"a <tool_call>\n{\"name\": \"weather\", \"arguments\": {\"place\":\"B\"}}\n</tool_call>", `{"name":"weather","parameters":{}} x`, "[TOOL_CALLS]weather[ARGS]{}",
		"<tool_call>weather<arg_key>a</arg_key><arg_value>b</arg_value></tool_call>", "<function=weather><parameter=days>3</parameter></function>", "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b<|end|>",
		"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>", "<think>a</think> b", "functools[{}]", "<|tool_call|>[{\"name\":\"weather\"}]"} {
		f.Add(s, uint64(1), true, false)
	}
	f.Fuzz(func(t *testing.T, text string, seed uint64, tools, thought bool) {
		o := ParserOptions{InThought: thought}
		if tools {
			o.Tools = []Tool{weather}
		}
		whole, calls := read(text, o, nil)
		r := rand.New(rand.NewPCG(seed, 0))
		for range 3 {
			if cut, _ := read(text, o, r); cut != whole {
				t.Fatalf("whole %q\n  cut %q", whole, cut)
			}
		}
		marked := thought
		for _, s := range []string{"think>", "THINK", "<|"} {
			marked = marked || strings.Contains(text, s)
		}
		if len(calls) == 0 && !marked && whole != text {
			t.Errorf("%q became %q", text, whole)
		}
		for _, c := range calls {
			if _, ok := object(c.Arguments); !ok || c.Name != "weather" {
				t.Errorf("call %s %s", c.Name, c.Arguments)
			}
		}
	})
}

func BenchmarkLongCall(b *testing.B) {
	text := "<function=weather><parameter=place>" + strings.Repeat("if a { b(); }\n", 4000) + "</parameter></function>"
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		p := NewParser(ParserOptions{Tools: []Tool{weather}})
		for i := 0; i < len(text); i += 4 {
			p.Add(text[i:min(i+4, len(text))])
		}
		p.Flush()
	}
}
