package grammar

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func numberGrammar(t testing.TB, kind string, limit map[string]string) *gbnf {
	t.Helper()
	g, err := FromSchema(limitsOf(kind, limit))
	if err != nil {
		t.Fatalf("%s of %v: %v", kind, limit, err)
	}
	return readGBNF(t, g)
}

// Of all numbers of a small range those are allowed that the schema means.
func TestSmallMultiples(t *testing.T) {
	for _, step := range []string{"2", "3", "7", "10", "15", "25", "60", "64", "97", "100", "2.5", "0.75"} {
		for _, ends := range [][2]int{{-300, 300}, {0, 100}, {1, 99}, {-99, -1}, {-130, 7}, {15, 15}, {64, 2000}} {
			limit := map[string]string{"multipleOf": step, "minimum": strconv.Itoa(ends[0]), "maximum": strconv.Itoa(ends[1])}
			if _, err := FromSchema(limitsOf("integer", limit)); err != nil && strings.Contains(err.Error(), "no multiple") {
				continue
			}
			g := numberGrammar(t, "integer", limit)
			for n := -310; n <= 310; n++ {
				check(t, g.allows, "integer", limit, strconv.Itoa(n))
			}
			for _, s := range []string{"", "-", "-0", "00", "060", "60.0", "6e1", "+60"} {
				if g.allows(s) {
					t.Errorf("multiples of %s in %v: %q is allowed", step, ends, s)
				}
			}
		}
	}
}

// So it is with digits after the point, however many are written.
func TestSmallFractions(t *testing.T) {
	for _, step := range []string{"0.5", "0.25", "0.05", "0.125", "0.3", "0.75", "1.5", "2", "7.5", "25", "0.07"} {
		for _, ends := range [][2]string{{"-12", "12"}, {"0", "1"}, {"-3.2", "-0.125"}, {"0.45", "11.5"}, {"1.5", "1.5"}} {
			limit := map[string]string{"multipleOf": step, "minimum": ends[0], "maximum": ends[1]}
			if _, err := FromSchema(limitsOf("number", limit)); err != nil && strings.Contains(err.Error(), "is between") {
				continue
			}
			g := numberGrammar(t, "number", limit)
			for places, by := range []int64{1, 1, 1, 29} {
				unit := power(places)
				for n := -4 * unit.Int64(); n <= 4*unit.Int64(); n += by {
					check(t, g.allows, "number", limit, new(big.Rat).SetFrac(big.NewInt(n), unit).FloatString(places))
				}
			}
			for _, s := range []string{"", "-", "-0", "-0.0", ".5", "1.", "00.5", "5e-1", "1.5."} {
				if g.allows(s) {
					t.Errorf("multiples of %s in %v: %q is allowed", step, ends, s)
				}
			}
		}
	}
}

// stroll writes one of a grammar's texts at random.
func (g *gbnf) stroll(r *rand.Rand, e *expr, to *strings.Builder) {
	for range e.least + r.IntN(e.most-e.least+1) {
		switch {
		case e.name != "":
			g.stroll(r, g.rules[e.name], to)
		case e.ways == nil:
			i := 2 * r.IntN(len(e.set)/2)
			to.WriteRune(e.set[i] + r.Int32N(e.set[i+1]-e.set[i]+1))
		default:
			for _, x := range e.ways[r.IntN(len(e.ways))] {
				g.stroll(r, x, to)
			}
		}
	}
}

// randomStep is mostly one that schemas have.
func randomStep(r *rand.Rand) string {
	v := []int{r.IntN(60) + 1, r.IntN(60) + 1, 5 * (r.IntN(20) + 1), 100 * (r.IntN(100) + 1), r.IntN(100000) + 1}[r.IntN(5)]
	return new(big.Rat).SetFrac(big.NewInt(int64(v)), power(r.IntN(4))).FloatString(3)
}

