package grammar

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// matcher turns the rule of a limited number, which is made of digits, signs and
// points only, into the regular expression that it is.
func matcher(t testing.TB, schema string) *regexp.Regexp {
	t.Helper()
	g, err := FromSchema([]byte(schema))
	if err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
	body, ok := strings.CutPrefix(strings.Split(g, "\n")[1], "r1 ::= ")
	if !ok {
		t.Fatalf("%s: the grammar is\n%s", schema, g)
	}
	return regexp.MustCompile("^(" + strings.NewReplacer(`"."`, "[.]", " ", "", `"`, "").Replace(body) + ")$")
}

func TestLimitedIntegers(t *testing.T) {
	ends := []int{-1100, -1000, -999, -120, -100, -99, -11, -10, -9, -1, 0, 1, 7, 9, 10, 19, 20, 99, 100, 109, 199, 345, 999, 1000, 1099}
	for i, least := range ends {
		for _, most := range ends[i:] {
			re := matcher(t, fmt.Sprintf(`{"type":"integer","minimum":%d,"maximum":%d}`, least, most))
			for n := -1250; n <= 1250; n++ {
				if got, want := re.MatchString(strconv.Itoa(n)), n >= least && n <= most; got != want {
					t.Fatalf("%d to %d: %d is allowed: %v\n%s", least, most, n, got, re)
				}
			}
			for _, s := range []string{"", "-", "00", "01", "-01", "-0", "1.0", "1e1"} {
				if re.MatchString(s) {
					t.Fatalf("%d to %d: %q is allowed\n%s", least, most, s, re)
				}
			}
		}
	}
}

func TestLimitsOfNumbers(t *testing.T) {
	for _, c := range []struct{ schema, allowed, refused string }{
		{`"type":"integer","minimum":-9007199254740991,"maximum":9007199254740991`, "0 -1 9007199254740991 -9007199254740991 4711", "9007199254740992 -9007199254740992 99999999999999999"},
		{`"type":"integer","exclusiveMinimum":0`, "1 9 10 9223372036854775807", "0 -1 9223372036854775808"},
		{`"type":"integer","exclusiveMaximum":1e1`, "9 0 -10 -9223372036854775808", "10 11 -9223372036854775809"},
		{`"type":"integer","minimum":1.5,"maximum":3.5`, "2 3", "1 4"},
		{`"type":"integer","exclusiveMinimum":1.5,"exclusiveMaximum":3.5`, "2 3", "1 4"},
		{`"type":"integer","exclusiveMinimum":-2.5,"exclusiveMaximum":-1`, "-2", "-1 -3 0 2"},
		{`"type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807`, "0 -9223372036854775808 9223372036854775807", "9223372036854775808 -9223372036854775809 10000000000000000000"},
		{`"type":"integer","minimum":0,"maximum":18446744073709551615`, "0 9223372036854775807", "-1 9223372036854775808"},
		{`"type":"integer","minimum":9223372036854775807`, "9223372036854775807", "9223372036854775806 9223372036854775808"},
		{`"type":"integer","minimum":9007199254740993,"maximum":9007199254740993.0`, "9007199254740993", "9007199254740992 9007199254740994"},
		{`"type":"integer","minimum":2,"exclusiveMinimum":3,"maximum":9,"exclusiveMaximum":9,"multipleOf":1`, "4 8", "3 9"},
		{`"type":"integer","minimum":7,"multipleOf":0.25`, "7 8", "6 7.5"},

		{`"type":"number","minimum":0,"maximum":1`, "0 1 0.0 1.0 0.5 1.000000000000000 0.999999999999999", "-0 -0.1 1.1 1.000000000000001 .5 1. 5e-1 00.5 0.0000000000000001"},
		{`"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1`, "0.5 0.00000000000001 0.99999999999999", "0 0.0 1 1.0 0.00000000000000 0.999999999999999"},
		{`"type":"number","minimum":-2.50,"maximum":-1.25e-1`, "-2.5 -2.50 -2 -0.125 -0.1250 -0.13", "-2.51 -3 -0.12 -0.1249 0 0.125 2 -2.500000000000001"},
		{`"type":"number","minimum":1.05,"maximum":1.05`, "1.05 1.050", "1 1.0 1.0499 1.051"},
		{`"type":"number","minimum":100`, "100 100.5 9223372036854775807", "99.9 -100 9223372036854775807.1 1e3"},
		{`"type":"number","maximum":-0.0`, "0 0.0 -1 -0.5 -9223372036854775808", "-0 -0.0 0.1"},
		{`"type":"number","minimum":-1.7976931348623157e308,"maximum":1.7976931348623157E+308`, "0 5.5 -5.5", "1e9"},
		{`"type":"number","exclusiveMaximum":1000`, "999.99999999999 -5", "999.999999999999 1000"},
		{`"type":"number","multipleOf":0.01`, "0 0.5 -3.25 3", "0.125 1e2"},
		{`"type":"number","multipleOf":1,"minimum":1.5`, "2 30", "1 2.0 1.5"},
		{`"type":"number","minimum":1e-15,"maximum":9e-15`, "0.000000000000001 0.000000000000009", "0 0.00000000000001"},
	} {
		re := matcher(t, `{`+c.schema+`}`)
		for _, n := range strings.Fields(c.allowed) {
			if !re.MatchString(n) {
				t.Errorf("%s: %s is not allowed by %s", c.schema, n, re)
			}
		}
		for _, n := range strings.Fields(c.refused) {
			if re.MatchString(n) {
				t.Errorf("%s: %s is allowed by %s", c.schema, n, re)
			}
		}
	}
	if g, err := FromSchema([]byte(`{"type":"integer","multipleOf":1}`)); err != nil || !strings.HasPrefix(g, "root ::= integer\n") {
		t.Errorf("integers of one: %v\n%s", err, g)
	}
}

