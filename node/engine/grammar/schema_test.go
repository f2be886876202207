package grammar

import (
	"fmt"
	"strings"
	"testing"
)

func TestFromSchema(t *testing.T) {
	for name, c := range map[string]struct{ schema, want string }{
		"anything":     {`{}`, "root ::= value\n"},
		"a type":       {`{"type":"integer","description":"how many"}`, "root ::= integer\n"},
		"types":        {`{"type":["string","null"]}`, "r1 ::= string | null\n"},
		"constant":     {`{"const":"a\"b"}`, `root ::= "\"a\\\"b\""` + "\n"},
		"enum":         {`{"enum":["on",1, null ]}`, `r1 ::= "\"on\"" | "1" | "null"` + "\n"},
		"choice":       {`{"anyOf":[{"type":"number"},{"type":"boolean"}]}`, "r1 ::= number | boolean\n"},
		"list":         {`{"type":"array","items":{"type":"string"}}`, `r1 ::= "[" ws (string ("," ws string){0,})? ws "]"` + "\n"},
		"bounded list": {`{"type":"array","items":{"type":"string"},"minItems":2,"maxItems":3}`, `r1 ::= "[" ws string ("," ws string){1,2} ws "]"` + "\n"},
		"no items":     {`{"type":"array","maxItems":0}`, `root ::= ("[" ws "]")` + "\n"},
		"length":       {`{"type":"string","minLength":1,"maxLength":9}`, `r1 ::= "\"" char{1,9} "\""` + "\n"},
		"object":       {`{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"null"}},"required":["a","b"]}`, `r3 ::= "\"a\"" ":" ws string r2` + "\n"},
		"may be left":  {`{"properties":{"a":{"type":"string"}}}`, `r1 ::= ("\"a\"" ":" ws string )?` + "\n"},
		"nothing":      {`{"type":"object","additionalProperties":false}`, `root ::= ("{" ws "}")` + "\n"},
		"names":        {`{"type":"object","propertyNames":{"type":"string"},"additionalProperties":{"type":"number"}}`, `r1 ::= "{" ws (string ":" ws number ("," ws string ":" ws number)*)? ws "}"` + "\n"},
		"more names":   {`{"type":"object","propertyNames":{"pattern":"^k$"}}`, `r3 ::= "{" ws (r2 ":" ws value ("," ws r2 ":" ws value)*)? ws "}"` + "\n"},
		"number":       {`{"type":"number","minimum":-1,"exclusiveMaximum":2.5}`, `r1 ::= "-" (`},
		"pattern":      {`{"type":["null","string"],"pattern":"^a\"[^\\n]b+$"}`, "r1 ::= "},
		"reference":    {`{"$ref":"#/$defs/t","$defs":{"t":{"type":"boolean"}}}`, "root ::= boolean\n"},
	} {
		got, err := FromSchema([]byte(c.schema))
		if err != nil || !strings.Contains(got, c.want) || !strings.HasPrefix(got, "root ::= ") {
			t.Errorf("%s: %v, want %q in\n%s", name, err, c.want, got)
		}
	}
}

