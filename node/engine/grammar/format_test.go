package grammar

import (
	"fmt"
	"math/rand/v2"
	"net/mail"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
)

func formatAutomaton(t *testing.T, name string) automaton {
	t.Helper()
	w := writer{steps: maxSteps}
	a, err := w.automaton(formats[name])
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return a
}

// stroll writes a text at random.
func (a automaton) stroll(r *rand.Rand) string {
	var b strings.Builder
	for s := a[0]; ; {
		if len(s.edges) == 0 || s.ends && r.IntN(6) == 0 {
			return b.String()
		}
		e := s.edges[r.IntN(len(s.edges))]
		i := 2 * r.IntN(len(e.on)/2)
		b.WriteRune(e.on[i] + rune(r.IntN(int(e.on[i+1]-e.on[i])+1)))
		s = a[e.to]
	}
}

// accepts tells whether a text is one of the automaton's.
func (a automaton) accepts(text string) bool {
	s := a[0]
next:
	for _, c := range text {
		for _, e := range s.edges {
			if e.on.has(c) {
				s = a[e.to]
				continue next
			}
		}
		return false
	}
	return s.ends
}

func labels(s string) error {
	for l := range strings.SplitSeq(s, ".") {
		if l == "" || strings.Trim(l, "-") != l {
			return fmt.Errorf("label %q", l)
		}
	}
	return nil
}

// Whatever is written in a format is read by who knows it.
func TestFormatsAreRead(t *testing.T) {
	parsed := func(layout string) func(string) error {
		return func(s string) error { _, err := time.Parse(layout, s); return err }
	}
	addr := func(s string) error { _, err := netip.ParseAddr(s); return err }
	duration := regexp.MustCompile(`^P(?:\d+W|(?:\d+Y)?(?:\d+M)?(?:\d+D)?(?:T(?:\d+H)?(?:\d+M)?(?:\d+S)?)?)$`)
	uuid := regexp.MustCompile(`^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$`)
	matches := func(re *regexp.Regexp) func(string) error {
		return func(s string) error {
			if !re.MatchString(s) || s[len(s)-1] == 'P' || s[len(s)-1] == 'T' {
				return fmt.Errorf("it does not match %s", re)
			}
			return nil
		}
	}
	readers := map[string]func(string) error{
		"date": parsed(time.DateOnly), "time": parsed("15:04:05Z07:00"), "date-time": parsed(time.RFC3339),
		"duration": matches(duration), "uuid": matches(uuid), "ipv4": addr, "ipv6": addr, "hostname": labels,
		"email": func(s string) error {
			a, err := mail.ParseAddress(s)
			if err == nil && a.Address != s {
				err = fmt.Errorf("it is read as %s", a.Address)
			}
			if _, host, _ := strings.Cut(s, "@"); err == nil {
				err = labels(host)
			}
			return err
		},
	}
	r := rand.New(rand.NewPCG(7, 8))
	for name := range formats {
		a := formatAutomaton(t, name)
		for range 1000 {
			if s := a.stroll(r); readers[name](s) != nil || !a.accepts(s) {
				t.Fatalf("%s: %q: %v", name, s, readers[name](s))
			}
		}
	}
}

// What programs write in a format may be written.
func TestFormatsAllow(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	date, moment, clock := formatAutomaton(t, "date"), formatAutomaton(t, "date-time"), formatAutomaton(t, "time")
	for day := time.Date(1890, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 2010; day = day.AddDate(0, 0, 1) {
		at := day.Add(time.Duration(r.Int64N(int64(24 * time.Hour)))).In(time.FixedZone("", r.IntN(48*1800)-24*1800/60*60))
		for s, a := range map[string]automaton{day.Format(time.DateOnly): date, at.Format(time.RFC3339Nano): moment, at.Format("15:04:05Z07:00"): clock} {
			if !a.accepts(s) {
				t.Fatalf("%q is not allowed", s)
			}
		}
	}
	for _, s := range []string{"1900-02-29", "2023-02-29", "2024-04-31", "2024-13-01", "2024-00-10", "2024-01-00", "24-01-01"} {
		if date.accepts(s) {
			t.Errorf("%q is allowed", s)
		}
	}
	v4, v6 := formatAutomaton(t, "ipv4"), formatAutomaton(t, "ipv6")
	for range 5000 {
		var b [16]byte
		for i := range b {
			if r.IntN(3) == 0 {
				b[i] = byte(r.IntN(256))
			}
		}
		b[0] = 0x20 // not one that is an IPv4 address
		if s := netip.AddrFrom16(b).String(); !v6.accepts(s) {
			t.Fatalf("%q is not allowed", s)
		}
		if s := netip.AddrFrom4([4]byte(b[4:])).String(); !v4.accepts(s) {
			t.Fatalf("%q is not allowed", s)
		}
	}
	for name, texts := range map[string][]string{
		"uuid":     {"f81d4fae-7dec-11d0-a765-00a0c91e6bf6"},
		"duration": {"P1Y2M3DT4H5M6S", "PT36H", "P4W", "P1Y", "P1M", "PT1M", "P0D", "P1DT12H"},
		"hostname": {"localhost", "www.example.co.uk", "xn-4.a1", "A-b.example"},
		"email":    {"jane.doe+tag@mail.example.org", "o'brien@example.com", "a_b%c-d@x-y.io"},
		"ipv6":     {"::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "fe80::1"},
	} {
		a := formatAutomaton(t, name)
		for _, s := range texts {
			if !a.accepts(s) {
				t.Errorf("%s: %q is not allowed", name, s)
			}
		}
	}
}

// A format's rules are written once, whoever asks; its name alone means nothing.
func TestFormats(t *testing.T) {
	one, err := FromSchema([]byte(`{"properties":{"a":{"type":"string","format":"date"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	two, err := FromSchema([]byte(`{"properties":{"a":{"type":"string","format":"date"},"b":{"type":["null","string"],"format":"date"}}}`))
	if err != nil || len(two) > len(one)+200 {
		t.Errorf("%v, %d bytes after %d", err, len(two), len(one))
	}
	g := readGBNF(t, two)
	for s, want := range map[string]bool{`{"a":"2024-02-29","b":null}`: true, `{"b":"2024-02-29"}`: true, `{"a":"2023-02-29"}`: false, `{"a":"a"}`: false} {
		if g.allows(s) != want {
			t.Errorf("%s is allowed: %v", s, !want)
		}
	}
	for schema, want := range map[string]string{
		`{"type":"string","format":"uri"}`:    "root ::= string\n",
		`{"format":"date"}`:                   "root ::= value\n",
		`{"type":"integer","format":"int64"}`: "root ::= integer\n",
	} {
		if g, err := FromSchema([]byte(schema)); err != nil || !strings.HasPrefix(g, want) {
			t.Errorf("%s: %v\n%.100s", schema, err, g)
		}
	}
	g = readGBNF(t, first(FromSchema([]byte(`{"type":"string","format":"email","maxLength":10}`))))
	for s, want := range map[string]bool{`"ab@cd.efg"`: true, `"abc@cd.efg"`: true, `"abcd@cd.efg"`: false} {
		if g.allows(s) != want {
			t.Errorf("%s is allowed: %v", s, !want)
		}
	}
}

func first(s string, _ error) string { return s }
