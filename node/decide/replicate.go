package decide

import (
	"slices"

	"omx/node/catalog"
	"omx/policies/abi"
)

// Wish is what the operator wants of one model's copies.
type Wish struct {
	Least, Most uint32 // copies; Most 0: any number
	Pinned      bool   // no copy of it is ever dropped
}

// Step is one action of a replication plan.
type Step struct {
	Op       abi.Op
	Model    catalog.ModelID
	Node     catalog.NodeID
	Source   catalog.NodeID // zero: any holder
	Priority uint32         // higher goes first
	Budget   uint32         // kbit/s; 0 as the operator allows
}

// Plan is a replication decision.
type Plan struct {
	Steps   []Step
	Refused int // steps the policy wanted that must not be taken
	By      Source
}

// assumedLink is taken for the speed of a link nobody has measured: fast
// Ethernet.
const assumedLink = 100_000 // kbit/s

// Replicate decides at now which node that is up should get or give up which
// model. It is asked every few seconds and may allocate. Without a policy
// nothing moves.
func (d *Decider) Replicate(now catalog.Micros, s *catalog.Snapshot, wishes map[catalog.ModelID]Wish, seed uint64) Plan {
	t := &d.replicate
	t.mu.Lock()
	defer t.mu.Unlock()
	e := newEstate(s, wishes, now)
	d.held = e.since(d.held, now)
	t.shape.Rows, t.shape.Models, t.shape.Copies = len(e.rows), len(e.models), len(e.copies)
	p := Plan{By: Source{Policy: Builtin, Status: abi.NotReady}}
	if t.active == nil {
		return p
	}
	view, status := t.window(t.shape.Size())
	if status == abi.OK {
		e.write(view, &t.shape, s, now, seed)
		l := t.active
		var a abi.Answer
		a, p.By.Fuel, status = t.ask(view, 0)
		result := t.result(view)
		if status == abi.OK {
			status = p.choose(result, e, a)
		}
		p.By.Policy, p.By.Digest, p.By.Status = l.Name, l.digest, status
		t.ended(l, a, status, 0, p.By.Fuel, now)
	}
	if status != abi.OK {
		p.By, p.Steps = Source{Policy: Builtin, Status: status}, nil
		t.builtin++
	}
	return p
}

// estate is all a replication policy sees, before it is written.
type estate struct {
	nodes  []*catalog.Node
	rows   []abi.Row
	ids    []catalog.ModelID
	models []abi.Model
	copies []abi.Copy
}

// copyID is a copy of a model.
type copyID struct {
	model catalog.ModelID
	node  catalog.NodeID
}

// since notes since when each copy has been seen without a break, and returns that for
// the next time; those that are seen first count from now.
func (e *estate) since(before map[copyID]catalog.Micros, now catalog.Micros) map[copyID]catalog.Micros {
	held := make(map[copyID]catalog.Micros, len(e.copies))
	for i := range e.copies {
		c := &e.copies[i]
		if c.State == uint32(abi.StatePartial) {
			continue
		}
		id := copyID{e.ids[c.Model], e.nodes[c.Node].ID}
		at, known := before[id]
		if !known {
			at = now
		}
		held[id], c.HeldAt = at, catalog.Stamp(at)
	}
	return held
}

func newEstate(s *catalog.Snapshot, wishes map[catalog.ModelID]Wish, now catalog.Micros) *estate {
	e := &estate{}
	rowOf := map[catalog.NodeID]int{}
	for _, n := range s.Nodes {
		if n.Up && len(e.nodes) < abi.MaxNodes {
			rowOf[n.ID] = len(e.nodes)
			e.nodes = append(e.nodes, n)
			e.rows = append(e.rows, catalog.NodeRow(n))
		}
	}
	s.Models(func(m catalog.ModelID, _ []catalog.Holder) { e.ids = append(e.ids, m) })
	slices.SortFunc(e.ids, catalog.ModelID.Compare)
	e.ids = e.ids[:min(len(e.ids), abi.MaxModels)]
	for i, id := range e.ids {
		v := s.Model(id)
		w := wishes[id]
		m := abi.Model{Model: v.Handle, Least: w.Least, Most: w.Most, Refetch: abi.None,
			Demand1m: v.Demand[0], Demand10m: v.Demand[1], Demand1h: v.Demand[2]}
		if w.Pinned {
			m.Flags |= abi.ModelPinned
		}
		zones := map[uint32]bool{}
		for j := range v.Holders {
			h := &v.Holders[j]
			row, known := rowOf[h.ID]
			if !known || len(e.copies) == abi.MaxCopies {
				continue
			}
			m.Bytes = max(m.Bytes, uint64(max(h.Bytes, 0)))
			m.Copies++
			zones[h.Zone] = true
			if h.Self {
				m.Flags |= abi.ModelHere
			}
			c := abi.Copy{Model: uint16(i), Node: uint16(row), State: copyState(h.State), Part: 1000, Flags: abi.CopyVerified}
			if w.Pinned {
				c.Flags |= abi.CopyHeld
			}
			e.copies = append(e.copies, c)
		}
		for row, n := range e.nodes {
			if slices.Contains(n.Fetching, id) && len(e.copies) < abi.MaxCopies {
				m.Moving++
				e.copies = append(e.copies, abi.Copy{Model: uint16(i), Node: uint16(row), State: uint32(abi.StatePartial)})
			}
		}
		m.Zones = uint32(len(zones))
		m.Refetch = uint32(min(m.Bytes*8/1000/assumedLink, uint64(abi.None)-1))
		e.models = append(e.models, m)
	}
	e.rank()
	return e
}

