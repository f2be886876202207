package policies_test

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"omx/policies/abi"
)

// Whole numbers of any size: what the policies compute, without their bounds.
type number struct{ *big.Int }

func num[T uint32 | uint64 | int](v T) number { return number{new(big.Int).SetUint64(uint64(v))} }

func (a number) add(b number) number { return number{new(big.Int).Add(a.Int, b.Int)} }
func (a number) sub(b number) number { return number{new(big.Int).Sub(a.Int, b.Int)} }
func (a number) mul(b number) number { return number{new(big.Int).Mul(a.Int, b.Int)} }
func (a number) div(b number) number { return number{new(big.Int).Div(a.Int, b.Int)} }
func (a number) low(b number) number {
	if a.Cmp(b.Int) < 0 {
		return a
	}
	return b
}

var most = num(abi.Never - 1)

// estimate is what both policies begin with.
func estimate(h *abi.Header, r *abi.Row) (rtt, prefill, decode, batch, ahead, slots, uncached number) {
	rtt, prefill, decode, batch = num(50_000), num(1_000_000), num(100_000), num(125)
	if r.RTTAt != 0 {
		rtt = num(r.RTT)
	}
	if r.SpeedAt != 0 {
		prefill, decode = num(r.Prefill), num(r.Decode)
		if r.Batch != 0 {
			batch = num(r.Batch)
		}
	}
	ahead, slots = num(r.SentSince), num(max(r.Slots, 1))
	if r.LoadAt != 0 {
		ahead = ahead.add(num(r.Queued)).add(num(r.Running))
	}
	return rtt, prefill, decode, batch, ahead, slots, num(h.Prompt - min(r.Prefix, h.Prompt))
}

func stretched(time number, r *abi.Row) uint32 {
	time = time.low(most)
	if r.ErrorsAt != 0 {
		time = time.add(time.mul(num(4 * min(r.Errors, 1000))).div(num(1000)))
	}
	return uint32(time.low(most).Uint64())
}

func expectedTime(h *abi.Header, r *abi.Row) uint32 {
	rtt, prefill, decode, _, ahead, slots, uncached := estimate(h, r)
	ahead = ahead.low(most)
	one := num(1)
	step := decode.mul(num(7).add(ahead.add(one).low(slots))).div(num(8)).low(most)
	reading := uncached.mul(prefill).div(num(1000)).low(most)
	service := num(h.ExpectOut).mul(step).div(slots).add(reading).low(most)
	time := rtt.add(reading).add(num(8).mul(step))
	if ahead.Cmp(slots.Int) >= 0 {
		time = time.add(ahead.sub(slots).add(one).mul(service).low(most))
	}
	if r.Flags&abi.Loaded == 0 {
		time = time.add(num(5_000_000))
	}
	return stretched(time, r)
}

