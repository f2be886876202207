package decide

import (
	"math/bits"

	"omx/policies/abi"
)

// Histogram counts figures by their magnitude: Buckets[n] holds those of n bits,
// that is below 1<<n.
type Histogram struct {
	Buckets [32]uint64 `json:"buckets"`
	Sum     uint64     `json:"sum"`
	Count   uint64     `json:"count"`
}

func (h *Histogram) add(v uint64) {
	h.Buckets[min(bits.Len64(v), len(h.Buckets)-1)]++
	h.Sum += v
	h.Count++
}

// Stats is how one policy has done at one kind of decision.
type Stats struct {
	Decisions uint64                   `json:"decisions"`
	Faults    uint64                   `json:"faults"` // of those, failed: the built-in rule took them
	Traps     uint64                   `json:"traps"`  // of those, crashed or out of fuel
	Discards  uint64                   `json:"discards"`
	Statuses  [abi.NotReady + 1]uint64 `json:"statuses"` // by abi.Status
	Fuel      Histogram                `json:"fuel"`
	Time      Histogram                `json:"time_ns"` // of one decision in sixteen
}

// Loaded is a policy that is there, and how it has done.
type Loaded struct {
	Name   string   `json:"name"`
	Digest [32]byte `json:"-"`
	Policy Policy   `json:"-"`            // without a Builtin
	Bytes  uint64   `json:"memory_bytes"` // of its instances
	Stats
}

// Status is which policies there are for a kind.
type Status struct {
	Kind       abi.Kind    `json:"-"`
	Generation uint64      `json:"generation"` // how often what decides was changed
	Active     Loaded      `json:"active"`     // Builtin with a zero digest if no policy decides
	Shadow     *Loaded     `json:"shadow,omitempty"`
	LastGood   *Loaded     `json:"last_good,omitempty"`
	SetAside   string      `json:"set_aside,omitempty"` // the policy that failed too often, if it was not replaced since
	Builtin    uint64      `json:"builtin"`             // decisions that the built-in rule took
	Agreed     uint64      `json:"agreed"`              // of the shadow with what decided
	Differed   uint64      `json:"differed"`
	Examples   []Different `json:"examples,omitempty"` // of late
}

// memorySized is a guest that tells how much memory it holds.
type memorySized interface{ MemoryBytes() uint64 }

func (l *loaded) status() *Loaded {
	if l == nil {
		return nil
	}
	out := &Loaded{Name: l.Name, Digest: l.digest, Policy: l.Policy, Stats: l.stats}
	for _, g := range []Guest{l.guest, l.spare} {
		if m, ok := g.(memorySized); ok {
			out.Bytes += m.MemoryBytes()
		}
	}
	return out
}

func (s *slot) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{Kind: s.kind, Generation: s.generation, Active: Loaded{Name: Builtin}, Shadow: s.shadow.status(), LastGood: s.last.status(),
		SetAside: s.aside, Builtin: s.builtin, Agreed: s.differs.agreed, Differed: s.differs.differed, Examples: s.differs.list()}
	if s.active != nil {
		st.Active = *s.active.status()
	}
	return st
}

// maxExamples of differences are kept.
const maxExamples = 16

// Different is a decision that the shadow would have taken otherwise.
type Different struct {
	Request uint64     `json:"request"`
	Status  abi.Status `json:"status"`
	Value   uint32     `json:"value"` // row, verdict or number of steps
	Shadow  abi.Answer `json:"shadow"`
}

// differences counts where a shadow disagrees.
type differences struct {
	agreed, differed uint64
	examples         [maxExamples]Different
}

func (d *differences) compare(kind abi.Kind, request uint64, a abi.Answer, status abi.Status, shadow abi.Answer) {
	same := status == shadow.Status()
	if same && status == abi.OK {
		x, y := a.Value(), shadow.Value()
		if kind == abi.Admit { // reasons and waits are each policy's own
			x, y = x&0xff, y&0xff
		}
		same = x == y
	}
	if same {
		d.agreed++
		return
	}
	d.examples[d.differed%maxExamples] = Different{request, status, a.Value(), shadow}
	d.differed++
}

// list is the examples, oldest first.
func (d *differences) list() (out []Different) {
	n := min(d.differed, maxExamples)
	for i := d.differed - n; i < d.differed; i++ {
		out = append(out, d.examples[i%maxExamples])
	}
	return out
}
