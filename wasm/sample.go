package wasm

import (
	"errors"
	"fmt"

	"omx/policies/abi"
)

// What a sample view of a replication has beside its rows.
const (
	sampleModels = 3
	sampleCopies = 2 // of each model
)

// sampleShape is that of a sample view of so many rows.
func sampleShape(k abi.Kind, rows, stride int) abi.Shape {
	s := abi.Shape{Kind: k, Rows: rows, Stride: stride}
	if k == abi.Replicate {
		s.Models, s.Copies = sampleModels, sampleModels*min(sampleCopies, rows)
	}
	return s
}

// sampleView writes a view such as a small fleet would give: nodes at growing
// distance, differently busy, the last one without any figures.
func sampleView(b []byte, s abi.Shape) {
	const now = 1_000_000_000 // µs
	const clock = now / 1000
	h := abi.Begin(b, &s)
	h.Now, h.Clock, h.ViewAt, h.Seed, h.Request, h.Model, h.Entry = now, clock, clock-50, 1, 1, 1, 1
	h.Prompt, h.MaxOut, h.ExpectOut, h.Nodes, h.NodesUp = 512, 256, 128, uint32(s.Rows), uint32(s.Rows)
	if s.Rows == 0 {
		h.SelfRow = abi.None
	}
	for i := range s.Rows {
		u := uint32(i)
		var r abi.Row
		r.Node = uint64(i) + 1
		if i == 0 || i < s.Rows-1 {
			r.Flags, r.RTT, r.RTTAt = abi.Loaded, 500*u, clock-10
			r.Queued, r.Running, r.Slots, r.LoadAt, r.SentSince = u%3, u%5, 4, clock-100, u%2
			r.Prefill, r.Decode, r.SpeedAt = 200_000+1000*u, 20_000+100*u, clock-1000
			r.Prefix, r.PrefixAt, r.Errors, r.ErrorsAt = 64*(u%4), clock-1000, u%10, clock-1000
			r.MemFree, r.DiskFree, r.MachineAt, r.Zone = 4096, 100_000, clock-100, u%3
		}
		if i == 0 {
			r.Flags |= abi.Self
		}
		abi.PutRow(b, s.Stride, i, &r)
	}
	for i := range s.Models {
		copies := uint32(min(sampleCopies, s.Rows))
		abi.PutModel(b, h, i, &abi.Model{Model: uint64(i) + 1, Bytes: 1 << 30, Copies: copies, Zones: copies, Demand1h: 100 * uint32(i), Rank: uint32(s.Models - 1 - i), Refetch: 80})
	}
	for i := range s.Copies {
		per := s.Copies / s.Models
		abi.PutCopy(b, h, i, &abi.Copy{Model: uint16(i / per), Node: uint16(i % per), State: uint32(abi.StateLoaded), Part: 1000, Flags: abi.CopyVerified})
	}
}

// selfTestRows is the size of the view a module is tried on when loaded.
const selfTestRows = 3

// rowsOf is how many rows a sample view of a kind can have, up to most.
func rowsOf(k abi.Kind, most int) int {
	switch k {
	case abi.Admit:
		return min(most, 1)
	case abi.Replicate:
		return min(most, abi.MaxNodes)
	default:
		return most
	}
}

// selfTest has the policy decide once per kind, so that one that cannot is
// refused before it counts.
func (i *Instance) selfTest() error {
	for n, d := range deciders {
		if i.ports[n].fn == nil {
			continue
		}
		if _, _, err := i.try(d.kind, rowsOf(d.kind, selfTestRows)); err != nil {
			return refuse("fails on a sample view: %s: %w", d.export, err)
		}
	}
	if err := i.Event((&abi.Event{Kind: uint16(abi.EventTick), Clock: 1_000_001, Now: 1_000_001_000}).Bytes()); err != nil {
		return refuse("fails on a sample event: %s: %w", abi.ExportEvent, err)
	}
	return nil
}

// try has the policy decide on a sample view and checks what it says.
func (i *Instance) try(k abi.Kind, rows int) (abi.Answer, uint64, error) {
	stride, _ := i.Wants(k)
	s := sampleShape(k, rows, stride)
	b, err := i.View(k, s.Size())
	if err != nil {
		return 0, 0, err
	}
	sampleView(b, s)
	a, fuel, err := i.Call(k, len(b), rows)
	if err != nil {
		return a, fuel, err
	}
	if b, err = i.View(k, s.Size()); err != nil {
		return a, fuel, err
	}
	return a, fuel, checkAnswer(k, a, rows, b)
}

func checkAnswer(k abi.Kind, a abi.Answer, rows int, view []byte) error {
	switch s := a.Status(); s {
	case abi.OK:
	case abi.NoCandidate, abi.Abstain:
		return nil
	case abi.BadRequest:
		return errors.New("it cannot read the view: it must take the row length from the header and not compare it")
	case abi.Unsupported:
		return fmt.Errorf("it says that it does not decide %q: leave out the export", k)
	default:
		return fmt.Errorf("answer %#x has no known status", uint64(a))
	}
	switch k {
	case abi.Admit:
		if _, _, _, ok := abi.UnpackVerdict(a.Value()); !ok {
			return fmt.Errorf("answer %#x has an unknown action", uint64(a))
		}
	case abi.Replicate:
		return checkSteps(view, a.Value())
	default:
		if int64(a.Value()) >= int64(rows) {
			return fmt.Errorf("answer names row %d of %d", a.Value(), rows)
		}
	}
	return nil
}

func checkSteps(view []byte, steps uint32) error {
	v, err := abi.Open(view)
	if err != nil {
		return fmt.Errorf("it wrote over the view: %w", err)
	}
	if steps > abi.MaxSteps {
		return fmt.Errorf("answer has %d steps, %d are possible", steps, abi.MaxSteps)
	}
	for n := range int(steps) {
		s := v.Step(n)
		if abi.Op(s.Op).String() == "unknown" || uint32(s.Node) >= v.Count || s.Model >= v.Models || s.Source != abi.AnySource && uint32(s.Source) >= v.Count {
			return fmt.Errorf("step %d names what is not there: %+v", n, *s)
		}
	}
	return nil
}
