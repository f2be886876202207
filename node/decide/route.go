package decide

import (
	"omx/node/catalog"
	"omx/policies/abi"
)

// Route decides at now which nodes to try for the request, best first, into p.
// No picks means that no node that is up holds the model, or that the policy
// wants none of them.
func (d *Decider) Route(now catalog.Micros, s *catalog.Snapshot, r *Request, p *Picks) {
	p.N, p.ID = 0, d.seq.Add(1)
	t := &d.route
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.seen.find(s, r.Model)
	var holders []catalog.Holder
	var rows []abi.Row
	if m != nil {
		n := min(len(m.Holders), d.cfg.Candidates)
		holders, rows = m.Holders[:n], m.Rows[:n]
	}
	t.shape.Rows, t.shape.Ext = len(holders), r.extSize(t.tags)
	size := t.shape.Size()
	view, status := t.window(size)
	d.fillRoute(view, s, m, r, holders, rows, now)

	p.By = Source{Policy: Builtin, Status: status}
	if status == abi.OK {
		l := t.active
		var a abi.Answer
		a, p.By.Fuel, status = t.ask(view, r.ID)
		result := t.result(view)
		if status == abi.OK || status == abi.NoCandidate {
			status = p.choose(abi.Scores(result, len(holders), t.shape.Stride), holders, rows, a, status)
		}
		p.By.Policy, p.By.Digest, p.By.Status = l.Name, l.digest, status
		t.ended(l, a, status, p.ID, p.By.Fuel, now)
		if status != abi.OK && status != abi.NoCandidate {
			// The policy may have left anything in its memory: write the view anew.
			p.By = Source{Policy: Builtin, Status: status}
			view = t.own(size)
			d.fillRoute(view, s, m, r, holders, rows, now)
		} else {
			view = result
		}
	}
	if p.By.Policy == Builtin {
		t.builtin++
		a := nativeRoute(r, holders, rows, abi.Scores(view, len(holders), t.shape.Stride))
		p.choose(abi.Scores(view, len(holders), t.shape.Stride), holders, rows, a, a.Status())
	}
	if d.cfg.Record != nil {
		d.cfg.Record.route(p, view[:size], holders, now)
	}
}

// fillRoute writes the view of a route decision: a row per holder.
func (d *Decider) fillRoute(b []byte, s *catalog.Snapshot, m *catalog.ModelView, r *Request, holders []catalog.Holder, rows []abi.Row, now catalog.Micros) {
	h := r.begin(b, &d.route, s, m, now)
	if len(holders) > 0 && holders[0].Self {
		h.SelfRow = 0
	}
	r.fillRows(b, d.route.shape.Stride, holders, rows)
}

// choose checks an answer and turns the scores into picks: the answer's row
// first, then the others by score. Rows the policy scored Never, and rows that
// must not be used whatever it says, are left out.
func (p *Picks) choose(scores []uint32, holders []catalog.Holder, rows []abi.Row, a abi.Answer, status abi.Status) abi.Status {
	if status == abi.NoCandidate || len(holders) == 0 {
		return abi.NoCandidate
	}
	best := int(a.Value())
	if best >= len(holders) || len(scores) != len(holders) || !usable(&rows[best]) {
		return abi.BadAnswer
	}
	var order [MaxPicks]int32
	order[0] = int32(best)
	n, worst := 1, abi.Never // worst is the score of the last pick once there is no more room
	for i, score := range scores {
		if score >= worst || i == best || !usable(&rows[i]) {
			continue
		}
		at := min(n, MaxPicks-1)
		for at > 1 && scores[order[at-1]] > score {
			order[at] = order[at-1]
			at--
		}
		order[at] = int32(i)
		if n = min(n+1, MaxPicks); n == MaxPicks {
			worst = scores[order[n-1]]
		}
	}
	p.N = n
	for i, row := range order[:n] {
		h := &holders[row]
		p.Pick[i] = Pick{Node: h.ID, Handle: h.Handle, Self: h.Self, Score: scores[row], Seen: h.Seen, rif: rows[row].Queued + rows[row].Running}
	}
	return abi.OK
}

func usable(r *abi.Row) bool { return r.Flags&abi.Draining == 0 }
