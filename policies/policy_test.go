package policies_test

import (
	"context"
	"encoding/binary"
	"math/big"
	"math/rand/v2"
	"testing"

	"omx/policies"
	"omx/policies/abi"
	"omx/wasm"
)

var le = binary.LittleEndian

func load(t *testing.T, code []byte) *wasm.Instance {
	t.Helper()
	h, err := wasm.NewHost(t.Context(), wasm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close(context.Background()) })
	i, err := h.Load(t.Context(), t.Name(), code, wasm.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func loadBuiltin(t *testing.T, name string) *wasm.Instance {
	t.Helper()
	code, ok := policies.Builtin(name)
	if !ok {
		t.Fatalf("no policy %q", name)
	}
	return load(t, code)
}

// decide writes a view, calls, and returns the answer and the scores.
func decide(t *testing.T, i *wasm.Instance, k abi.Kind, h abi.Header, rows []abi.Row) (abi.Answer, []uint32) {
	t.Helper()
	v, err := i.View(k, len(rows))
	if err != nil {
		t.Fatal(err)
	}
	h.Kind = k
	abi.PutHeader(v, &h, len(rows))
	for n := range rows {
		abi.PutRow(v, n, &rows[n])
	}
	a, _, err := i.Call(k, len(v))
	if err != nil {
		t.Fatal(err)
	}
	if v, err = i.View(k, len(rows)); err != nil {
		t.Fatal(err)
	}
	scores := make([]uint32, len(rows))
	for n := range rows {
		scores[n] = abi.Score(v, len(rows), n)
	}
	return a, scores
}

// arbitrary draws figures from the whole range, from its ends and from what is usual.
func arbitrary(r *rand.Rand, usual uint32) uint32 {
	switch r.IntN(8) {
	case 0:
		return 0
	case 1:
		return ^uint32(0)
	case 2:
		return r.Uint32()
	}
	return r.Uint32N(usual)
}

func arbitraryAge(r *rand.Rand) uint32 {
	if r.IntN(4) == 0 {
		return abi.None
	}
	return r.Uint32N(10_000)
}

func arbitraryView(r *rand.Rand, n int) (abi.Header, []abi.Row) {
	h := abi.Header{Seed: r.Uint64(), Prompt: arbitrary(r, 8000), ExpectOut: arbitrary(r, 500), SelfRow: abi.None}
	rows := make([]abi.Row, n)
	for i := range rows {
		rows[i] = abi.Row{
			Node: r.Uint64(), RTT: arbitrary(r, 300_000), RTTAge: arbitraryAge(r),
			Queued: arbitrary(r, 20), Running: arbitrary(r, 8), Slots: arbitrary(r, 8), LoadAge: arbitraryAge(r),
			SentSince: arbitrary(r, 4), InFlight: arbitrary(r, 8),
			Prefill: arbitrary(r, 1_000_000), Decode: arbitrary(r, 100_000), SpeedAge: arbitraryAge(r),
			Prefix: arbitrary(r, 8000), Errors: arbitrary(r, 1000), ErrorsAge: arbitraryAge(r),
		}
		rows[i].Flags = abi.Loaded
		if r.IntN(4) == 0 {
			rows[i].Flags = uint32(r.IntN(32))
		}
	}
	return h, rows
}

func usable(r *abi.Row) bool { return r.Flags&(abi.Draining|abi.Suspect) == 0 }

// The formulas of the policies' comments, again: without bounds on the numbers
// where those matter.
var formulas = map[string]func(h *abi.Header, r *abi.Row, i int) uint32{
	"expected-time": expectedTime,
	"nearest": func(h *abi.Header, r *abi.Row, i int) uint32 {
		if r.RTTAge == abi.None {
			return abi.Never - 1
		}
		return min(r.RTT, abi.Never-1)
	},
	"random": func(h *abi.Header, r *abi.Row, i int) uint32 {
		z := h.Seed + uint64(i) + 0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return min(uint32((z^z>>31)>>32), abi.Never-1)
	},
	"least-loaded": func(h *abi.Header, r *abi.Row, i int) uint32 {
		slots, near := uint64(max(r.Slots, 1)), uint32(1023)
		busy := uint64(r.Queued) + uint64(r.Running)
		if r.LoadAge == abi.None {
			busy = slots
		}
		if r.RTTAge != abi.None {
			near = min(r.RTT/1024, 1023)
		}
		return uint32(min((busy+uint64(r.SentSince))*1024/slots, 1<<22-2))<<10 + near
	},
}

func expectedTime(h *abi.Header, r *abi.Row, _ int) uint32 {
	big64 := func(v uint32) *big.Int { return new(big.Int).SetUint64(uint64(v)) }
	most := big64(abi.Never - 1)
	low := func(a, b *big.Int) *big.Int {
		if a.Cmp(b) < 0 {
			return a
		}
		return b
	}
	add := func(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }
	mul := func(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }
	div := func(a, b *big.Int) *big.Int { return new(big.Int).Div(a, b) }

	rtt, prefill, decode := r.RTT, r.Prefill, r.Decode
	if r.RTTAge == abi.None {
		rtt = 50_000
	}
	if r.SpeedAge == abi.None {
		prefill, decode = 1_000_000, 100_000
	}
	ahead := big64(r.SentSince)
	if r.LoadAge != abi.None {
		ahead = add(ahead, add(big64(r.Queued), big64(r.Running)))
	}
	ahead = low(ahead, most)
	slots := big64(max(r.Slots, 1))
	step := low(div(mul(big64(decode), add(big.NewInt(7), low(add(ahead, big.NewInt(1)), slots))), big.NewInt(8)), most)
	reading := low(div(mul(big64(h.Prompt-min(r.Prefix, h.Prompt)), big64(prefill)), big.NewInt(1000)), most)
	service := low(add(div(mul(big64(h.ExpectOut), step), slots), reading), most)
	time := add(add(big64(rtt), reading), mul(big.NewInt(8), step))
	if ahead.Cmp(slots) >= 0 {
		time = add(time, low(mul(add(new(big.Int).Sub(ahead, slots), big.NewInt(1)), service), most))
	}
	if r.Flags&abi.Loaded == 0 {
		time = add(time, big64(5_000_000))
	}
	time = low(time, most)
	if r.ErrorsAge != abi.None {
		time = add(time, div(mul(mul(time, big.NewInt(4)), big64(min(r.Errors, 1000))), big.NewInt(1000)))
	}
	return uint32(low(time, most).Uint64())
}

func TestRoutePolicies(t *testing.T) {
	for name, score := range formulas {
		t.Run(name, func(t *testing.T) {
			i := loadBuiltin(t, name)
			r := rand.New(rand.NewPCG(1, 2))
			none := 0
			for round := range 2000 {
				h, rows := arbitraryView(r, round%9)
				want, best := abi.Pack(abi.NoCandidate, 0), abi.Never
				a, scores := decide(t, i, abi.Route, h, rows)
				for n := range rows {
					s := abi.Never
					if usable(&rows[n]) {
						s = score(&h, &rows[n], n)
					}
					if scores[n] != s {
						t.Fatalf("round %d, row %d: score %d, want %d\n%+v\n%+v", round, n, scores[n], s, h, rows[n])
					}
					if s < best {
						best, want = s, abi.Pack(abi.OK, uint32(n))
					}
				}
				if a != want {
					t.Fatalf("round %d: answer %#x, want %#x; scores %d", round, a, want, scores)
				}
				if a.Status() == abi.NoCandidate {
					none++
				}
			}
			if none == 0 || none == 2000 {
				t.Errorf("%d of 2000 without candidate", none)
			}
		})
	}
}

// Cases one can follow by hand.
func TestExpectedTime(t *testing.T) {
	i := loadBuiltin(t, "expected-time")
	h := abi.Header{Prompt: 1000, ExpectOut: 100}
	node := func(change func(r *abi.Row)) abi.Row {
		r := abi.Row{Flags: abi.Loaded, RTT: 2000, Slots: 4, Prefill: 100_000, Decode: 10_000, ErrorsAge: abi.None}
		change(&r)
		return r
	}
	cases := map[string]struct {
		row  abi.Row
		want uint32
	}{
		"idle":            {node(func(r *abi.Row) {}), 2000 + 100_000 + 8*10_000},
		"prefix there":    {node(func(r *abi.Row) { r.Prefix = 600 }), 2000 + 40_000 + 8*10_000},
		"three of four":   {node(func(r *abi.Row) { r.Running = 3 }), 2000 + 100_000 + 8*13_750},
		"all slots busy":  {node(func(r *abi.Row) { r.Running = 4 }), 212_000 + 1*(100*13_750/4+100_000)},
		"sent since":      {node(func(r *abi.Row) { r.Running, r.SentSince = 4, 4 }), 212_000 + 5*443_750},
		"not loaded":      {node(func(r *abi.Row) { r.Flags = 0 }), 182_000 + 5_000_000},
		"fails a quarter": {node(func(r *abi.Row) { r.Errors, r.ErrorsAge = 250, 5 }), 2 * 182_000},
		"unknown":         {abi.Row{Flags: abi.Loaded, RTTAge: abi.None, LoadAge: abi.None, SpeedAge: abi.None, ErrorsAge: abi.None}, 50_000 + 1_000_000 + 8*100_000},
		"draining":        {node(func(r *abi.Row) { r.Flags |= abi.Draining }), abi.Never},
		"suspect":         {node(func(r *abi.Row) { r.Flags |= abi.Suspect }), abi.Never},
	}
	for name, c := range cases {
		if _, scores := decide(t, i, abi.Route, h, []abi.Row{c.row}); scores[0] != c.want {
			t.Errorf("%s: %d µs, want %d", name, scores[0], c.want)
		}
	}
}

func TestBoundedQueue(t *testing.T) {
	i := loadBuiltin(t, "bounded-queue")
	cases := map[string]struct {
		row    abi.Row
		action abi.Action
		wait   uint16
	}{
		"not served here":  {abi.Row{LoadAge: abi.None}, abi.Allow, 0},
		"no slots":         {abi.Row{Queued: 9}, abi.Allow, 0},
		"free slot":        {abi.Row{Slots: 4, Running: 3}, abi.Allow, 0},
		"slots busy":       {abi.Row{Slots: 4, Running: 4}, abi.Queue, 0},
		"nearly full":      {abi.Row{Slots: 4, Running: 4, Queued: 14, SentSince: 1}, abi.Queue, 0},
		"full":             {abi.Row{Slots: 4, Running: 4, Queued: 16, Decode: 50_000}, abi.Shed, 50},
		"full by own":      {abi.Row{Slots: 4, Running: 4, Queued: 15, SentSince: 1, Decode: 50_000}, abi.Shed, 50},
		"full, fast":       {abi.Row{Slots: 1, Running: 1, Queued: 4, Decode: 1}, abi.Shed, 10},
		"full, slow":       {abi.Row{Slots: 1, Running: 1, Queued: 4, Decode: 1 << 31}, abi.Shed, 300},
		"full, unmeasured": {abi.Row{Slots: 1, Running: 1, Queued: 4, SpeedAge: abi.None}, abi.Shed, 100},
		"largest figures":  {abi.Row{Slots: ^uint32(0), Running: ^uint32(0), Queued: ^uint32(0), SentSince: ^uint32(0)}, abi.Queue, 0},
	}
	for name, c := range cases {
		a, _ := decide(t, i, abi.Admit, abi.Header{ExpectOut: 100}, []abi.Row{c.row})
		action, reason, wait, ok := abi.UnpackVerdict(a.Value())
		if a.Status() != abi.OK || !ok || action != c.action || wait != c.wait || (reason == 1) != (c.action == abi.Shed) {
			t.Errorf("%s: %v, %v, reason %d, wait %d; want %v, %d", name, a.Status(), action, reason, wait, c.action, c.wait)
		}
	}
	if a, _ := decide(t, i, abi.Admit, abi.Header{}, nil); a.Status() != abi.BadRequest {
		t.Errorf("view without a row: %v", a.Status())
	}
}

// A host of a later minor version writes longer headers and rows.
func TestLongerRows(t *testing.T) {
	const header, stride, n = abi.HeaderSize + 16, abi.RowSize + 24, 3
	for _, p := range policies.List() {
		if p.Kind != abi.Route {
			continue
		}
		i := loadBuiltin(t, p.Name)
		r := rand.New(rand.NewPCG(3, 4))
		for range 100 {
			h, rows := arbitraryView(r, n)
			want, wantScores := decide(t, i, abi.Route, h, rows)
			v, err := i.View(abi.Route, 8)
			if err != nil {
				t.Fatal(err)
			}
			relay(v, header, stride, &h, rows)
			a, _, err := i.Call(abi.Route, len(v))
			if err != nil || a != want {
				t.Fatalf("%s: %#x, want %#x (%v)", p.Name, a, want, err)
			}
			for k, s := range wantScores {
				if got := le.Uint32(v[header+n*stride+4*k:]); got != s {
					t.Fatalf("%s: row %d scores %d, want %d", p.Name, k, got, s)
				}
			}
		}
	}
}

// relay writes a view with other lengths than this version's.
func relay(v []byte, header, stride int, h *abi.Header, rows []abi.Row) {
	short := make([]byte, abi.Size(len(rows)))
	abi.PutHeader(short, h, len(rows))
	for n := range rows {
		abi.PutRow(short, n, &rows[n])
	}
	for n := range v {
		v[n] = 0xa5
	}
	copy(v, short[:abi.HeaderSize])
	for n := range rows {
		copy(v[header+n*stride:], short[abi.HeaderSize+n*abi.RowSize:][:abi.RowSize])
	}
	le.PutUint16(v[12:], uint16(stride))
	le.PutUint16(v[14:], uint16(header))
	le.PutUint32(v[16:], uint32(header+len(rows)*stride))
	le.PutUint32(v[28:], uint32(header+len(rows)*(stride+4)))
}
