package sim

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"omx/node/catalog"
)

// told is what an engine said.
type told struct {
	kind kind
	at   catalog.Micros
	req  int32
}

// play feeds jobs to an engine at their moments and lets it run dry.
func playEngine(e *engine, at []catalog.Micros, jobs []job) (out []told, refused []int32) {
	tell := func(k kind, at catalog.Micros, req int32) { out = append(out, told{k, at, req}) }
	for i, j := range jobs {
		e.advance(at[i], tell)
		if !e.add(at[i], j) {
			refused = append(refused, j.req)
		}
	}
	for {
		at, ok := e.next()
		if !ok {
			return out, refused
		}
		e.advance(at, tell)
	}
}

// A device that reads a token in 1 ms and makes one in 10 ms; a second stream
// makes a step half as long again.
func toy(slots, bound int) *engine {
	return newEngine(&Device{Prefill: 1000, Decode: 100, Batch: 0.5, Slots: slots}, bound)
}

func TestEngineByHand(t *testing.T) {
	ms := func(n int) catalog.Micros { return catalog.Micros(n) * milli }
	cases := map[string]struct {
		engine  *engine
		at      []catalog.Micros
		jobs    []job
		want    []told
		refused []int32
	}{
		"one alone": {toy(1, 0), []catalog.Micros{0}, []job{{1, 100, 11}},
			[]told{{first, ms(100), 1}, {done, ms(200), 1}}, nil},
		"one token": {toy(1, 0), []catalog.Micros{0}, []job{{1, 100, 1}},
			[]told{{first, ms(100), 1}, {done, ms(100), 1}}, nil},
		"one slot: the second waits for the first": {toy(1, 1), []catalog.Micros{0, ms(50)}, []job{{1, 100, 11}, {2, 100, 11}},
			[]told{{first, ms(100), 1}, {done, ms(200), 1}, {first, ms(300), 2}, {done, ms(400), 2}}, nil},
		"no room: refused": {toy(1, 1), []catalog.Micros{0, 0, 0}, []job{{1, 100, 1}, {2, 100, 1}, {3, 100, 1}},
			[]told{{first, ms(100), 1}, {done, ms(100), 1}, {first, ms(200), 2}, {done, ms(200), 2}}, []int32{3}},
		// 1 is read until 100, 2 until 200. From there both decode, a step of 15 ms:
		// each needs 10 steps. They end together.
		"two slots share the decoding": {toy(2, 0), []catalog.Micros{0, 0}, []job{{1, 100, 11}, {2, 100, 11}},
			[]told{{first, ms(100), 1}, {first, ms(200), 2}, {done, ms(350), 1}, {done, ms(350), 2}}, nil},
		// 1 has made 4 of its 10 tokens by 140, when 2 stops it for 100 ms. From 240
		// both decode: 1 needs 6 steps of 15 ms and ends at 330; 2 has had 6, the
		// other 4 take 10 ms each.
		"prefill stops the decoding": {toy(2, 0), []catalog.Micros{0, ms(140)}, []job{{1, 100, 11}, {2, 100, 11}},
			[]told{{first, ms(100), 1}, {first, ms(240), 2}, {done, ms(330), 1}, {done, ms(370), 2}}, nil},
		"prefills go one after the other": {toy(2, 0), []catalog.Micros{0, ms(30)}, []job{{1, 100, 1}, {2, 50, 1}},
			[]told{{first, ms(100), 1}, {done, ms(100), 1}, {first, ms(150), 2}, {done, ms(150), 2}}, nil},
	}
	for name, c := range cases {
		got, refused := playEngine(c.engine, c.at, c.jobs)
		if !reflect.DeepEqual(got, c.want) || !reflect.DeepEqual(refused, c.refused) {
			t.Errorf("%s: told %v, refused %v; want %v, %v", name, got, refused, c.want, c.refused)
		}
	}
}

