package journal

import (
	"cmp"
	"fmt"
	"slices"

	"omx/policies/abi"
)

// Report is what a replay found.
type Report struct {
	Kinds   []KindReport `json:"kinds"` // with decisions
	Events  uint64       `json:"events"`
	Skipped uint64       `json:"skipped"` // decisions for which there was no policy
	Gaps    uint64       `json:"gaps"`
	Lost    uint64       `json:"lost"`    // records in those gaps, as far as it is known
	Took    int64        `json:"took_ns"` // reading included; 0 without a clock
}

// KindReport is that of one kind of decision.
type KindReport struct {
	Kind      string        `json:"kind"`
	Decisions uint64        `json:"decisions"`
	Differ    uint64        `json:"differ"`
	Reasons   []ReasonCount `json:"reasons,omitempty"` // why, the most frequent first
	Unsure    uint64        `json:"unsure"`            // decisions by an instance that may have had another state when they were recorded
	Lacked    uint64        `json:"lacked"`            // decisions for which figures that the policy reads were not recorded
	Before    Quantiles     `json:"fuel_before"`
	After     Quantiles     `json:"fuel_after"`
	Call      Quantiles     `json:"call_ns"` // of one call in sixteen; zeros without a clock
	Examples  []Example     `json:"examples,omitempty"`
}

// ReasonCount is how many decisions differ in one way.
type ReasonCount struct {
	Reason string `json:"reason"`
	Count  uint64 `json:"count"`
}

// Quantiles of a figure.
type Quantiles struct {
	Median uint64 `json:"median"`
	P99    uint64 `json:"p99"`
}

// Example is a decision that differs.
type Example struct {
	ID         uint64      `json:"id,omitempty"` // as the node names it
	Request    uint64      `json:"request,string"`
	Clock      uint32      `json:"clock_ms"` // of the view
	Reason     string      `json:"reason"`
	Before     string      `json:"before"`
	After      string      `json:"after"`
	Candidates []Candidate `json:"candidates,omitempty"` // the nodes that were and are chosen
}

// Candidate is a node as the policy saw it.
type Candidate struct {
	Row     int    `json:"row"`
	Node    uint64 `json:"node,string"` // handle
	Slots   uint32 `json:"slots"`
	Queued  uint32 `json:"queued"`
	Running uint32 `json:"running"`
	Sent    uint32 `json:"sent_since"`
	RTT     uint32 `json:"rtt_us"`
	Prefix  uint32 `json:"prefix"`
	Before  uint32 `json:"score_before"` // abi.Never: left out
	After   uint32 `json:"score_after"`
}

// Differ is how many decisions differ in all.
func (r *Report) Differ() (n uint64) {
	for i := range r.Kinds {
		n += r.Kinds[i].Differ
	}
	return n
}

// Decisions is how many decisions were replayed.
func (r *Report) Decisions() (n uint64) {
	for i := range r.Kinds {
		n += r.Kinds[i].Decisions
	}
	return n
}

// tally counts for a KindReport.
type tally struct {
	KindReport
	reasons             map[string]uint64
	before, after, call sample
	orders              [2][maxOrder]int32 // room to compare in
}

// differs counts a decision that differs.
func (k *tally) differs(reason string) {
	k.Differ++
	if k.reasons == nil {
		k.reasons = map[string]uint64{}
	}
	k.reasons[reason]++
}

func (k *tally) finish() KindReport {
	for reason, n := range k.reasons {
		k.Reasons = append(k.Reasons, ReasonCount{reason, n})
	}
	slices.SortFunc(k.Reasons, func(a, b ReasonCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	k.Before, k.After, k.Call = k.before.quantiles(), k.after.quantiles(), k.call.quantiles()
	return k.KindReport
}

// sampled is how many figures quantiles are taken from: far fewer than a journal
// has, and enough for one in a hundred.
const sampled = 1 << 15

// sample keeps every nth figure, so that it never has more than sampled of them.
type sample struct {
	kept  []uint64
	every uint64
	seen  uint64
}

func (s *sample) add(v uint64) {
	if s.every == 0 {
		s.every, s.kept = 1, make([]uint64, 0, sampled)
	}
	if s.seen++; s.seen%s.every != 0 {
		return
	}
	if len(s.kept) == sampled {
		for i := range sampled / 2 {
			s.kept[i] = s.kept[2*i+1]
		}
		s.kept = s.kept[:sampled/2]
		s.every *= 2
		return
	}
	s.kept = append(s.kept, v)
}

func (s *sample) quantiles() Quantiles {
	if len(s.kept) == 0 {
		return Quantiles{}
	}
	slices.Sort(s.kept)
	n := len(s.kept)
	return Quantiles{s.kept[n/2], s.kept[n*99/100]}
}

// text is an answer in words.
func text(k abi.Kind, s abi.Status, a abi.Answer) string {
	if s != abi.OK {
		return s.String()
	}
	switch k {
	case abi.Route:
		return fmt.Sprintf("row %d", a.Value())
	case abi.Admit:
		action, reason, wait, _ := abi.UnpackVerdict(a.Value())
		if action == abi.Shed {
			return fmt.Sprintf("%s for %d.%d s, reason %d", action, wait/10, wait%10, reason)
		}
		return fmt.Sprintf("%s, reason %d", action, reason)
	}
	return fmt.Sprintf("%d steps", a.Value())
}

// example tells of a decision that differs now.
func example(r *Record, reason string, now *answered) Example {
	d := &r.Decision
	h := abi.HeaderAt(d.View)
	e := Example{ID: d.ID, Request: h.Request, Clock: h.Clock, Reason: reason,
		Before: text(r.Kind, d.Status, d.Answer), After: text(r.Kind, now.status, now.answer)}
	if r.Kind != abi.Route {
		return e
	}
	v, err := abi.Open(d.View)
	if err != nil {
		return e // the reader has opened it before
	}
	for i, a := range []abi.Answer{d.Answer, now.answer} {
		row := int(a.Value())
		if []abi.Status{d.Status, now.status}[i] != abi.OK || row >= int(h.Count) || i == 1 && row == int(d.Answer.Value()) && len(e.Candidates) > 0 {
			continue
		}
		n := v.Row(row)
		c := Candidate{Row: row, Node: n.Node, Slots: n.Slots, Queued: n.Queued, Running: n.Running, Sent: n.SentSince, RTT: n.RTT, Prefix: n.Prefix,
			Before: abi.Never, After: abi.Never}
		if row < len(d.Scores) {
			c.Before = d.Scores[row]
		}
		if row < len(now.scores) {
			c.After = now.scores[row]
		}
		e.Candidates = append(e.Candidates, c)
	}
	return e
}
