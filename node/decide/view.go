package decide

import (
	"omx/node/catalog"
	"omx/policies/abi"
)

// fillRow writes what is known of a holder. Figures that were never sampled are
// 0 with an age of None.
func fillRow(r *abi.Row, h *catalog.Holder, now catalog.Micros) {
	n, load, speed := h.Node, &h.Load, &h.Speed
	r.Node, r.Zone = n.Handle, n.Zone
	r.RTT, r.RTTAge = n.RTT, age(now, n.RTTAt)
	r.Queued, r.Running, r.Slots, r.LoadAge = load.Queued, load.Running, load.Slots, age(now, load.At)
	r.SentSince, r.InFlight = h.Sent()
	r.Prefill, r.Decode, r.SpeedAge = speed.PrefillNS, speed.DecodeUS, age(now, speed.At)
	r.Prefix = 0 // prefixes are not known yet
	errors, at := h.Seen.ErrorRate()
	r.Errors, r.ErrorsAge = errors, age(now, at)
	r.MemFree, r.MemFreeAge = n.MemFreeMiB, age(now, n.NodeInfo.At)
	r.Flags = 0
	if n.Self {
		r.Flags, r.RTT, r.RTTAge = abi.Self, 0, 0
	}
	if h.State == catalog.Loaded {
		r.Flags |= abi.Loaded
	}
	if n.Draining {
		r.Flags |= abi.Draining
	}
	if n.Suspect {
		r.Flags |= abi.Suspect
	}
}

// encodeRoute writes the view of a route decision: a row per holder.
func encodeRoute(b []byte, h *abi.Header, holders []catalog.Holder, now catalog.Micros) {
	if len(holders) > 0 && holders[0].Self {
		h.SelfRow = 0
	}
	abi.PutHeader(b, h, len(holders))
	var row abi.Row
	for i := range holders {
		fillRow(&row, &holders[i], now)
		abi.PutRow(b, i, &row)
	}
}

// encodeAdmit writes the view of an admission: one row, this node as a holder
// of the model, or without any figure if it does not have it.
func encodeAdmit(b []byte, h *abi.Header, s *catalog.Snapshot, holders []catalog.Holder, now catalog.Micros) {
	h.SelfRow = 0
	abi.PutHeader(b, h, 1)
	row := abi.Row{Node: s.Self.Handle, Flags: abi.Self, LoadAge: abi.None, SpeedAge: abi.None, ErrorsAge: abi.None,
		MemFree: s.Self.MemFreeMiB, MemFreeAge: age(now, s.Self.NodeInfo.At), Zone: s.Self.Zone}
	if len(holders) > 0 && holders[0].Self {
		fillRow(&row, &holders[0], now)
	}
	abi.PutRow(b, 0, &row)
}