// rank numbers the models by demand over an hour, equal ones by their place.
func (e *estate) rank() {
	order := make([]int, len(e.models))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(int64(e.models[b].Demand1h) - int64(e.models[a].Demand1h)) })
	for rank, i := range order {
		e.models[i].Rank = uint32(rank)
	}
}

func copyState(s catalog.State) uint32 {
	switch s {
	case catalog.Loaded:
		return uint32(abi.StateLoaded)
	case catalog.Loading:
		return uint32(abi.StateLoading)
	}
	return uint32(abi.StateOnDisk)
}

func (e *estate) write(b []byte, shape *abi.Shape, s *catalog.Snapshot, now catalog.Micros, seed uint64) {
	h := abi.Begin(b, shape)
	h.Now, h.Clock, h.ViewAt, h.Seed = uint64(now), catalog.Stamp(now), catalog.Stamp(s.At), seed
	h.Nodes, h.NodesUp, h.SelfRow, h.Entry = uint32(len(s.Nodes)), s.NodesUp, abi.None, s.Self.Handle
	for i := range e.rows {
		abi.PutRow(b, shape.Stride, i, &e.rows[i])
		if e.nodes[i].Self {
			h.SelfRow = uint32(i)
		}
	}
	for i := range e.models {
		abi.PutModel(b, h, i, &e.models[i])
	}
	for i := range e.copies {
		abi.PutCopy(b, h, i, &e.copies[i])
	}
}

// choose checks the steps of an answer. One that names what is not there makes
// the whole answer bad; one that would lose a model is left out.
func (p *Plan) choose(view []byte, e *estate, a abi.Answer) abi.Status {
	n := int(a.Value())
	v, err := abi.Open(view)
	if n > abi.MaxSteps || err != nil {
		return abi.BadAnswer
	}
	left := make([]uint32, len(e.models)) // copies of each model, after the steps so far
	for i := range e.models {
		left[i] = e.models[i].Copies
	}
	held := make(map[[2]uint16]bool, len(e.copies))
	for _, c := range e.copies {
		held[[2]uint16{c.Model, c.Node}] = c.State != uint32(abi.StatePartial)
	}
	for i := range n {
		s := v.Step(i)
		if int(s.Model) >= len(e.models) || int(s.Node) >= len(e.nodes) || s.Source != abi.AnySource && int(s.Source) >= len(e.nodes) {
			return abi.BadAnswer
		}
		m := &e.models[s.Model]
		at := [2]uint16{s.Model, s.Node}
		ok := false
		switch op := abi.Op(s.Op); op {
		case abi.OpFetch:
			ok = !held[at] && m.Copies > 0 && (s.Source == abi.AnySource || held[[2]uint16{s.Model, s.Source}])
			held[at] = held[at] || ok
		case abi.OpDrop:
			// What is still to be fetched does not count as a copy.
			if ok = held[at] && left[s.Model] > 1 && m.Flags&abi.ModelPinned == 0; ok {
				left[s.Model]--
				delete(held, at)
			}
		case abi.OpLoad, abi.OpUnload:
			ok = held[at]
		default:
			return abi.BadAnswer
		}
		if !ok {
			p.Refused++
			continue
		}
		step := Step{Op: abi.Op(s.Op), Model: e.ids[s.Model], Node: e.nodes[s.Node].ID, Priority: s.Priority, Budget: s.Budget}
		if s.Source != abi.AnySource {
			step.Source = e.nodes[s.Source].ID
		}
		p.Steps = append(p.Steps, step)
	}
	return abi.OK
}
