package wasm

import (
	"errors"
	"fmt"

	"omx/policies/abi"
)

// sampleView writes a view such as a small fleet would give: nodes at growing
// distance, differently busy, the last one without any figures.
func sampleView(b []byte, k abi.Kind, rows int) {
	abi.PutHeader(b, &abi.Header{
		Kind: k, Now: 1_000_000, Seed: 1, Request: 1, Model: 1,
		Prompt: 512, MaxOut: 256, ExpectOut: 128, SelfRow: 0,
	}, rows)
	for i := range rows {
		u := uint32(i)
		r := abi.Row{
			Node: uint64(i) + 1, Flags: abi.Loaded, RTT: 500 * u, RTTAge: 10,
			Queued: u % 3, Running: u % 5, Slots: 4, LoadAge: 100, SentSince: u % 2,
			Prefill: 200_000 + 1000*u, Decode: 20_000 + 100*u, SpeedAge: 1000,
			Prefix: 64 * (u % 4), Errors: u % 10, ErrorsAge: 1000, MemFree: 4096, MemFreeAge: 100,
		}
		if i == 0 {
			r.Flags |= abi.Self
		} else if i == rows-1 {
			r = abi.Row{Node: r.Node, RTTAge: abi.None, LoadAge: abi.None, SpeedAge: abi.None, ErrorsAge: abi.None, MemFreeAge: abi.None}
		}
		abi.PutRow(b, i, &r)
	}
}

// selfTestRows is the size of the view a module is tried on when loaded.
const selfTestRows = 3

// selfTest has the policy decide once per kind, so that one that cannot is
// refused before it counts.
func (i *Instance) selfTest() error {
	for n, d := range deciders {
		if i.ports[n].fn == nil {
			continue
		}
		if _, _, err := i.try(d.kind, min(selfTestRows, d.rows)); err != nil {
			return refuse("fails on a sample view: %s: %w", d.export, err)
		}
	}
	return nil
}

// try has the policy decide on a sample view and checks what it says.
func (i *Instance) try(k abi.Kind, rows int) (abi.Answer, uint64, error) {
	b, err := i.View(k, rows)
	if err != nil {
		return 0, 0, err
	}
	sampleView(b, k, rows)
	a, fuel, err := i.Call(k, len(b))
	if err == nil {
		err = checkAnswer(k, a, rows)
	}
	return a, fuel, err
}

func checkAnswer(k abi.Kind, a abi.Answer, rows int) error {
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
	if k == abi.Admit {
		if _, _, _, ok := abi.UnpackVerdict(a.Value()); !ok {
			return fmt.Errorf("answer %#x has an unknown action", uint64(a))
		}
	} else if int64(a.Value()) >= int64(rows) {
		return fmt.Errorf("answer names row %d of %d", a.Value(), rows)
	}
	return nil
}