func TestRandomMultiples(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	some, refused := 0, 0
	for range 200 {
		kind := []string{"integer", "number"}[r.IntN(2)]
		limit := map[string]string{"multipleOf": randomStep(r)}
		for _, key := range limits {
			if r.IntN(3) == 0 {
				limit[key] = decimal(r)
			}
		}
		schema := limitsOf(kind, limit)
		text, err := FromSchema(schema)
		switch {
		case err == nil:
		case strings.Contains(err.Error(), "is between"):
			continue
		case strings.Contains(err.Error(), "multipleOf"):
			refused++
			continue
		default:
			t.Fatalf("%s: %v", schema, err)
		}
		g := readGBNF(t, text)
		if g.rules["root"].ways[0][0].name == "integer" { // of which all are multiples
			continue
		}
		some++
		for range 8 {
			var b strings.Builder
			g.stroll(r, g.rules["root"], &b)
			check(t, func(string) bool { return true }, kind, limit, b.String())
			check(t, g.allows, kind, limit, decimal(r))
			for key, l := range limit {
				v, _ := new(big.Rat).SetString(l)
				step, _ := new(big.Rat).SetString(limit["multipleOf"])
				k := new(big.Rat).Quo(v, step) // a multiple beside a limit, and what is near it
				n := new(big.Int).Quo(k.Num(), k.Denom())
				v.Mul(step, new(big.Rat).SetInt(n.Add(n, big.NewInt(r.Int64N(7)-3))))
				check(t, g.allows, kind, limit, v.FloatString(r.IntN(4)))
				check(t, g.allows, kind, limit, near(r, limit[key]))
			}
		}
	}
	if some < 75 || refused > some/4 {
		t.Errorf("%d had multiples, %d were refused", some, refused)
	}
}

// What is told of the bounds in the documentation.
func TestMultiplesWithinBounds(t *testing.T) {
	var b Builder
	for _, step := range slices.Concat([]int{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, []int{89, 97, 99, 101, 103, 107, 109, 113, 117, 119, 121, 123, 127, 128, 129, 130}) {
		schema := fmt.Appendf(nil, `{"type":"integer","multipleOf":%d}`, step)
		if g, err := FromSchema(schema); err != nil {
			t.Errorf("%d: %d bytes, %v", step, len(g), err)
		}
		if _, err := b.Schema(schema); step <= 12 && err != nil {
			t.Errorf("%d in one grammar: %v", step, err)
		}
	}
	for step := 1; step <= 1000; step += 37 {
		if _, err := FromSchema(fmt.Appendf(nil, `{"type":"integer","minimum":0,"maximum":999999,"multipleOf":%d}`, step)); err != nil {
			t.Errorf("%d to a million: %v", step, err)
		}
	}
	for _, s := range []string{`"integer","multipleOf":3600`, `"integer","multipleOf":86400`, `"integer","multipleOf":1000000`, `"integer","multipleOf":7919,"minimum":0,"maximum":99999`,
		`"number","multipleOf":0.125`, `"number","multipleOf":7.5`, `"number","multipleOf":1e-15`} {
		if _, err := FromSchema([]byte(`{"type":` + s + `}`)); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func BenchmarkMultiples(b *testing.B) {
	for _, s := range []string{`"integer","multipleOf":5,"minimum":0,"maximum":100`, `"integer","multipleOf":5`, `"integer","multipleOf":7`, `"integer","multipleOf":60`, `"integer","multipleOf":97`, `"number","multipleOf":0.25`} {
		b.Run(s, func(b *testing.B) {
			size := 0
			for b.Loop() {
				g, err := FromSchema([]byte(`{"type":` + s + `}`))
				if err != nil {
					b.Fatal(err)
				}
				size = len(g) - len(rules)
			}
			b.ReportMetric(float64(size), "bytes")
		})
	}
}

func FuzzMultiples(f *testing.F) {
	f.Add(true, "15", "-12", "340.5", "45")
	f.Add(false, "0.05", "-0.3", "17", "-0.25")
	f.Add(true, "86400", "-9223372036854775808", "9223372036854775807", "9223372036854720000")
	f.Add(false, "2.50", "0", "1e3", "997.5")
	f.Fuzz(func(t *testing.T, whole bool, step, least, most, text string) {
		kind := map[bool]string{true: "integer", false: "number"}[whole]
		limit := map[string]string{"multipleOf": step, "minimum": least, "maximum": most}
		plain := regexp.MustCompile(`^-?(0|[1-9]\d{0,30})(\.\d{1,30})?$`)
		text0, err := FromSchema(limitsOf(kind, limit))
		if err != nil {
			return
		}
		g := readGBNF(t, text0)
		if plain.MatchString(step) && plain.MatchString(least) && plain.MatchString(most) && plain.MatchString(text) {
			check(t, g.allows, kind, limit, text)
		}
	})
}
