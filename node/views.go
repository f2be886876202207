package node

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"omx/node/api"
	"omx/node/catalog"
	"omx/node/engine"
	"omx/policies/abi"
)

// What the API shows of the node; Node implements api.Inspector.

// Nodes lists the known nodes: this one first, then by distance.
func (n *Node) Nodes() []api.NodeView {
	views := []api.NodeView{}
	for _, node := range n.table.Snapshot().Nodes {
		v := api.NodeView{ID: node.ID.String(), Name: node.Name, Self: node.Self, State: state(node), Through: !node.Self && node.Up && n.mesh.Through(node.ID), Addrs: node.Addrs,
			Zone: node.Zone, Models: []string{}, Relay: n.mesh.By(node.ID).String()}
		if node.RTTAt != 0 {
			ms := float64(node.RTT) / 1000
			v.RTTMillis = &ms
		}
		for _, p := range node.Placements {
			v.Models = append(v.Models, p.Model.String())
		}
		views = append(views, v)
	}
	return views
}

func state(n *catalog.Node) string {
	switch {
	case !n.Up:
		return "down"
	case n.Draining:
		return "draining"
	case n.Suspect:
		return "suspect"
	}
	return "up"
}

// Models lists the models that nodes which are up hold, by name, and those of
// this node that cannot be used, with the reason.
func (n *Node) Models() []api.ModelView {
	views := []api.ModelView{}
	snap := n.table.Snapshot()
	snap.Models(func(id catalog.ModelID, holders []catalog.Holder) {
		v := api.ModelView{ID: id.String(), Digest: holders[0].Digest, Bytes: holders[0].Bytes}
		for i := range holders {
			h := &holders[i]
			v.Holders = append(v.Holders, api.HolderView{Node: h.ID.String(), Name: h.Name, State: h.State.String(),
				Running: h.Load.Running, Queued: h.Load.Queued, Slots: h.Load.Slots})
		}
		views = append(views, v)
	})
	for _, m := range n.engine.Models() {
		i := slices.IndexFunc(views, func(v api.ModelView) bool { return v.ID == m.ID.String() })
		if i < 0 && m.Err == "" {
			continue // it is not in the snapshot yet
		}
		if i < 0 {
			i = len(views)
			views = append(views, api.ModelView{ID: m.ID.String(), Digest: m.Digest, Bytes: m.Bytes})
		}
		if m.Err != "" {
			views[i].Holders = append(views[i].Holders, api.HolderView{Node: n.id.String(), Name: n.cfg.Name, State: m.State.String(), Error: m.Err})
		}
		ownModel(&views[i], &m)
	}
	slices.SortFunc(views, func(a, b api.ModelView) int { return strings.Compare(a.ID, b.ID) })
	return views
}

// ownModel adds what only this node knows of its own model.
func ownModel(v *api.ModelView, m *engine.Status) {
	d := &m.Details
	v.Digest, v.Bytes = cmp.Or(m.Digest, v.Digest), max(m.Bytes, v.Bytes)
	v.Family, v.Parameters, v.Quantization, v.Trained, v.Template = d.Family, d.Parameters, d.Quantization, d.Trained, d.Template
	v.Context, v.Memory, v.VRAM = m.Context, m.Memory, m.VRAM
	v.Wait = float64(m.Wait.Microseconds()) / 1000
	if m.State == catalog.Loading {
		v.Progress = m.Progress
	}
	if !m.Expires.IsZero() {
		v.Expires = &m.Expires
	}
	if !m.Modified.IsZero() {
		v.Modified = &m.Modified
	}
	if m.Writes {
		v.Capabilities = append(v.Capabilities, "completion")
	}
	if m.Writes && d.Tools {
		v.Capabilities = append(v.Capabilities, "tools")
	}
	if m.Writes && d.Thinks {
		v.Capabilities = append(v.Capabilities, "thinking")
	}
	if m.Embeds {
		v.Capabilities = append(v.Capabilities, "embedding")
	}
}

// Decision explains one of the last route decisions.
func (n *Node) Decision(id uint64) (api.DecisionView, bool) {
	x, err := n.record.Explain(id)
	if err != nil {
		return api.DecisionView{}, false
	}
	v := api.DecisionView{ID: strconv.FormatUint(x.ID, 10), At: time.UnixMicro(int64(x.At)).UTC(), Policy: policyName(x.By),
		Status: x.By.Status.String(), Fuel: x.By.Fuel, TookNS: int64(x.Outcome.Took), Node: x.Outcome.Node.String(),
		Tries: x.Outcome.Tries, TTFTMillis: float64(x.Outcome.TTFT.Microseconds()) / 1000, Tokens: x.Outcome.Tokens, Resumed: x.Outcome.Resumed, Error: x.Outcome.Err}
	age := func(at uint32) *uint32 {
		if at == 0 {
			return nil
		}
		ms := x.Header.Clock - at
		return &ms
	}
	for i, r := range x.Rows {
		c := api.CandidateView{Node: x.Nodes[i].String(), Name: x.Names[i], Self: r.Flags&abi.Self != 0, RTTUS: r.RTT, RTTAgeMS: age(r.RTTAt),
			Queued: r.Queued, Running: r.Running, Slots: r.Slots, LoadAgeMS: age(r.LoadAt), SentSince: r.SentSince, InFlight: r.InFlight,
			PrefillNSPerToken: r.Prefill, DecodeUSPerToken: r.Decode, SpeedAgeMS: age(r.SpeedAt), ErrorsPerMille: r.Errors,
			Score: known(x.Scores[i])}
		for k, p := range x.List() {
			if p.Node == x.Nodes[i] {
				c.Pick = k + 1
			}
		}
		v.Candidates = append(v.Candidates, c)
	}
	return v, true
}

// known is nil for abi.None and abi.Never, which are the same number.
func known(v uint32) *uint32 {
	if v == abi.None {
		return nil
	}
	return &v
}
