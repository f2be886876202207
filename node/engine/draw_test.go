package engine

import (
	"encoding/json"
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"omx/node/engine/grammar"
)

// Whatever the model would say, its answer meets the grammar.
func TestAnswersMeetTheGrammar(t *testing.T) {
	l := newLocal(t, nil)
	schema := `{"type":"object","required":["word","kind","sure"],"properties":{
		"word":{"type":"string","minLength":1,"maxLength":12},"kind":{"enum":["noun","verb"]},
		"sure":{"type":"boolean"},"more":{"type":"array","items":{"type":"integer"},"maxItems":2}},"additionalProperties":false}`
	g, err := grammar.FromSchema([]byte(schema))
	if err != nil {
		t.Fatal(err)
	}
	for _, temperature := range []float32{0, 1.5} {
		p := ask(l, "What is a river?")
		p.Grammar, p.Temperature, p.Seed, p.MaxTokens = g, temperature, 7, 200
		text, u, err := answer(l, p)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Word *string
			Kind string
			Sure *bool
			More []int
		}
		if err := json.Unmarshal([]byte(text), &got); err != nil || got.Word == nil || len(*got.Word) == 0 || got.Kind != "noun" && got.Kind != "verb" || got.Sure == nil || len(got.More) > 2 {
			t.Errorf("temperature %v: %v: %s (%+v)", temperature, err, text, u)
		}
	}
	p := ask(l, "Who are you?")
	p.Grammar, p.MaxTokens = grammar.JSON(), 400
	if text, u, err := answer(l, p); err != nil || !strings.HasPrefix(text, "{") || u.Finish == FinishStop && !json.Valid([]byte(text)) {
		t.Errorf("%q, %+v, %v", text, u, err)
	}
}

// So do numbers within limits, and strings of a pattern or a format.
func TestAnswersKeepLimits(t *testing.T) {
	l := newLocal(t, nil)
	g, err := grammar.FromSchema([]byte(`{"type":"object","required":["age","share","code","day","price","seats","weight"],"additionalProperties":false,"properties":{
		"age":{"type":"integer","minimum":18,"maximum":120},"share":{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1},
		"code":{"type":"string","pattern":"^[A-Z]{2}-\\d{3} \"[^a]\"$"},"day":{"type":"string","format":"date"},
		"price":{"type":"number","minimum":-5.25,"maximum":1000,"multipleOf":0.01},
		"seats":{"type":"integer","multipleOf":12,"minimum":-600},"weight":{"type":"number","minimum":0,"maximum":99,"multipleOf":0.25}}}`))
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile(`^[A-Z]{2}-\d{3} "[^a]"$`)
	for seed := range uint32(6) {
		p := ask(l, "What is a river?")
		p.Grammar, p.Temperature, p.Seed, p.MaxTokens = g, float32(seed)/2, seed+1, 400
		text, u, err := answer(l, p)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Age          int
			Share, Price json.Number
			Code, Day    string
			Seats        int64
			Weight       float64
		}
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("seed %d: %v: %s (%+v)", seed, err, text, u)
		}
		share, _ := got.Share.Float64()
		price, _ := got.Price.Float64()
		_, cents, _ := strings.Cut(got.Price.String(), ".")
		_, noDay := time.Parse(time.DateOnly, got.Day)
		if got.Age < 18 || got.Age > 120 || share <= 0 || share >= 1 || price < -5.25 || price > 1000 || len(cents) > 2 || !code.MatchString(got.Code) || noDay != nil ||
			got.Seats < -600 || got.Seats%12 != 0 || got.Weight < 0 || got.Weight > 99 || got.Weight*4 != math.Trunc(got.Weight*4) {
			t.Errorf("seed %d: %s", seed, text)
		}
	}
}

