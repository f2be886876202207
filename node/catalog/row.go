package catalog

import "omx/policies/abi"

// Rows are what policies see of a node. They are made here, when a picture of
// the mesh is published, and not for each decision: what a node says of itself
// changes far more rarely than it is looked at.

// Stamp is a moment as policies see it: ms, of which the upper bits are cut off;
// 0 is never, for a moment of 0.
func Stamp(at Micros) uint32 {
	if at == 0 {
		return 0
	}
	return max(uint32(at/1000), 1)
}

// FillSeen writes the part of a row that this node has seen itself; the rest is
// in ModelView.Rows.
func (h *Holder) FillSeen(p *abi.RowSeen) {
	h.Seen.fill(p, h.Load.Queued+h.Load.Running, Stamp(h.Load.At), h.sentBase)
}

// InFlight is the number of this node's requests there now, and how many of them
// the node's own figures cannot contain yet.
func (h *Holder) InFlight() (all, since uint32) {
	all = h.Seen.InFlight()
	return all, min(h.Seen.sent.Load()-h.sentBase, all)
}

// NodeRow is a row of what a node is, without any model.
func NodeRow(n *Node) (r abi.Row) {
	nodeRow(&r, n)
	return r
}

func nodeRow(r *abi.Row, n *Node) {
	*r = abi.Row{}
	r.Node, r.Zone = n.Handle, n.Zone
	r.RTT, r.RTTAt = n.RTT, Stamp(n.RTTAt)
	at := Stamp(n.NodeInfo.At)
	if n.Self {
		r.Flags, r.RTT, r.RTTAt = abi.Self, 0, max(at, 1)
	}
	if n.Draining {
		r.Flags |= abi.Draining
	}
	if n.Suspect {
		r.Flags |= abi.Suspect
	}
	r.MemFree, r.MemTotal, r.DiskFree, r.MachineAt = n.MemFreeMiB, n.MemTotalMiB, n.DiskFreeMiB, at
	r.Battery = abi.None
	const ms = 1000
	r.CoordX, r.CoordY, r.CoordHeight = int32(n.Coord.X*ms), int32(n.Coord.Y*ms), uint32(n.Coord.Height*ms)
	r.JoinedAt, r.UpAt = Stamp(n.JoinedAt), Stamp(n.UpAt)
}

// placementRow adds what one model on it is like.
func placementRow(r *abi.Row, p *Placement) {
	load, speed := &p.Load, &p.Speed
	r.Queued, r.Running, r.Slots, r.Pending, r.LoadAt = load.Queued, load.Running, load.Slots, load.Pending, Stamp(load.At)
	r.Prefill, r.Decode, r.Batch, r.SpeedAt = speed.PrefillNS, speed.DecodeUS, speed.Batch, Stamp(speed.At)
	r.Context = p.Context
	switch p.State {
	case Loaded:
		r.Flags |= abi.Loaded
	case Loading:
		r.Flags |= abi.Loading
	case OnDisk:
		r.Flags |= abi.Stored
	}
}
