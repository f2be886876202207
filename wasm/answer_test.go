package wasm

import (
	"slices"
	"strings"
	"testing"

	"omx/policies/abi"
)

// Nothing that a policy answers may name what is not there.
func TestCheckAnswer(t *testing.T) {
	view := func(k abi.Kind) []byte {
		s := sampleShape(k, 3, abi.RowSize)
		b := make([]byte, s.Size())
		sampleView(b, s)
		return b
	}
	// steps puts so many equal steps into a view, of three nodes and three models.
	steps := func(n int, s abi.Step) []byte {
		b := view(abi.Replicate)
		v, err := abi.Open(b)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			*v.Step(i) = s
		}
		return slices.Clone(v.Bytes())
	}
	fetch := abi.Step{Op: uint16(abi.OpFetch), Model: 2, Node: 2, Source: abi.AnySource}
	change := func(f func(*abi.Step)) abi.Step { s := fetch; f(&s); return s }
	scribbled := view(abi.Replicate)
	scribbled[0]++
	for name, c := range map[string]struct {
		kind   abi.Kind
		answer abi.Answer
		view   []byte
		want   string // in the error; empty: good
	}{
		"a row":             {abi.Route, abi.Pack(abi.OK, 2), nil, ""},
		"no such row":       {abi.Route, abi.Pack(abi.OK, 3), nil, "names row 3 of 3"},
		"a negative row":    {abi.Route, abi.Pack(abi.OK, ^uint32(0)), nil, "names row 4294967295 of 3"},
		"nobody":            {abi.Route, abi.Pack(abi.NoCandidate, 99), nil, ""},
		"no opinion":        {abi.Admit, abi.Pack(abi.Abstain, 99), nil, ""},
		"cannot read":       {abi.Route, abi.Pack(abi.BadRequest, 0), nil, "cannot read the view"},
		"not its kind":      {abi.Admit, abi.Pack(abi.Unsupported, 0), nil, `does not decide "admit"`},
		"a host's status":   {abi.Route, abi.Pack(abi.OutOfFuel, 0), nil, "no known status"},
		"a verdict":         {abi.Admit, abi.Pack(abi.OK, abi.PackVerdict(abi.Shed, 1, 10)), nil, ""},
		"no such action":    {abi.Admit, abi.Pack(abi.OK, 4), nil, "unknown action"},
		"no steps":          {abi.Replicate, abi.Pack(abi.OK, 0), view(abi.Replicate), ""},
		"steps":             {abi.Replicate, abi.Pack(abi.OK, 2), steps(2, fetch), ""},
		"as many as go":     {abi.Replicate, abi.Pack(abi.OK, abi.MaxSteps), steps(abi.MaxSteps, fetch), ""},
		"more than go":      {abi.Replicate, abi.Pack(abi.OK, abi.MaxSteps+1), steps(abi.MaxSteps, fetch), "257 steps, 256 are possible"},
		"a step not made":   {abi.Replicate, abi.Pack(abi.OK, 3), steps(2, fetch), "step 2 names"},
		"no such operation": {abi.Replicate, abi.Pack(abi.OK, 1), steps(1, change(func(s *abi.Step) { s.Op = 5 })), "step 0 names"},
		"no such node":      {abi.Replicate, abi.Pack(abi.OK, 1), steps(1, change(func(s *abi.Step) { s.Node = 3 })), "step 0 names"},
		"no such model":     {abi.Replicate, abi.Pack(abi.OK, 1), steps(1, change(func(s *abi.Step) { s.Model = 3 })), "step 0 names"},
		"no such source":    {abi.Replicate, abi.Pack(abi.OK, 1), steps(1, change(func(s *abi.Step) { s.Source = 3 })), "step 0 names"},
		"a source":          {abi.Replicate, abi.Pack(abi.OK, 1), steps(1, change(func(s *abi.Step) { s.Source = 0 })), ""},
		"written over":      {abi.Replicate, abi.Pack(abi.OK, 1), scribbled, "wrote over the view"},
	} {
		err := checkAnswer(c.kind, c.answer, 3, c.view)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