// decimal is a number that is likely to be near a limit.
func decimal(r *rand.Rand) string {
	digits := func(most int) string {
		var b strings.Builder
		for range r.IntN(most + 1) {
			b.WriteByte("0000123456789999"[r.IntN(16)])
		}
		return b.String()
	}
	s := strings.TrimLeft(digits(r.IntN(20)+1), "0")
	if s == "" {
		s = "0"
	}
	if f := digits(r.IntN(18)); f != "" && r.IntN(3) > 0 {
		s += "." + f
	}
	if r.IntN(2) == 0 {
		s = "-" + s
	}
	return s
}

// near is a number as it may be written, at some distance of units of its last place.
func near(r *rand.Rand, of string) string {
	v, _ := new(big.Rat).SetString(of)
	places := r.IntN(18)
	v.Add(v, new(big.Rat).SetFrac(big.NewInt(int64(r.IntN(5)-2)), power(places)))
	return v.FloatString(places)
}

var form = regexp.MustCompile(`^(0|-?[1-9]\d*|-?\d+\.\d+)$`)

// check asks a grammar about a number, and an oracle: the number's own order. What
// meets limits that a client can tell apart does so as the client reads it, too.
func check(t testing.TB, allows func(string) bool, kind string, limit map[string]string, text string) {
	t.Helper()
	v, _ := new(big.Rat).SetString(text)
	want := form.MatchString(text) && !(v.Sign() == 0 && text[0] == '-') && !strings.HasPrefix(strings.TrimPrefix(text, "-"), "00")
	places := mostDigits
	if kind == "integer" {
		places = 0
	}
	least, most := new(big.Rat).SetInt(leastInteger), new(big.Rat).SetInt(mostInteger)
	client, _ := strconv.ParseFloat(text, 64)
	clientWants := true
	for key, s := range limit {
		l, _ := new(big.Rat).SetString(s)
		if key == "multipleOf" {
			for n := 0; n < places; n++ {
				if inUnits(l, n).IsInt() {
					places = n
				}
			}
			want = want && new(big.Rat).Quo(v, l).IsInt()
			continue
		}
		c, _ := strconv.ParseFloat(s, 64)
		apart := len(strings.Trim(strings.Replace(s, ".", "", 1), "-0")) <= mostDigits
		var ok, clientOK bool
		switch key {
		case "minimum":
			ok, clientOK = v.Cmp(l) >= 0, client >= c
		case "exclusiveMinimum":
			ok, clientOK = v.Cmp(l) > 0, client > c || !apart
		case "maximum":
			ok, clientOK = v.Cmp(l) <= 0, client <= c
		case "exclusiveMaximum":
			ok, clientOK = v.Cmp(l) < 0, client < c || !apart
		}
		want, clientWants = want && ok, clientWants && clientOK
		whole, _, _ := strings.Cut(strings.TrimPrefix(s, "-"), ".")
		if inside := l.Cmp(least) >= 0 && new(big.Rat).Neg(l).Cmp(least) >= 0; strings.HasPrefix(key, "exclusive") && inside && kind != "integer" {
			places = min(places, max(mostDigits-len(whole), 0))
		}
	}
	_, fraction, point := strings.Cut(text, ".")
	want = want && len(fraction) <= places && (places > 0 || !point) && v.Cmp(least) >= 0 && v.Cmp(most) <= 0
	if got := allows(text); got != want {
		t.Fatalf("%s of %v: %s is allowed: %v", kind, limit, text, got)
	}
	if want && !clientWants && kind != "integer" {
		t.Fatalf("%s of %v: %s is allowed, and read as %v", kind, limit, text, client)
	}
}

