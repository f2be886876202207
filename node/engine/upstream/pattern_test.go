package upstream

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"omx/node/engine"
)

func TestOllamaPatterns(t *testing.T) {
	const any = `[\x20-\x21\x23-\x5b\x5d-\U0010FFFF]*`
	for pattern, want := range map[string]string{
		"^abc$":               "^abc$",
		`^\d{2,}-\d$`:         `^([0-9]){2,}-[0-9]$`,
		`^(?:ab)+c$`:          `^(ab)+c$`,
		`^(a|bc)?$`:           `^(((a|bc)))?$`,
		`^[A-Z]{2}\/[\w.-]+$`: `^([A-Z]){2,2}/([\x2d-\x2e0-9A-Z\x5fa-z])+$`,
		`^\.\*$`:              `^\.\*$`,
		`^a"b\\$`:             `^a\\"b\\\\$`,
		`^[^"x]$`:             `^[\x20-\x21\x23-\x5b\x5d-wy-\U0010FFFF]$`,
		`^é$`:                 "^é$",
		"^a|b$":               "^a" + any + "|" + any + "b$",
		"a":                   "^" + any + "a" + any + "$",
		"":                    "^" + any + any + "$",
		"^$":                  "^$",
		`^\S$`:                `^[\x21\x23-\x5b\x5d-\U0010FFFF]$`,
		`^(?=a)ab$`:           "",
		`^()*$`:               "",
		`^(a?)*$`:             "",
		`^(a*){2,3}$`:         "",
		`^a{0}$`:              "",
		`^["]$`:               `^\\"$`, // to the parser, a set of one is that one
		`^["\\]$`:             "",
		`^a\b$`:               "",
		`^a(b$|c)$`:           "",
		`^\u{41}$`:            "",
		`^\t$`:                "",
		`^\p{L}$`:             "",
		`^(?i)a$`:             "",
		`^(a`:                 "",
	} {
		got, err := ollamaPattern(pattern)
		if got != want && err == nil || (err != nil) != (want == "") {
			t.Errorf("%s: %s, %v, want %s", pattern, got, err, want)
		}
	}
}

// Patterns go out without what servers end at.
func TestPatterns(t *testing.T) {
	for _, c := range []struct{ schema, want string }{
		{`{"pattern":"^(?:a|b)+$","type":"string"}`, `{"pattern":"^(a|b)+$","type":"string"}`},
		{`{"pattern" : "^(?:(?:a)\\\\(?:b))[(?:]\\(?:$"}`, `{"pattern":"^((a)\\\\(b))[(?:]\\(?:$"}`},
		{`{"description":"\"pattern\":\"(?!x)\"","pattern":"^a$"}`, `{"description":"\"pattern\":\"(?!x)\"","pattern":"^a$"}`},
		{`{"properties":{"pattern":{"enum":["(?=x)"]}}}`, `{"properties":{"pattern":{"enum":["(?=x)"]}}}`},
		{`{"items":{"pattern":"^(?=a)a$"}}`, ""},
		{`{"items":{"pattern":"^((?:x)(?!\\.)a)$"}}`, ""},
		{`"json"`, `"json"`},
		{``, ``},
	} {
		got, err := rewritten(json.RawMessage(c.schema), plainGroups)
		if refused := c.want == "" && c.schema != ""; refused != errors.Is(err, engine.ErrCannot) || !refused && string(got) != c.want {
			t.Errorf("%s: %s, %v, want %s", c.schema, got, err, c.want)
		}
	}
	for _, kind := range []Kind{OpenAI, Ollama} {
		_, body := sent(t, kind, &engine.Prompt{Model: id(t, "m"), Raw: "x", Schema: json.RawMessage(`{"type":"string","pattern":"^(?:ab|c)$"}`)})
		if strings.Contains(body, "(?") || !strings.Contains(body, `"^(ab|c)$"`) {
			t.Errorf("%s is sent %s", kind, body)
		}
		u := start(t, Config{URL: serve(t, faulty(kind, func(http.ResponseWriter, *http.Request) { t.Errorf("%s is asked", kind) })).URL})
		if _, _, err := answerOf(u, &engine.Prompt{Model: id(t, "m"), Raw: "x", Schema: json.RawMessage(`{"type":"string","pattern":"^(?!a)b$"}`)}); !errors.Is(err, engine.ErrCannot) || !strings.Contains(err.Error(), "(?!a)b") {
			t.Errorf("%s: %v, want ErrCannot", kind, err)
		}
	}
}
