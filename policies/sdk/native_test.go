package sdk_test

import (
	"math/rand/v2"

	"omx/policies/abi"
)

// What the projects of every language compute, in plain Go.

func expectedTime(h *abi.Header, r *abi.Row) uint32 {
	if r.Flags&(abi.Draining|abi.Suspect) != 0 {
		return abi.Never
	}
	const most = uint64(abi.Never - 1)
	prefill, decode, time := uint64(1_000_000), uint64(100_000), uint64(50_000)
	if r.SpeedAt != 0 {
		prefill, decode = uint64(r.Prefill), uint64(r.Decode)
	}
	if r.RTTAt != 0 {
		time = uint64(r.RTT)
	}
	slots := uint64(max(r.Slots, 1))
	ahead := min(uint64(r.Queued)+uint64(r.Running)+uint64(r.SentSince), most)
	prompt := min(uint64(h.Prompt-min(h.Prompt, r.Prefix))*prefill/1000, most)
	service := min(prompt+uint64(h.ExpectOut)*decode, most)
	time += prompt
	if ahead >= slots {
		time += (ahead - slots + 1) * service / slots
	}
	if r.Flags&abi.Loaded == 0 {
		time += 5_000_000
	}
	return uint32(min(time, most))
}

func route(h *abi.Header, rows []abi.Row) (abi.Answer, []uint32) {
	best, pick, scores := abi.Never, abi.None, make([]uint32, len(rows))
	for i := range rows {
		if scores[i] = expectedTime(h, &rows[i]); scores[i] < best {
			best, pick = scores[i], uint32(i)
		}
	}
	if pick == abi.None {
		return abi.Pack(abi.NoCandidate, 0), scores
	}
	return abi.Pack(abi.OK, pick), scores
}

func admit(h *abi.Header, r *abi.Row) abi.Answer {
	verdict := func(a abi.Action, reason uint8, wait uint16) abi.Answer {
		return abi.Pack(abi.OK, abi.PackVerdict(a, reason, wait))
	}
	slots, waiting := uint64(r.Slots), uint64(r.Queued)+uint64(r.SentSince)
	places := 4 * slots
	if h.Priority < 0 {
		places = slots
	}
	decode := uint64(100_000)
	if r.SpeedAt != 0 {
		decode = uint64(r.Decode)
	}
	switch {
	case r.LoadAt == 0 || slots == 0 || waiting+uint64(r.Running) < slots:
		return verdict(abi.Allow, 0, 0)
	case waiting < places:
		return verdict(abi.Queue, 0, 0)
	}
	return verdict(abi.Shed, 1, uint16(min(max(uint64(h.ExpectOut)*decode/100_000, 10), 300)))
}

func replicate(rows []abi.Row, models []abi.Model, copies []abi.Copy) (abi.Answer, abi.Step) {
	model := -1
	for i, m := range models {
		if m.Copies+m.Moving < m.Least && (model < 0 || m.Demand1h > models[model].Demand1h) {
			model = i
		}
	}
	if model < 0 {
		return abi.Pack(abi.OK, 0), abi.Step{}
	}
	holds := map[uint16]bool{}
	for _, c := range copies {
		if int(c.Model) == model {
			holds[c.Node] = true
		}
	}
	node, most := -1, uint32(0)
	for i := range rows {
		r := &rows[i]
		if !holds[uint16(i)] && r.Flags&(abi.Draining|abi.Suspect) == 0 && r.MachineAt != 0 &&
			uint64(r.DiskFree) >= models[model].Bytes>>20+1024 && r.DiskFree > most {
			node, most = i, r.DiskFree
		}
	}
	if node < 0 {
		return abi.Pack(abi.OK, 0), abi.Step{}
	}
	return abi.Pack(abi.OK, 1), abi.Step{Op: uint16(abi.OpFetch), Model: uint16(model), Node: uint16(node), Source: abi.AnySource, Priority: 1}
}

// fleet makes figures that reach every branch, now and then to the ends of their
// ranges.
type fleet struct{ *rand.Rand }

func (f fleet) figure(most uint32) uint32 {
	switch f.IntN(16) {
	case 0:
		return 0
	case 1:
		return abi.None
	}
	return f.Uint32N(most)
}

func (f fleet) flags(of ...uint32) (sum uint32) {
	for _, flag := range of {
		if f.IntN(4) == 0 {
			sum |= flag
		}
	}
	return sum
}

func (f fleet) header() abi.Header {
	return abi.Header{Prompt: f.figure(8000), ExpectOut: f.figure(2000), Priority: int32(f.IntN(3)) - 1, Clock: 1 << 31}
}

func (f fleet) rows(n int) []abi.Row {
	rows := make([]abi.Row, n)
	for i := range rows {
		r := &rows[i]
		r.Flags = f.flags(abi.Draining, abi.Suspect) | abi.Loaded&^f.flags(abi.Loaded)
		r.Slots, r.Queued, r.Running, r.LoadAt = f.figure(8), f.figure(20), f.figure(8), f.figure(1000)
		r.Prefill, r.Decode, r.SpeedAt = f.figure(2_000_000), f.figure(200_000), f.figure(1000)
		r.RTT, r.RTTAt, r.SentSince, r.Prefix = f.figure(300_000), f.figure(1000), f.figure(9), f.figure(8000)
		r.DiskFree, r.MachineAt = f.figure(900_000), f.figure(1000)
	}
	return rows
}

func (f fleet) models(n, rows int) (models []abi.Model, copies []abi.Copy) {
	for i := range n {
		models = append(models, abi.Model{Model: uint64(i) + 1, Bytes: uint64(f.figure(1<<20)) << 15,
			Copies: f.Uint32N(3), Moving: f.Uint32N(2), Least: f.Uint32N(4), Demand1h: f.figure(50)})
		for range f.IntN(4) {
			copies = append(copies, abi.Copy{Model: uint16(i), Node: uint16(f.IntN(rows)), State: uint32(abi.StateOnDisk)})
		}
	}
	return models, copies
}