func TestRefused(t *testing.T) {
	deep := strings.Repeat(`{"type":"array","items":`, 100) + `{}` + strings.Repeat(`}`, 100)
	wide := `{"enum":[` + strings.Repeat("1,", maxChoices) + `1]}`
	for schema, want := range map[string]string{
		``: "no JSON", `{`: "no JSON", `[]`: "must be an object", `{} {}`: "something follows",
		`{"type":"text"}`: "type \"text\" is none", `{"type":7}`: "type must be a name",
		`{"pattern":"a*"}`:                                               `"pattern" has no type beside it; add "type"`,
		`{"enum":["a"],"pattern":"a*"}`:                                  `"pattern" beside "enum" is not supported`,
		`{"type":"integer","minimum":"3"}`:                               "minimum must be a number",
		`{"type":"integer","maximum":null}`:                              "maximum must be a number",
		`{"type":"integer","exclusiveMaximum":true}`:                     "exclusiveMaximum must be a number",
		`{"type":"integer","minimum":1e401}`:                             "minimum has an exponent over 400",
		`{"type":"integer","minimum":3,"exclusiveMaximum":3}`:            "no integer is between",
		`{"type":"integer","minimum":1e300}`:                             "no integer is between",
		`{"type":"number","minimum":1e300}`:                              "no number is between",
		`{"type":"number","minimum":3,"exclusiveMaximum":3}`:             "no number is between",
		`{"type":["integer","number"],"minimum":2,"maximum":1}`:          "no integer is between",
		`{"type":"integer","multipleOf":0}`:                              "multipleOf must be more than 0",
		`{"type":"number","multipleOf":-0.5}`:                            "multipleOf must be more than 0",
		`{"type":"integer","multipleOf":2e17}`:                           "multipleOf is more than 100000000000000000 units of its last place",
		`{"type":"number","multipleOf":1e-16}`:                           "more than 15 digits after the point; round it",
		`{"type":"integer","multipleOf":7919}`:                           "to tell its multiples takes more than 2048 states",
		`{"type":"integer","multipleOf":1999,"maximum":999999}`:          "to tell its multiples takes more than 2048 states",
		`{"type":"integer","multipleOf":7,"minimum":8,"maximum":13}`:     "no multiple of multipleOf is between",
		`{"type":"number","multipleOf":0.4,"minimum":0.1,"maximum":0.3}`: "no multiple of multipleOf is between",
		`{"type":"number","multipleOf":[]}`:                              "multipleOf must be a number",
		`{"minimum":3}`:                                                  `"minimum" has no type beside it`,
		`{"$ref":"https://x/y"}`:                                         "refer to #/$defs/NAME",
		`{"$ref":"#/$defs/t"}`:                                           "there is no $defs",
		`{"$ref":"#/$defs/t","$defs":{}}`:                                "is not there",
		`{"$ref":"#/$defs/t","$defs":{"t":{"$ref":"#/$defs/t"}}}`:        "in a circle",
		`{"properties":{"a":{}},"required":["b"]}`:                       "not among the properties",
		`{"properties":{"a":{}},"additionalProperties":{}}`:              "use true or false",
		`{"type":"object","propertyNames":{"type":"integer"}}`:           "propertyNames must be of type string",
		`{"type":"object","propertyNames":{"enum":[1]}}`:                 `propertyNames: "enum" is not supported`,
		`{"type":"object","propertyNames":true}`:                         "propertyNames must be a schema",
		`{"type":"object","propertyNames":{"pattern":"*"}}`:              "propertyNames: pattern: nothing stands before *",
		`{"type":"object","additionalProperties":{"type":"x"}}`:          "additionalProperties: type",
		`{"properties":{"a":{"type":"x"}}}`:                              "a: type",
		`{"type":"array","minItems":3,"maxItems":2}`:                     "minItems is more than maxItems",
		`{"type":"array","maxItems":1e9}`:                                "whole number up to 1024",
		`{"type":"array","maxItems":4294967296}`:                         "whole number up to 1024",
		`{"type":"string","minLength":-1}`:                               "whole number",
		`{"enum":[]}`:                                                    "a list of 1 to",
		`{"anyOf":[false]}`:                                              "allows nothing",
		deep:                                                             "more than 32 deep", wide: "a list of 1 to 256",
		strings.Repeat(" ", maxSchema+1): "are possible",
	} {
		if got, err := FromSchema([]byte(schema)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, want %q\n%.300s", schema, err, want, got)
		}
	}
	long := `{"type":"integer","minimum":1` + strings.Repeat("0", maxFigure) + `}`
	if _, err := FromSchema([]byte(long)); err == nil || !strings.Contains(err.Error(), "more than 400 characters") {
		t.Errorf("a long figure: %v", err)
	}
	// References that multiply.
	var b strings.Builder
	b.WriteString(`{"$ref":"#/$defs/a0","$defs":{`)
	for i := range 30 {
		next := string(rune('a'+(i+1)/10)) + string(rune('0'+(i+1)%10))
		b.WriteString(`"` + string(rune('a'+i/10)) + string(rune('0'+i%10)) + `":{"anyOf":[{"$ref":"#/$defs/` + next + `"},{"$ref":"#/$defs/` + next + `"}]},`)
	}
	b.WriteString(`"d0":{"type":"null"}}}`)
	if _, err := FromSchema([]byte(b.String())); err == nil {
		t.Error("a schema that doubles thirty times was taken")
	}
}

// A schema that is refused leaves nothing behind for those beside it.
func TestBuilderAfterError(t *testing.T) {
	var large, wanted strings.Builder
	for i := range 12 {
		fmt.Fprintf(&large, `,"p%d":{"type":"string","pattern":"^[a-%c]{1,1000}$"}`, i, 'b'+i)
	}
	var b Builder
	if _, err := b.Schema([]byte(`{"properties":{` + large.String()[1:] + `}}`)); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Fatalf("a large schema: %v", err)
	}
	for i := range 3 {
		s, err := b.Schema([]byte(fmt.Sprintf(`{"type":"string","pattern":"^[a-%c]{1,1000}$"}`, 'b'+i)))
		if err != nil {
			t.Fatal(err)
		}
		wanted.WriteString(s + " ")
	}
	if g := readGBNF(t, b.Grammar(wanted.String())); !g.allows(`"ab""abc""abcd"`) || g.allows(`"abc""abc""abcd"`) {
		t.Error("what follows an error has changed")
	}
}

// Every rule that is used is there, and nothing panics or grows without bound.
func FuzzFromSchema(f *testing.F) {
	for _, s := range []string{`{"type":"object","properties":{"a":{"type":["string","null"]},"b":{"enum":[1,"x"]}},"required":["a"]}`,
		`{"type":"integer","minimum":-12,"exclusiveMaximum":3407}`, `{"type":"number","minimum":-0.25e2,"multipleOf":0.01}`,
		`{"type":"integer","multipleOf":12,"maximum":1e6}`, `{"type":"number","multipleOf":2.5e-1,"exclusiveMinimum":-3}`,
		`{"type":"string","pattern":"^(?=.*\\d)[a-c\"]{2,}$","format":"email","maxLength":9}`, `{"type":"object","propertyNames":{"pattern":"x"}}`,
		`{"anyOf":[{"const":{"a":[1]}},{"type":"array","items":{"$ref":"#/$defs/n"},"minItems":1}],"$defs":{"n":{"type":"integer"}}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, schema []byte) {
		g, err := FromSchema(schema)
		if err != nil {
			return
		}
		if len(g) > maxGrammar+maxSchema+2*len(rules) {
			t.Fatalf("%d bytes of grammar from %d of schema", len(g), len(schema))
		}
		readGBNF(t, g)
	})
}
