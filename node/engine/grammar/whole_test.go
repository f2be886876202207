package grammar

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// matcher turns the rule of a limited integer, which is made of digits and signs
// only, into the regular expression that it is.
func matcher(t *testing.T, schema string) *regexp.Regexp {
	t.Helper()
	g, err := FromSchema([]byte(schema))
	if err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
	body, ok := strings.CutPrefix(strings.Split(g, "\n")[1], "r1 ::= ")
	if !ok {
		t.Fatalf("%s: the grammar is\n%s", schema, g)
	}
	return regexp.MustCompile("^(" + strings.NewReplacer(" ", "", `"`, "").Replace(body) + ")$")
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
			for _, s := range []string{"", "-", "00", "01", "-01", "-0", "1.0"} {
				if re.MatchString(s) {
					t.Fatalf("%d to %d: %q is allowed\n%s", least, most, s, re)
				}
			}
		}
	}
}

func TestLimitsOfIntegers(t *testing.T) {
	for _, c := range []struct{ limits, allowed, refused string }{
		{`"minimum":-9007199254740991,"maximum":9007199254740991`, "0 -1 9007199254740991 -9007199254740991 4711", "9007199254740992 -9007199254740992 99999999999999999"},
		{`"exclusiveMinimum":0`, "1 9 10 9999999999999999", "0 -1 10000000000000000"},
		{`"exclusiveMaximum":1e1`, "9 0 -10 -9999999999999999", "10 11"},
		{`"minimum":1.5,"maximum":3.5`, "2 3", "1 4"},
		{`"exclusiveMinimum":1.5,"exclusiveMaximum":3.5`, "2 3", "1 4"},
		{`"minimum":-9223372036854775808,"maximum":18446744073709551615`, "0 -9999999999999999 9999999999999999", "10000000000000000"},
		{`"minimum":2,"exclusiveMinimum":3,"maximum":9,"exclusiveMaximum":9`, "4 8", "3 9"},
	} {
		re := matcher(t, `{"type":"integer",`+c.limits+`}`)
		for _, n := range strings.Fields(c.allowed) {
			if !re.MatchString(n) {
				t.Errorf("%s: %s is not allowed by %s", c.limits, n, re)
			}
		}
		for _, n := range strings.Fields(c.refused) {
			if re.MatchString(n) {
				t.Errorf("%s: %s is allowed by %s", c.limits, n, re)
			}
		}
	}
}
