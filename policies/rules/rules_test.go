package rules_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"omx/policies/abi"
	"omx/policies/rules"
	"omx/wasm"
)

func load(t testing.TB, text string) *wasm.Instance {
	t.Helper()
	p, err := rules.Compile([]byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	h, err := wasm.NewHost(t.Context(), wasm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	i, err := h.Load(t.Context(), p.Name, p.Module, wasm.Limits{})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return i
}

// decide writes a view and asks.
func decide(t testing.TB, i *wasm.Instance, k abi.Kind, h abi.Header, rows []abi.Row) (abi.Answer, []uint32) {
	t.Helper()
	stride, _ := i.Wants(k)
	s := abi.Shape{Kind: k, Rows: len(rows), Stride: stride}
	b, err := i.View(k, s.Size())
	if err != nil {
		t.Fatal(err)
	}
	put(b, &s, h, rows)
	a, _, err := i.Call(k, len(b), len(rows))
	if err != nil {
		t.Fatal(err)
	}
	return a, append([]uint32(nil), abi.Scores(b, len(rows), stride)...)
}

func put(b []byte, s *abi.Shape, h abi.Header, rows []abi.Row) {
	begun := abi.Begin(b, s)
	h.Magic, h.Minor, h.Kind, h.Count, h.Stride, h.Header = begun.Magic, begun.Minor, begun.Kind, begun.Count, begun.Stride, begun.Header
	h.Scores, h.Length = begun.Scores, begun.Length
	*begun = h
	for i := range rows {
		abi.PutRow(b, s.Stride, i, &rows[i])
	}
}

const clock = 1_000_000

func row(edit func(r *abi.Row)) abi.Row {
	var r abi.Row
	r.Flags, r.Slots, r.LoadAt, r.RTT, r.RTTAt = abi.Loaded, 4, clock-100, 1000, clock-100
	if edit != nil {
		edit(&r)
	}
	return r
}

func TestRoute(t *testing.T) {
	i := load(t, `
kind = "route"
name = "near-and-idle"
[params]
per_request = 1000
[[drop]]
when = "draining or suspect or not loaded"
[[drop]]
when = "age(loadAt) > 5000 and queued > 0"
[[score]]
value = "rtt"
[[score]]
value  = "(queued + running + sentSince) * per_request / max(slots, 1)"
weight = 3
`)
	rows := []abi.Row{
		row(func(r *abi.Row) { r.Running = 4 }),
		row(func(r *abi.Row) { r.RTT = 3000 }),
		row(func(r *abi.Row) { r.RTT, r.Flags = 1, abi.Loaded|abi.Draining }),
		row(func(r *abi.Row) { r.RTT, r.Flags = 1, abi.Loaded|abi.Suspect }),
		row(func(r *abi.Row) { r.RTT, r.Flags = 1, 0 }),
		row(func(r *abi.Row) { r.RTT, r.LoadAt, r.Queued = 1, clock-5001, 1 }),
		row(func(r *abi.Row) { r.RTT, r.LoadAt, r.Queued = 1, 0, 1 }),
		row(func(r *abi.Row) { r.RTT, r.LoadAt = 2500, clock-9000 }),
	}
	a, scores := decide(t, i, abi.Route, abi.Header{Clock: clock}, rows)
	want := []uint32{4000, 3000, abi.Never, abi.Never, abi.Never, abi.Never, abi.Never, 2500}
	for n := range want {
		if scores[n] != want[n] {
			t.Errorf("scores %v, want %v", scores, want)
			break
		}
	}
	if a != abi.Pack(abi.OK, 7) {
		t.Errorf("answer %#x", uint64(a))
	}
	if a, _ := decide(t, i, abi.Route, abi.Header{Clock: clock}, rows[2:5]); a.Status() != abi.Abstain {
		t.Errorf("with nothing left: %v", a.Status())
	}
	if a, _ := decide(t, i, abi.Route, abi.Header{}, nil); a.Status() != abi.NoCandidate {
		t.Errorf("without rows: %v", a.Status())
	}
	if stride, tags := i.Wants(abi.Route); stride != 128 || tags != 0 {
		t.Errorf("wants %d bytes of rows, tags %b", stride, tags)
	}
}

func TestAdmit(t *testing.T) {
	i := load(t, `
kind = "admit"
otherwise = "shed"
[[rule]]
when   = "fromPeer and running + sentSince >= slots"
answer = "shed"
wait   = 0.1
reason = 2
[[rule]]
when   = "priority < 0 and saturation > 800"
answer = "reject"
reason = 9
[[rule]]
when   = "queued < 2 * slots"
answer = "queue"
`)
	for name, c := range map[string]struct {
		h    abi.Header
		r    abi.Row
		want uint32
	}{
		"peer, busy": {abi.Header{Flags: abi.FromPeer}, row(func(r *abi.Row) { r.Running = 4 }), abi.PackVerdict(abi.Shed, 2, 1)},
		"peer, free": {abi.Header{Flags: abi.FromPeer | abi.Streamed}, row(nil), abi.PackVerdict(abi.Queue, 0, 0)},
		"unwanted":   {abi.Header{Priority: -5, Saturation: 900}, row(nil), abi.PackVerdict(abi.Reject, 9, 0)},
		"wanted":     {abi.Header{Priority: 5, Saturation: 900}, row(nil), abi.PackVerdict(abi.Queue, 0, 0)},
		"full":       {abi.Header{}, row(func(r *abi.Row) { r.Queued = 8 }), abi.PackVerdict(abi.Shed, 0, 10)},
	} {
		if a, _ := decide(t, i, abi.Admit, c.h, []abi.Row{c.r}); a != abi.Pack(abi.OK, c.want) {
			t.Errorf("%s: %#x, want %#x", name, uint64(a), c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	score := func(value string) string { return fmt.Sprintf("kind = \"route\"\n[[score]]\nvalue = %q\n", value) }
	for text, want := range map[string]string{
		"":                                   `kind is missing`,
		"kind = 3":                           `incompatible types`,
		"kind = \"route\"\nkind = \"admit\"": `line 2`,
		"kind = \"rout\"":                    `did you mean route?`,
		"kind = \"replicate\"":               `cannot be written as rules`,
		"kind = \"route\"":                   `score is missing`,
		"kind = \"route\"\nscroe = 1":        `key "scroe" is not known; did you mean score?`,
		"kind = \"admit\"\n[[score]]\nvalue = \"rtt\"":                                `belong to kind = "route"`,
		"kind = \"route\"\nname = \"A b\"":                                            `name "A b"`,
		"kind = \"route\"\n[params]\nrtt = 1":                                         `rtt is the name of a figure`,
		"kind = \"admit\"\n[[rule]]\nwhen = \"true\"\nanswer = \"alow\"":              `did you mean allow?`,
		"kind = \"admit\"\n[[rule]]\nwhen = \"true\"\nanswer = \"allow\"\nwait = 3.0": `wait belongs to`,
		"kind = \"route\"\n[params]\nrand = 1":                                        `choose another`,
		"kind = \"route\"\n[params]\n\"per-request\" = 1":                             `use letters, digits`,
		"kind = \"admit\"\n[[rule]]\nwhen = \"true\"\nanswer = \"shed\"\nwait = 0.05": `0.1 at the least`,
		score("queud"):                            `score 1: "queud" is not known; did you mean queued?`,
		score("rtt +"):                            `ends too early`,
		score("rtt rtt"):                          `"rtt" is not expected at character 5`,
		score("loaded"):                           `is a condition, and a number is wanted`,
		score("loadAt"):                           `use age(loadAt)`,
		score("age(rtt)"):                         `age takes the name of a moment`,
		score("rtt / 0"):                          `by 0`,
		score("prompt*prompt*rtt"):                `can exceed 64 bits`,
		score("node + 1"):                         `can exceed 64 bits`,
		score("if(rtt, 1, 2)"):                    `if takes a condition`,
		score("min(1)"):                           `min takes 2 values`,
		score("rtt = 1"):                          `write ==`,
		score("rtt && 1"):                         `joined with and`,
		score("(rtt"):                             `")" is expected and not "the end"`,
		score("1 < 2 < 3"):                        `two comparisons`,
		score("99999999999999999999"):             `no whole number`,
		score(strings.Repeat("(", 500)):           `nested deeper`,
		score(strings.Repeat("rtt+", 3000) + "1"): `more than 2000`,
	} {
		p, err := rules.Compile([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.80q: %v, %v; want %q", text, p, err, want)
		}
	}
}

// Rules that compile are not stopped for want of fuel, on however many nodes.
func TestFuelOfManyRows(t *testing.T) {
	compiled, refused := 0, 0
	for n := 20; n <= 34; n++ {
		value := strings.Repeat("rand()%7+", n) + "1"
		text := fmt.Sprintf("kind = \"route\"\n[[score]]\nvalue = %q\n", value)
		if _, err := rules.Compile([]byte(text)); err != nil {
			if !strings.Contains(err.Error(), "units of fuel a row") {
				t.Fatal(err)
			}
			refused++
			continue
		}
		compiled++
		decide(t, load(t, text), abi.Route, abi.Header{}, make([]abi.Row, abi.MaxRows))
	}
	if compiled == 0 || refused == 0 {
		t.Errorf("%d compiled, %d refused: the bound was not met", compiled, refused)
	}
}

// Rows shorter than what is read are no view: behind them lies the next row.
func TestShortRows(t *testing.T) {
	for _, c := range []struct {
		kind abi.Kind
		text string
	}{
		{abi.Route, "kind = \"route\"\n[[score]]\nvalue = \"sentSince\"\n"},
		{abi.Admit, "kind = \"admit\"\n[[rule]]\nwhen = \"sentSince > 1\"\nanswer = \"queue\"\n"},
	} {
		i := load(t, c.text)
		s := abi.Shape{Kind: c.kind, Rows: 1, Stride: abi.PartSize}
		b, err := i.View(c.kind, s.Size())
		if err != nil {
			t.Fatal(err)
		}
		put(b, &s, abi.Header{}, make([]abi.Row, 1))
		if a, _, err := i.Call(c.kind, len(b), 1); err != nil || a.Status() != abi.BadRequest {
			t.Errorf("%v: %v, %v", c.kind, a.Status(), err)
		}
	}
}

// The examples of the reference compile, load and decide.
func TestExamples(t *testing.T) {
	page, err := os.ReadFile("../RULES.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(examples) < 2 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, e := range examples {
		i := load(t, e[1])
		if n := i.Info().Bytes; n > 1024 {
			t.Errorf("%s takes %d bytes", i.Info().Name, n)
		}
	}
}

// Every figure the reference names is there, and compiles.
func TestEveryName(t *testing.T) {
	for _, f := range abi.RowFields {
		expr := f.Name
		switch {
		case f.Name == "flags":
			continue
		case f.Size == 8:
			expr = fmt.Sprintf("if(%s == previous, 1, 2)", f.Name)
		case strings.HasSuffix(f.Name, "At"):
			expr = "age(" + f.Name + ")"
		}
		if _, err := rules.Compile([]byte(fmt.Sprintf("kind = \"route\"\n[[score]]\nvalue = %q\n", expr))); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
}

func BenchmarkRoute(b *testing.B) {
	for _, name := range []string{"weights", "expected-time"} {
		text, err := os.ReadFile(filepath.Join("testdata", name+".toml"))
		if err != nil {
			b.Fatal(err)
		}
		i := load(b, string(text))
		b.Logf("%s: %d bytes", name, i.Info().Bytes)
		for _, n := range []int{8, 64, 512, 4096} {
			rows := make([]abi.Row, n)
			for k := range rows {
				rows[k] = row(func(r *abi.Row) {
					r.RTT, r.Queued, r.Decode, r.Prefill, r.SpeedAt = uint32(k)*100, uint32(k)%7, 10_000, 200_000, 1
				})
			}
			stride, _ := i.Wants(abi.Route)
			s := abi.Shape{Kind: abi.Route, Rows: n, Stride: stride}
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					v, _ := i.View(abi.Route, s.Size())
					h := abi.Begin(v, &s)
					h.Clock, h.Prompt, h.ExpectOut = clock, 100, 128
					off := abi.HeaderSize
					for k := range rows {
						*abi.LoadPart(v, off) = rows[k].RowLoad
						*abi.SeenPart(v, off) = rows[k].RowSeen
						off += stride
					}
					if _, _, err := i.Call(abi.Route, len(v), n); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	text, err := os.ReadFile("testdata/expected-time.toml")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := rules.Compile(text); err != nil {
			b.Fatal(err)
		}
	}
}
