package decide

import (
	"time"

	"omx/node/catalog"
	"omx/policies/abi"
)

// closedWait is what a client is told to wait when the admission policy fails
// and the operator wants nobody let in then.
const closedWait = time.Second

// Admit decides whether this node takes the request at now.
func (d *Decider) Admit(now catalog.Micros, s *catalog.Snapshot, r *Request) Verdict {
	t := &d.admit
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.seen.find(s, r.Model)
	if m != nil && !r.FromPeer {
		m.Asked()
	}
	t.shape.Rows, t.shape.Ext = 1, r.extSize(t.tags)
	size := t.shape.Size()
	view, status := t.window(size)
	d.fillAdmit(view, s, m, r, now)

	v := Verdict{By: Source{Policy: Builtin, Status: status}}
	if status == abi.OK {
		l := t.active
		var a abi.Answer
		a, v.By.Fuel, status = t.ask(view, r.ID)
		if status == abi.OK && !v.set(a.Value()) {
			status = abi.BadAnswer
		}
		v.By.Policy, v.By.Digest, v.By.Status = l.Name, l.digest, status
		t.ended(l, a, status, 0, v.By.Fuel, now)
		if status == abi.OK {
			d.admission.count(now, v.Action)
			return v
		}
		view = t.own(size)
		d.fillAdmit(view, s, m, r, now)
		v.By = Source{Policy: Builtin, Status: status}
	}
	t.builtin++
	if d.cfg.AdmitClosed && t.active != nil && status >= abi.OutOfFuel {
		v.Action, v.Reason, v.Wait = abi.Shed, reasonPolicyFailed, closedWait
	} else {
		here, row := self(m)
		v.set(nativeAdmit(r, here, row).Value())
	}
	d.admission.count(now, v.Action)
	return v
}

// fillAdmit writes the view of an admission: one row, this node as a holder of
// the model, or without any load if it does not have it.
func (d *Decider) fillAdmit(b []byte, s *catalog.Snapshot, m *catalog.ModelView, r *Request, now catalog.Micros) {
	stride := d.admit.shape.Stride
	h := r.begin(b, &d.admit, s, m, now)
	h.SelfRow = 0
	d.admission.fill(h, r.Tenant, now)
	if here, _ := self(m); here != nil {
		r.fillRows(b, stride, m.Holders[:1], m.Rows[:1])
		return
	}
	abi.PutRow(b, stride, 0, &s.SelfRow)
}

// self is this node as a holder of the model, nil if it is none.
func self(m *catalog.ModelView) (*catalog.Holder, *abi.RowLoad) {
	if m == nil || !m.Holders[0].Self {
		return nil, nil
	}
	return &m.Holders[0], &m.Rows[0].RowLoad
}

func (v *Verdict) set(value uint32) bool {
	action, reason, wait, ok := abi.UnpackVerdict(value)
	if ok {
		v.Action, v.Reason, v.Wait = action, reason, time.Duration(wait)*100*time.Millisecond
	}
	return ok
}
