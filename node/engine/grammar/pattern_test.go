package grammar

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// written is a text as a model may write it in JSON: escaped where it must be.
func written(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range text {
		switch i := strings.IndexRune("\"\\\b\f\n\r\t", c); {
		case i >= 0:
			b.WriteString(`\` + `"\bfnrt`[i:i+1])
		case c < ' ':
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String() + `"`
}

func patternGrammar(t testing.TB, pattern, more string) *gbnf {
	t.Helper()
	p, err := json.Marshal(pattern)
	if err != nil {
		t.Fatal(err)
	}
	g, err := FromSchema([]byte(`{"type":"string","pattern":` + string(p) + more + `}`))
	if err != nil {
		t.Fatalf("%s%s: %v", pattern, more, err)
	}
	return readGBNF(t, g)
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern         string
		allows, refuses []string
	}{
		{`^[A-Z]{2}-\d{3}$`, []string{"AB-123"}, []string{"", "AB-12", "AB-1234", "aB-123", "AB-123\n", " AB-123"}},
		{`b`, []string{"b", "abc", "\"b\\", "\x01b\u2028"}, []string{"", "a", "B"}},
		{`^a|b$`, []string{"a", "ax", "b", "xb"}, []string{"xa", "bx", ""}},
		{`(^|,)a(,|$)`, []string{"a", "a,b", "b,a", "b,a,c"}, []string{"", "ba", "ab"}},
		{`^(?:a|bc)+?$`, []string{"a", "bca"}, []string{"", "b"}},
		{`^(?<word>a)b?$`, []string{"a", "ab"}, []string{"b"}},
		{`^a{2}b{2,}c{0,1}$`, []string{"aabb", "aabbbbc"}, []string{"aab", "abb", "aabbcc"}},
		{`^"\\\/$`, []string{`"\/`}, []string{`"\`, `\/`}},
		{`^[\n\t\b]\f\v\r\0\x41\u00e9\cA$`, []string{"\n\f\v\r\x00Aé\x01", "\b\f\v\r\x00Aé\x01"}, []string{"b\f\v\r\x00Aé\x01"}},
		{`^\u{1F600}\ud83d\ude00[\u{1f600}-\u{1F602}]$`, []string{"😀😀😂"}, []string{"😀😀", "😀😀😃"}},
		{`^.$`, []string{"a", "\"", "\t", "😀", "\u0085"}, []string{"", "\n", "\r", "\u2028", "\u2029", "ab"}},
		{`^\s\S$`, []string{" a", "\u00a0a", "\ufeff\"", "\v\\", "\u3000\x01"}, []string{"a ", "  ", "\u200ba"}},
		{`^\w\W\d\D$`, []string{"_-0x", "Zé9é"}, []string{"é-0x", "a-٣x"}},
		{`^[\w-.]+$`, []string{"a-b.c"}, []string{"a+b", "a,b"}},
		{`^[a\-z\]\\^-]+$`, []string{`a-z]\^`}, []string{"b"}},
		{`^[^]$`, []string{"a", "\n", "\""}, []string{"", "ab"}},
		{`^[^^\s"]$`, []string{"a", "\\"}, []string{"^", " ", "\""}},
		{`^a[]?]?$`, []string{"a", "a]"}, []string{"a?"}},
		{`^}]$`, []string{"}]"}, []string{"]"}},
		{`$^`, []string{""}, []string{"a"}},
		{`^(a*)*$`, []string{"", "aaa"}, []string{"b"}},
		{`^(a|b?|)*$`, []string{"", "aab"}, []string{"c"}},
		{`^a{0}$`, []string{""}, []string{"a"}},
		{``, []string{"", "a\n\"\\\u2028😀"}, nil},
		{`^(^a|b(^c|d))$`, []string{"a", "bd"}, []string{"bc"}},
		{`^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$`, []string{"1", "-0.5", "+.5", "1."}, []string{"", "-", ".", "+.", "1.2.3"}}, // of Python's decimals
		{`^(?=.*[A-Z])(?=.*\d)(?!.*\s)\S{4,}$`, []string{"Abc1", "1\"\\Z"}, []string{"abc1", "Abcd", "Ab1", "Ab c1"}},
		{`^(?!x|$)(?![])`, []string{"a", "ax"}, []string{"", "xa"}},
	} {
		g := patternGrammar(t, c.pattern, "")
		for _, s := range c.allows {
			if !g.allows(written(s)) {
				t.Errorf("%s does not allow %s", c.pattern, written(s))
			}
		}
		for _, s := range c.refuses {
			if g.allows(written(s)) {
				t.Errorf("%s allows %s", c.pattern, written(s))
			}
		}
	}
	g := patternGrammar(t, `^["\\\n\x00-\x1f]$`, "")
	for _, s := range []string{`"""`, `"\"`, "\"\n\"", "\"\x01\"", `"\u0022"`, `"\x01"`, `"n"`} {
		if g.allows(s) {
			t.Errorf("%q is no JSON, or another text, and is allowed", s)
		}
	}
}

func TestPatternsRefused(t *testing.T) {
	for pattern, want := range map[string]string{
		`a(?=b)`: "looking ahead, (?= and (?!, is supported only at the start, after ^, at character 2", `(?!a)b`: "looking ahead", `^(?=a(?=b))a`: "looking ahead, (?= and (?!, is supported only at the start, after ^, at character 6",
		`^(?=a)b|c`: "looking ahead holds for the first of several alternatives only", `^(?=a`: "a group does not end, at character 2", `^(?=a)*`: "nothing stands before *", `^(?!)a`: "no string meets it", `^(?=[])a`: "no string meets it",
		`é(?<=b)`: "looking behind, (?<= and (?<!, is not supported, at character 2", `(?<!a)b`: "looking behind",
		`\ba`: `word boundaries, \b, are not supported, at character 1`, `a\B`: `word boundaries, \B`,
		`(a)\1`: `references to groups, \1, are not supported, at character 4`, `(?<a>b)\k<a>`: `references to groups, \k`, `\00`: `references to groups, \0`,
		`(?i)a`: "groups with flags are not supported, at character 1", `(?i:a)`: "flags", `(?P<n>a)`: "flags", `(?>a)`: "flags",
		`\p{L}`: "properties of Unicode", `[\P{L}]`: "properties of Unicode",
		`\A`: `\A means nothing in ECMA-262, at character 1`, `\z`: `\z means nothing`, `\é`: `means nothing`, `\c1`: `\c means nothing`,
		`a\`: "stands at the end, at character 2", `[a\`: "stands at the end",
		`*a`: "nothing stands before * to repeat; write \\* for the character, at character 1", `a**`: "nothing stands before *", `^*`: "nothing stands before *", `a|+`: "nothing stands before +",
		`a{`: "a { that is no count", `a{,5}`: "a { that is no count", `a{1,b}`: "a { that is no count", `{1}`: "nothing stands before {",
		`a{1025}`: "a count is more than 1024", `a{2,99999999999999999999}`: "a count is more than 1024", `a{3,2}`: "counts are out of order",
		`(a`: "a group does not end, at character 1", `a)`: "a group ends that has not begun, at character 2", `(?<>a)`: "the name of a group", `(?<a b>c)`: "the name of a group",
		`[a`: "a class does not end, at character 1", `[`: "a class does not end", `[z-a]`: "a range is out of order", `[a-`: "a class does not end",
		`\x4`: "the number of a character is none", `\u12`: "the number", `\u{110000}`: "the number", `\u{`: "the number", `\u{}`: "the number", `\u{123456789}`: "the number",
		`\ud83d`: "half a surrogate pair", `\ud83da`: "half a surrogate pair", `\ud83d\u0041`: "the number", `[\udc00]`: "half a surrogate pair",
		`[]`: "no string meets it", `a^b`: "no string meets it", `a$b`: "no string meets it",
		strings.Repeat("a", maxPattern+1):   "it has 1025 characters, 1024 are possible",
		strings.Repeat("(", maxGroups+1):    "groups lie more than 64 deep",
		`(?:(?:a{100}){100}){100}`:          "with its counts written out it is more than 8192 long",
		`a.{20}b`:                           "it needs more than 2048 states",
		`^[ab]*a[ab]{12}$`:                  "it needs more than 2048 states",
		`^(?:.{1,9}[0-9a-f]+.{3,50}x){30}$`: "it needs more than 2048 states",
	} {
		p, _ := json.Marshal(pattern)
		if g, err := FromSchema([]byte(`{"type":"string","pattern":` + string(p) + `}`)); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "pattern: ") {
			t.Errorf("%.60s: %v, want %q\n%.300s", pattern, err, want, g)
		}
	}
	for schema, want := range map[string]string{
		`{"type":"string","pattern":7}`:                                      "pattern must be a string",
		`{"type":"string","pattern":null}`:                                   "pattern must be a string",
		`{"type":"string","format":7}`:                                       "format must be a name",
		`{"type":"string","format":"date","pattern":"a"}`:                    `format "date" and pattern: no string meets it`,
		`{"type":"string","pattern":"^ab$","maxLength":1}`:                   "pattern and length: no string meets it",
		`{"type":"string","format":"date","minLength":11}`:                   `format "date" and length: no string meets it`,
		`{"type":"string","pattern":"^([a-z]{1,20} ){20}$","maxLength":300}`: "it needs more than 2048 states",
	} {
		if g, err := FromSchema([]byte(schema)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q\n%.300s", schema, err, want, g)
		}
	}
	// Each is little, all are not: of a thousand states hardly one leads to an end.
	var b strings.Builder
	for i := range maxProperties {
		fmt.Fprintf(&b, `,"p%d":{"type":"string","pattern":"^(?:[ab]*a[ab]{9}[]|%d)$"}`, i, i)
	}
	if _, err := FromSchema([]byte(`{"properties":{` + b.String()[1:] + `}}`)); err == nil || !strings.Contains(err.Error(), "too much work") {
		t.Errorf("many patterns: %v", err)
	}
}

// randomPattern writes a regular expression that Go and ECMA-262 read alike.
func randomPattern(r *rand.Rand, depth int) string {
	if depth == 0 || r.IntN(3) == 0 {
		atoms := []string{"a", "b", "c", `"`, `\\`, `\n`, `\x01`, "é", "[ab]", `[^a"]`, `[a-c\\]`, `\d`, `\w`, `[^\x00-\x1f]`, "^", "$", "(?:)", `\t`, "😀", "[^é]"}
		return atoms[r.IntN(len(atoms))]
	}
	sub := func() string { return randomPattern(r, depth-1) }
	switch r.IntN(6) {
	case 0:
		return sub() + "|" + sub()
	case 1, 2:
		return "(" + sub() + ")" + []string{"*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "*?", "{0}"}[r.IntN(9)]
	default:
		return "(?:" + sub() + ")" + sub()
	}
}

func randomText(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(7) {
		b.WriteRune([]rune("aaabbc\"\\\n\x01é1😀\t")[r.IntN(14)])
	}
	return b.String()
}

// A grammar allows the texts that Go's matcher finds a pattern in, of the length asked.
func TestRandomPatterns(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	tried, met := 0, 0
	for range 500 {
		pattern := randomPattern(r, 4)
		if r.IntN(2) == 0 {
			pattern = "^(?:" + pattern + ")$"
		}
		least, most, more := 0, 99, ""
		if r.IntN(2) == 0 {
			least = r.IntN(4)
			more = fmt.Sprintf(`,"minLength":%d`, least)
		}
		if r.IntN(2) == 0 {
			most = least + r.IntN(4)
			more += fmt.Sprintf(`,"maxLength":%d`, most)
		}
		p, _ := json.Marshal(pattern)
		text, err := FromSchema([]byte(`{"type":"string","pattern":` + string(p) + more + `}`))
		none := err != nil && (strings.Contains(err.Error(), "no string"))
		if err != nil && !none {
			t.Fatalf("%s: %v", pattern, err)
		}
		var g *gbnf
		if !none {
			g = readGBNF(t, text)
		}
		oracle := regexp.MustCompile(pattern)
		for range 40 {
			s := randomText(r)
			n := utf8.RuneCountInString(s)
			want := oracle.MatchString(s) && n >= least && n <= most
			tried++
			if want {
				met++
			}
			if got := !none && g.allows(written(s)); got != want {
				t.Fatalf("%s%s: %q is allowed: %v\n%s", pattern, more, s, got, text)
			}
		}
	}
	if met < tried/10 {
		t.Errorf("only %d of %d texts met their patterns", met, tried)
	}
}

// The rule for any string counts a surrogate pair as the one character that it is.
func TestCharacters(t *testing.T) {
	g, err := FromSchema([]byte(`{"type":"string","minLength":1,"maxLength":1}`))
	if err != nil {
		t.Fatal(err)
	}
	m := readGBNF(t, g)
	for s, want := range map[string]bool{`"a"`: true, `"😀"`: true, `"\ud83d\ude00"`: true, `"\uDBFF\uDFFF"`: true, `"\u00e9"`: true, `"\uD7ff"`: true, `"\uE000"`: true, `"\n"`: true, `"\/"`: true,
		`"\ud83d"`: false, `"\ude00"`: false, `"\ud83d\u0041"`: false, `""`: false, `"\ud83d\ude00a"`: false, "\"\n\"": false} {
		if got := m.allows(s); got != want {
			t.Errorf("%s is allowed: %v", s, got)
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, s := range []string{`^[A-Z]{2}-\d{3}$`, `a|b$|^c`, `[^\s"-\\]+?(?<n>x){2,}`, `\u{1F600}\cA\x41`, `(a*)*[\w-.]`} {
		f.Add(s, "AB-123", uint8(0), uint8(9))
	}
	alike := regexp.MustCompile(`^(?:[a-z0-9"|()^$*+? -]|\\[dn\\"])*$`)
	f.Fuzz(func(t *testing.T, pattern, text string, least, most uint8) {
		p, err := json.Marshal(pattern)
		if err != nil {
			t.Skip()
		}
		var bounds string
		if most > 0 {
			bounds = fmt.Sprintf(`,"minLength":%d,"maxLength":%d`, least, most)
		}
		g, err := FromSchema([]byte(`{"type":"string","pattern":` + string(p) + bounds + `}`))
		if err != nil {
			return
		}
		allowed := readGBNF(t, g)
		if !utf8.ValidString(text) || len(text) > 100 || !alike.MatchString(pattern) {
			return
		}
		oracle, err := regexp.Compile(pattern)
		if err != nil {
			t.Fatalf("%q is read here and not by Go: %v", pattern, err)
		}
		n := utf8.RuneCountInString(text)
		want := oracle.MatchString(text) && (most == 0 || n >= int(least) && n <= int(most))
		if got := allowed.allows(written(text)); got != want {
			t.Fatalf("%q%s: %q is allowed: %v\n%s", pattern, bounds, text, got, g)
		}
	})
}
