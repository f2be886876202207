package sim

import (
	"crypto/sha256"
	"fmt"

	"omx/node/catalog"
	"omx/node/decide"
)

// node is one simulated node: what a live one has, without the goroutines.
type node struct {
	index   int32
	info    catalog.NodeInfo // what does not change of its record
	engine  *engine
	speed   catalog.Speed
	table   *catalog.Table
	decider *decide.Decider
	sent    sentRecords
	seen    []uint64 // of each other node: the last record in the table
}

// fleet is all nodes, who they are and what they hold.
type fleet struct {
	nodes   []*node
	index   map[catalog.NodeID]int32
	models  []catalog.ModelID
	devices []*Device
}

// newFleet builds the nodes of a scenario, without deciders.
func newFleet(s *Scenario, t *topology, devices []*Device) (*fleet, error) {
	f := &fleet{index: make(map[catalog.NodeID]int32, s.Nodes), devices: devices}
	for i := range s.Nodes {
		n := &node{index: int32(i), engine: newEngine(devices[i], s.Queue), seen: make([]uint64, s.Nodes)}
		n.speed = catalog.Speed{PrefillNS: uint32(n.engine.prefillNS), DecodeUS: uint32(n.engine.decodeUS)}
		id, err := catalog.ParseNodeID(fmt.Sprintf("sim%05d", i))
		if err != nil {
			return nil, err
		}
		n.info = catalog.NodeInfo{ID: id, Name: fmt.Sprintf("%s %d", devices[i].Name, i), Zone: uint32(t.site[i]), Coord: t.coord[i]}
		f.nodes, f.index[id] = append(f.nodes, n), n.index
	}
	if err := f.place(s); err != nil {
		return nil, err
	}
	for _, n := range f.nodes {
		var err error
		if n.table, err = catalog.NewTable(n.record(start)); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// place puts each model on its share of the nodes.
func (f *fleet) place(s *Scenario) error {
	r := stream(s.Seed, forPlacement)
	for _, m := range s.Models {
		id, err := catalog.ParseModelID(m.Name)
		if err != nil {
			return err
		}
		f.models = append(f.models, id)
		digest := fmt.Sprintf("%x", sha256.Sum256([]byte(m.Name)))
		holders := max(1, int(m.Placed*float64(s.Nodes)+0.5))
		for _, i := range r.Perm(s.Nodes)[:holders] {
			n := f.nodes[i]
			n.info.Placements = append(n.info.Placements, catalog.Placement{Model: id, Digest: digest, Bytes: modelBytes, State: catalog.Loaded})
		}
	}
	return nil
}

// modelBytes is the size of an 8B model in Q4_K_M.
const modelBytes = 4_920_000_000

// dealDevices gives every node its device.
func dealDevices(s *Scenario) []*Device {
	devices := deal(s.Devices, s.Nodes)
	stream(s.Seed, forDevices).Shuffle(len(devices), func(i, j int) { devices[i], devices[j] = devices[j], devices[i] })
	return devices
}

// record is what a node says of itself at now, to which its engine has been
// advanced. Records share nothing.
func (n *node) record(now catalog.Micros) catalog.NodeInfo {
	info := n.info
	info.Seq, info.At = uint64(now), now
	info.Placements = make([]catalog.Placement, len(n.info.Placements))
	load := catalog.Load{Queued: uint32(len(n.engine.waiting)), Running: uint32(n.engine.running()), Slots: uint32(n.engine.slots), At: now}
	speed := n.speed
	speed.At = now
	for i, p := range n.info.Placements {
		p.Load, p.Speed = load, speed
		info.Placements[i] = p
	}
	return info
}

// sentRecords are the last records a node has sent. Older ones have arrived
// everywhere: at the shortest heartbeat they span 160 ms, no way is half as long.
type sentRecords struct {
	infos [keptRecords]catalog.NodeInfo
	n     int
}

const keptRecords = 16

func (r *sentRecords) add(info catalog.NodeInfo) {
	r.infos[r.n%keptRecords] = info
	r.n++
}

// latest is the newest record that arrived by a moment.
func (r *sentRecords) latest(arrival func(*catalog.NodeInfo) catalog.Micros, by catalog.Micros) (info *catalog.NodeInfo, at catalog.Micros) {
	for i := r.n - 1; i >= max(0, r.n-keptRecords); i-- {
		info := &r.infos[i%keptRecords]
		if at := arrival(info); at <= by {
			return info, at
		}
	}
	return nil, 0
}

// catchUp brings a node's catalog to now. Records that came since the last time
// are put in now, with the time they came at: nobody looked in between, and
// nothing was sent, so the table ends as if each had been put in when it came.
func (w *world) catchUp(n *node, now catalog.Micros) error {
	for _, o := range w.fleet.nodes {
		if o == n {
			continue
		}
		info, at := o.sent.latest(func(info *catalog.NodeInfo) catalog.Micros {
			return info.At + w.topology.oneWay(o.index, n.index, uint64(o.index), uint64(n.index), info.Seq)
		}, now)
		if info == nil || info.Seq <= n.seen[o.index] {
			continue
		}
		known := n.seen[o.index] != 0
		n.seen[o.index] = info.Seq
		got := *info
		got.At = at
		if err := n.table.PutRecord(got); err != nil {
			return err
		}
		if !known {
			n.table.SetUp(got.ID, true)
		}
		// Each record brings a measured round trip, there and back.
		back := w.topology.oneWay(n.index, o.index, uint64(n.index), uint64(o.index), info.Seq)
		n.table.SetRTT(got.ID, uint32(at-info.At+back), at)
	}
	return n.look(now)
}

// look takes a node's own record into its catalog, and publishes it.
func (n *node) look(now catalog.Micros) error {
	if err := n.table.PutRecord(n.record(now)); err != nil {
		return err
	}
	n.table.Publish()
	return nil
}