// llama.cpp reads the grammars as they are meant: it goes on with what a schema
// allows, and with nothing else.
func TestGrammarsAreReadAlike(t *testing.T) {
	l := newLocal(t, nil)
	for schema, c := range map[string]struct{ allowed, refused []string }{
		`{"type":"integer","minimum":-120,"maximum":9223372036854775807}`: {[]string{"-120", "-7", "0", "9223372036854775807"}, []string{"-121", "-0", "00", "9223372036854775808"}},
		`{"type":"number","minimum":-2.5,"exclusiveMaximum":1000}`:        {[]string{"-2.5", "-2.50", "999.99", "0.125"}, []string{"-2.51", "1000", "999.9e", "01"}},
		`{"type":"integer","multipleOf":97}`:                              {[]string{"-97", "0", "1067", "9223372036854775729"}, []string{"-0", "00", "9223372036854775730"}},
		`{"type":"integer","multipleOf":15,"minimum":-90,"maximum":300}`:  {[]string{"-90", "-15", "0", "15", "300"}, []string{"-91", "-0", "155", "301", "7 "}},
		`{"type":"number","multipleOf":0.25,"minimum":-2}`:                {[]string{"-2", "-1.75", "0.5", "17.25", "3.0"}, []string{"-2.1", "-1.76", "0.3", "0.125", "-3"}},
		`{"type":"string","pattern":"^[^a]\\s(?:x{2,}|\"+)$"}`:            {[]string{`"é\txx"`, `"\u0001 \"\""`, `"😀\u000bxx"`, `"\\ xxx"`}, []string{`"a`, `"é x"`, `"é\u000c`, `"\u0041`}},
		`{"type":"string","pattern":"b\\d"}`:                              {[]string{`"xb1y"`, `"b\nbb2"`, `"😀b\u0000b3"`}, []string{`"b"`, `"b\n1"`, `"😀"`}},
		`{"type":"string","pattern":"^.{1,1000}$","minLength":3}`:         {[]string{`"éab"`, `"` + strings.Repeat("a ", 500) + `"`}, []string{`"ab"`, `"` + strings.Repeat("a ", 501)}},
		`{"type":"string","format":"email","maxLength":20}`:               {[]string{`"a.b@c-d.ef"`}, []string{`"a.@`, `"@`, `"abcdefghijklmnop@c.de1`}},
		`{"type":"string","format":"date-time"}`:                          {[]string{`"2024-02-29T10:00:00.5+01:00"`}, []string{`"2023-02-29`, `"2024-02-29 `}},
		`{"type":"string","format":"ipv6"}`:                               {[]string{`"fe80::1"`, `"::"`, `"1:2:3:4:5:6:7:8"`}, []string{`"1::2::`, `"1:2:3:4:5:6:7:8:`}},
		`{"type":"string","format":"ipv4"}`:                               {[]string{`"192.168.0.255"`}, []string{`"192.168.0.256`}},
		`{"type":"string","format":"uuid"}`:                               {[]string{`"f81d4fae-7dec-11d0-a765-00a0c91e6bf6"`}, []string{`"f81d4fag`}},
		`{"type":"string","format":"duration"}`:                           {[]string{`"P1Y2M3DT4H"`}, []string{`"P"`, `"PT"`}},
		`{"type":"string","format":"hostname"}`:                           {[]string{`"a-b.c"`}, []string{`"a-.`}},
		`{"type":"string","format":"time"}`:                               {[]string{`"23:59:59Z"`}, []string{`"24`}},
		`{"type":"string","minLength":2,"maxLength":2}`:                   {[]string{`"\ud83d\ude00a"`, `"ab"`}, []string{`"\ud83d\u0041`, `"\ude00`, `"abc`}},
	} {
		g, err := grammar.FromSchema([]byte(schema))
		if err != nil {
			t.Fatal(err)
		}
		begin := func(text string) (string, error) {
			p := ask(l, "Hello")
			p.Grammar, p.Begun, p.MaxTokens = g, &Begun{Text: text, Tokens: 1}, 1
			more, _, err := answer(l, p)
			return more, err
		}
		for _, s := range c.allowed {
			if _, err := begin(s); err != nil {
				t.Errorf("%s: %s: %v", schema, s, err)
			}
		}
		for _, s := range c.refused {
			if more, err := begin(s); !errors.Is(err, ErrCannot) || more != "" {
				t.Errorf("%s: %s is gone on with: %q, %v", schema, s, more, err)
			}
		}
	}
}

// A grammar that is none is the prompt's fault, and the worker lives.
func TestBadGrammars(t *testing.T) {
	l := newLocal(t, nil)
	for _, g := range []string{"root", "root ::= missing", "other ::= \"a\"", "root ::= root \"a\"", "root ::= \"a", "\x00", strings.Repeat("root ::= \"a\"\n", 3) + "(((((("} {
		p := ask(l, "Hello")
		p.Grammar, p.MaxTokens = g, 4
		if text, _, err := answer(l, p); err != nil && !errors.Is(err, ErrBadPrompt) {
			t.Errorf("%.40q: %q, %v", g, text, err)
		}
	}
	if text, _, err := answer(l, ask(l, exact[0].question)); err != nil || text != exact[0].answer {
		t.Errorf("%q, %v", text, err)
	}
}

// No number ends the worker. Those that are none cannot be sent to it.
func TestWildNumbers(t *testing.T) {
	l := newLocal(t, nil)
	for _, v := range []float32{-1e30, -1, 0, 1e-30, 1e30} {
		p := ask(l, "Hello")
		p.Temperature, p.TopP, p.MinP, p.PresencePenalty, p.FrequencyPenalty, p.RepeatPenalty = v, v, v, v, v, v
		p.TopK, p.RepeatLast, p.MaxTokens = math.MaxInt, math.MinInt, 4
		if _, _, err := answer(l, p); err != nil {
			t.Errorf("%v: %v", v, err)
		}
	}
	if text, _, err := answer(l, ask(l, exact[0].question)); err != nil || text != exact[0].answer {
		t.Errorf("%q, %v", text, err)
	}
}

// Text goes on as it is, and is counted.
func TestRawPrompt(t *testing.T) {
	l := newLocal(t, nil)
	p := &Prompt{Model: ask(l, "x").Model, Raw: "A river is", MaxTokens: 8}
	text, u, err := answer(l, p)
	if err != nil || text == "" || u.PromptTokens == 0 || u.PromptTokens > 10 {
		t.Errorf("%q, %+v, %v", text, u, err)
	}
	p.Messages = ask(l, "x").Messages
	if _, _, err := answer(l, p); !errors.Is(err, ErrBadPrompt) {
		t.Errorf("messages and text: %v", err)
	}
}

// A second prompt that begins the same is not read again; one of another scope
// learns nothing of it.
func TestPrefixIsKept(t *testing.T) {
	l := newLocal(t, nil)
	long := strings.Repeat("A river is a large stream of water that flows to the sea. ", 40)
	request := func(end string, scope uint64) Usage {
		p := ask(l, long+end)
		p.Scope, p.MaxTokens = scope, 2
		_, u, err := answer(l, p)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	if u := request("What is a lake?", 1); u.CachedTokens > 8 || u.PromptTokens < 500 || u.Prefill <= 0 || u.Prefill > u.TTFT {
		t.Errorf("the first: %+v", u)
	}
	if u := request("What is a sea?", 1); float64(u.CachedTokens) < 0.95*float64(u.PromptTokens-20) {
		t.Errorf("the second: %+v", u)
	}
	if u := request("What is a sea?", 2); u.CachedTokens != 0 {
		t.Errorf("of another scope: %+v", u)
	}
}