// With requests of one length that are only read, an engine of one slot is the
// queue M/D/1: the mean wait is ρS/2(1-ρ) (Pollaczek and Khinchine).
func TestEngineIsMD1(t *testing.T) {
	const n, rho, service = 200_000, 0.7, 100 * milli
	r := rand.New(rand.NewPCG(1, 1))
	at, jobs := make([]catalog.Micros, n), make([]job, n)
	now := 0.0
	for i := range jobs {
		now += r.ExpFloat64() * float64(service) / rho
		at[i], jobs[i] = catalog.Micros(now), job{int32(i), 100, 1}
	}
	out, refused := playEngine(toy(1, n), at, jobs)
	wait := 0.0
	for _, o := range out {
		if o.kind == done {
			wait += float64(o.at-at[o.req]-service) / n
		}
	}
	if want := rho * float64(service) / (2 * (1 - rho)); math.Abs(wait/want-1) > 0.03 || refused != nil {
		t.Errorf("mean wait %.0f µs, want %.0f; %d refused", wait, want, len(refused))
	}
}

// When a further stream makes the step longer by a whole one, and slots are
// plenty, decoding is processor sharing: whatever the lengths, the mean time
// there is E[S]/(1-ρ).
func TestEngineIsProcessorSharing(t *testing.T) {
	const n, rho = 100_000, 0.6
	e := newEngine(&Device{Prefill: 1e6, Decode: 100, Batch: 1, Slots: 64}, n)
	r := rand.New(rand.NewPCG(1, 1))
	at, jobs := make([]catalog.Micros, n), make([]job, n)
	mean, now := 0.0, 0.0
	for i := range jobs {
		jobs[i] = job{int32(i), 1, 1 + Lengths{Median: 50, Sigma: 1, Min: 1, Max: 5000}.draw(r)}
		mean += float64(jobs[i].output-1) * 10_000 / n
	}
	for i := range jobs {
		now += r.ExpFloat64() * mean / rho
		at[i] = catalog.Micros(now)
	}
	out, _ := playEngine(e, at, jobs)
	there := 0.0
	for _, o := range out {
		if o.kind == done {
			there += float64(o.at-at[o.req]) / n
		}
	}
	if want := mean / (1 - rho); math.Abs(there/want-1) > 0.05 {
		t.Errorf("mean time %.0f µs, want %.0f", there, want)
	}
}

// Looking at an engine more often must not change what it does by more than the
// rounding of each look.
func TestEngineLooks(t *testing.T) {
	at, jobs := []catalog.Micros{0, 7, 90_000, 300_000}, []job{{0, 100, 50}, {1, 10, 20}, {2, 300, 9}, {3, 1, 40}}
	want, _ := playEngine(toy(3, 4), at, jobs)
	e := toy(3, 4)
	var got []told
	tell := func(k kind, at catalog.Micros, req int32) { got = append(got, told{k, at, req}) }
	for now, i := catalog.Micros(0), 0; now < 3*second; now += 111 {
		for ; i < len(at) && at[i] <= now; i++ {
			e.advance(at[i], tell)
			e.add(at[i], jobs[i])
		}
		e.advance(now, tell)
	}
	if len(got) != len(want) {
		t.Fatalf("told %v, want %v", got, want)
	}
	for i := range got {
		if got[i].kind != want[i].kind || got[i].req != want[i].req || math.Abs(float64(got[i].at-want[i].at)) > 30 {
			t.Errorf("told %v, want %v", got[i], want[i])
		}
	}
}

func TestDevices(t *testing.T) {
	for _, d := range Devices() {
		if err := d.validate(); err != nil {
			t.Error(err)
		}
		if d.Source == "" {
			t.Errorf("%s has no source", d.Name)
		}
		for n := 1; n <= d.Slots; n++ {
			if rate := float64(n) * d.Decode * 1024 / float64(d.slowdown(n)); rate > d.Prefill*1.01 {
				t.Errorf("%s makes %.0f tokens/s in %d streams, more than the %.0f it can read", d.Name, rate, n, d.Prefill)
			}
		}
	}
	// The curve the factor is taken from: 79.0, 136.4, 224.5 tokens/s.
	m := Device{Prefill: 1000, Decode: 79, Batch: batchM, Slots: 4}
	if rate := 4 * m.Decode * 1024 / float64(m.slowdown(4)); math.Abs(rate/224.5-1) > 0.02 {
		t.Errorf("four streams make %.1f tokens/s, published 224.5", rate)
	}
}