func limitsOf(kind string, limit map[string]string) []byte {
	s := `{"type":"` + kind + `"`
	for key, v := range limit {
		s += `,"` + key + `":` + v
	}
	return []byte(s + `}`)
}

func TestRandomLimits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	some := 0
	for range 500 {
		kind := []string{"integer", "number"}[r.IntN(2)]
		limit := map[string]string{}
		for _, key := range limits {
			if r.IntN(3) == 0 {
				limit[key] = decimal(r)
			}
		}
		schema := limitsOf(kind, limit)
		if _, err := FromSchema(schema); len(limit) == 0 || err != nil && strings.Contains(err.Error(), "is between") {
			continue
		}
		some++
		allows := matcher(t, string(schema)).MatchString
		for range 20 {
			check(t, allows, kind, limit, decimal(r))
			for _, l := range limit {
				check(t, allows, kind, limit, near(r, l))
			}
		}
	}
	if some < 150 {
		t.Errorf("only %d limits had numbers between them", some)
	}
}

// Where nothing is between limits, nothing is.
func TestNothingBetween(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		a, b := decimal(r), decimal(r)
		x, _ := new(big.Rat).SetString(a)
		y, _ := new(big.Rat).SetString(b)
		_, err := FromSchema(limitsOf("number", map[string]string{"minimum": a, "maximum": b}))
		// between two that lie so far apart is one of 15 places
		if apart := new(big.Rat).Sub(y, x).Cmp(big.NewRat(1, 1e15)) >= 0; apart && err != nil && strings.Contains(err.Error(), "is between") && len(a) < 19 && len(b) < 19 || x.Cmp(y) > 0 && err == nil {
			t.Fatalf("%s to %s: %v", a, b, err)
		}
	}
}

func FuzzLimits(f *testing.F) {
	f.Add(true, "-12", "340.5", "0.07", "340.49")
	f.Add(false, "9223372036854775806", "1e19", "-0.000", "9223372036854775807")
	f.Fuzz(func(t *testing.T, whole bool, least, most, above, text string) {
		kind := map[bool]string{true: "integer", false: "number"}[whole]
		limit := map[string]string{"minimum": least, "maximum": most, "exclusiveMinimum": above}
		plain := regexp.MustCompile(`^-?(0|[1-9]\d{0,30})(\.\d{1,30})?$`)
		g, err := FromSchema(limitsOf(kind, limit))
		if err != nil {
			return
		}
		readGBNF(t, g)
		if plain.MatchString(least) && plain.MatchString(most) && plain.MatchString(above) && plain.MatchString(text) {
			check(t, matcher(t, string(limitsOf(kind, limit))).MatchString, kind, limit, text)
		}
	})
}