// firstWords is prefix-affinity's score of a node that is not the holder.
func firstWords(h *abi.Header, r *abi.Row) uint32 {
	rtt, prefill, decode, batch, ahead, slots, uncached := estimate(h, r)
	one := num(1)
	milli := func(x number) number { return x.low(num(uint64(1) << 41)).div(num(1000)) }
	step := decode.add(milli(decode.mul(batch.mul(ahead.low(slots.sub(one))).low(most))))
	tokens := num(r.SentSince).add(one).mul(uncached)
	if r.LoadAt != 0 {
		tokens = tokens.add(num(r.Pending))
	}
	time := rtt.add(num(8).mul(step)).add(milli(tokens.low(most).mul(prefill)))
	if ahead.Cmp(slots.Int) >= 0 {
		service := num(h.ExpectOut).mul(step.low(most)).div(slots).low(most)
		time = time.add(ahead.sub(slots).add(one).mul(service).low(most))
	}
	if r.Flags&abi.Loaded == 0 {
		if r.Ready == 0 {
			time = time.add(num(5_000_000))
		} else {
			time = time.add(num(r.Ready).mul(num(1000)))
		}
	}
	return stretched(time, r)
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

func arbitraryStamp(r *rand.Rand) uint32 {
	if r.IntN(4) == 0 {
		return 0
	}
	return now - r.Uint32N(10_000)
}

func arbitraryRequest(r *rand.Rand) request {
	seed, prompt, out, flags, saturation := r.Uint64(), arbitrary(r, 8000), arbitrary(r, 500), r.Uint32N(8), arbitrary(r, 4000)
	tenant, priority := r.Uint64N(40), int32(r.IntN(5)-2)
	return func(h *abi.Header) {
		h.Seed, h.Request, h.Affinity, h.Tenant, h.Priority = seed, seed, seed%5, tenant, priority
		h.Prompt, h.ExpectOut, h.Flags, h.Saturation, h.SelfRow = prompt, out, flags, saturation, 0
	}
}

func arbitraryRows(r *rand.Rand, n int) []abi.Row {
	rows := make([]abi.Row, n)
	for i := range rows {
		p := &rows[i]
		p.Node, p.Flags = r.Uint64(), abi.Loaded
		if r.IntN(4) == 0 {
			p.Flags = r.Uint32N(32)
		}
		p.RTT, p.RTTAt = arbitrary(r, 300_000), arbitraryStamp(r)
		p.Queued, p.Running, p.Slots, p.LoadAt = arbitrary(r, 20), arbitrary(r, 8), arbitrary(r, 8), arbitraryStamp(r)
		p.Pending, p.Ready, p.Zone = arbitrary(r, 9000), arbitrary(r, 9000), r.Uint32N(4)
		p.Prefill, p.Decode, p.Batch, p.SpeedAt = arbitrary(r, 1_000_000), arbitrary(r, 100_000), arbitrary(r, 300), arbitraryStamp(r)
		p.SentSince, p.InFlight, p.Prefix = arbitrary(r, 4), arbitrary(r, 8), arbitrary(r, 8000)
		p.Errors, p.ErrorsAt, p.UsedAt = arbitrary(r, 1000), arbitraryStamp(r), arbitraryStamp(r)
		p.First, p.FirstPeak, p.FirstAt = arbitrary(r, 900_000), arbitrary(r, 900_000), arbitraryStamp(r)
		p.RIF, p.RIFFirst, p.RIFAt = arbitrary(r, 9), arbitrary(r, 900_000), arbitraryStamp(r)
		p.CoordX, p.CoordY, p.CoordHeight, p.CoordError = int32(arbitrary(r, 90_000)), int32(arbitrary(r, 90_000)), arbitrary(r, 9000), arbitrary(r, 500)
		p.DiskFree, p.MachineAt = arbitrary(r, 100_000), arbitraryStamp(r)
	}
	return rows
}

// Scores of arbitrary figures are those of the formulas in the policies' comments.
func TestFormulas(t *testing.T) {
	cases := map[string]struct {
		score func(h *abi.Header, r *abi.Row) uint32
		exact int64 // to one part in so many, which a multiplication for a division costs
	}{"expected-time": {expectedTime, 1 << 62}, "prefix-affinity": {firstWords, 1_000_000}}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			g := use(t, abi.Route, name, "")
			r := rand.New(rand.NewPCG(1, 2))
			for round := range 4000 {
				var h abi.Header
				fill, rows := arbitraryRequest(r), arbitraryRows(r, 1+round%4)
				fill(&h)
				if name == "prefix-affinity" { // without a holder
					for n := range rows {
						rows[n].Prefix = min(rows[n].Prefix, max(h.Prompt/2, 1)-1)
					}
				}
				a, scores := g.decide(fill, rows)
				want, best := abi.Pack(abi.NoCandidate, 0), abi.Never
				for n := range rows {
					s := abi.Never
					if rows[n].Flags&(abi.Draining|abi.Suspect) == 0 {
						s = c.score(&h, &rows[n])
					}
					if off := int64(scores[n]) - int64(s); off != 0 && (off < 0 || off > int64(s)/c.exact+1 || c.exact == 1<<62) {
						t.Fatalf("round %d, row %d: score %d, want %d\n%+v\n%+v", round, n, scores[n], s, h, rows[n])
					}
					if scores[n] < best {
						best, want = scores[n], abi.Pack(abi.OK, uint32(n))
					}
				}
				if a != want {
					t.Fatalf("round %d: answer %#x, want %#x; scores %d", round, a, want, scores)
				}
			}
		})
	}
}
