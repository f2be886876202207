package decide

import (
	"omx/node/catalog"
	"omx/policies/abi"
)

// fill writes the request, and what is known of the mesh as a whole, into the
// header of a view. m may be nil: nobody has the model.
func (r *Request) fill(h *abi.Header, s *catalog.Snapshot, m *catalog.ModelView, now catalog.Micros) {
	h.Now, h.Clock, h.ViewAt = uint64(now), catalog.Stamp(now), catalog.Stamp(s.At)
	h.Seed, h.Request, h.Tenant = r.Seed, r.ID, r.Tenant
	h.Session, h.Affinity, h.Peer = r.Session, r.Affinity, r.Peer
	if h.Entry = r.Entry; r.Entry == 0 {
		h.Entry = s.Self.Handle
	}
	h.Prompt, h.MaxOut, h.ExpectOut = r.Prompt, r.MaxOut, r.expectOut()
	h.Priority, h.Class, h.WantFirst, h.WantEach = r.Priority, r.Class, r.WantFirst, r.WantEach
	if r.Deadline > 0 {
		h.Deadline = max(1, millis(r.Deadline-now))
	}
	h.Flags, h.Attempt, h.Hops, h.Turn = r.flags(), r.Attempt, r.Hops, r.Turn
	h.SelfRow = abi.None
	h.Nodes, h.NodesUp = uint32(len(s.Nodes)), s.NodesUp
	if m == nil {
		h.Model = r.Model.Handle()
		return
	}
	h.Model = m.Handle
	h.Replicas, h.Saturation = uint32(len(m.Holders)), m.Saturation
	h.Demand1m, h.Demand10m, h.Demand1h = m.Demand[0], m.Demand[1], m.Demand[2]
	if len(m.Rows) > 0 && m.Holders[0].Self {
		h.QueueTokens = m.Rows[0].Pending
	}
}

// looked is where a model was found last: most requests ask for one of a few,
// and a decision on admission takes little longer than to look for it.
type looked struct {
	in    *catalog.Snapshot
	model catalog.ModelID
	view  *catalog.ModelView
}

func (l *looked) find(s *catalog.Snapshot, m catalog.ModelID) *catalog.ModelView {
	if l.in != s || l.model != m {
		*l = looked{s, m, s.Model(m)}
	}
	return l.view
}

// begin writes the header of a view of the request, and its extension.
func (r *Request) begin(b []byte, t *slot, s *catalog.Snapshot, m *catalog.ModelView, now catalog.Micros) *abi.Header {
	h := abi.Begin(b, &t.shape)
	r.fill(h, s, m, now)
	if t.shape.Ext > 0 {
		r.putExt(b, h, t.tags)
	}
	return h
}

// fillRows writes a row per holder, as far as the stride reaches.
func (r *Request) fillRows(b []byte, stride int, holders []catalog.Holder, rows []abi.Row) {
	off := abi.HeaderSize
	for i := range holders {
		if stride > 2*abi.PartSize {
			abi.PutRow(b, stride, i, &rows[i])
		} else {
			*abi.LoadPart(b, off) = rows[i].RowLoad
		}
		if stride > abi.PartSize {
			seen := abi.SeenPart(b, off)
			holders[i].FillSeen(seen)
			r.fillPrefix(seen, &holders[i])
		}
		off += stride
	}
}

// fillPrefix writes how much of the prompt a holder remembers.
func (r *Request) fillPrefix(seen *abi.RowSeen, h *catalog.Holder) {
	if n := h.Prefixes.Match(r.Blocks); n > 0 {
		seen.Prefix, seen.PrefixAt = min(uint32(n)*r.BlockTokens, r.Prompt), catalog.Stamp(h.Load.At)
	}
}

// extSize is the length of what the policies want to know by name.
func (r *Request) extSize(tags uint32) int {
	if tags&(1<<abi.TagModelName) == 0 {
		return 0
	}
	return abi.ItemSize(len(r.Model.String()))
}

func (r *Request) putExt(view []byte, h *abi.Header, tags uint32) {
	if tags&(1<<abi.TagModelName) != 0 {
		abi.PutItem(view[h.Ext:], abi.TagModelName, r.Model.String())
	}
}
