package sim

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"omx/node/catalog"
)

// Records reach a catalog only when somebody looks. The reference puts each in
// at the moment it arrives; at every look both must show the same.
func TestCatchUpIsAsIfEager(t *testing.T) {
	s := small()
	s.Heartbeat = 50 * milli
	w := newWorld(t, s)
	lazy := w.fleet.nodes[0]
	eager, err := catalog.NewTable(lazy.record(start))
	if err != nil {
		t.Fatal(err)
	}

	type delivery struct {
		at, back catalog.Micros
		info     catalog.NodeInfo
	}
	r := rand.New(rand.NewPCG(1, 1))
	var coming []delivery
	beat := func(n *node, now catalog.Micros) {
		n.engine.prefill = make([]job, r.IntN(5)) // some load to tell records apart
		info := n.record(now)
		n.sent.add(info)
		at := now + w.topology.oneWay(n.index, 0, uint64(n.index), 0, info.Seq)
		coming = append(coming, delivery{at, w.topology.oneWay(0, n.index, 0, uint64(n.index), info.Seq), info})
	}
	deliver := func(now catalog.Micros) {
		slices.SortStableFunc(coming, func(a, b delivery) int { return int(a.at - b.at) })
		for len(coming) > 0 && coming[0].at <= now {
			d := coming[0]
			coming = coming[1:]
			sent := d.info.At
			d.info.At = d.at
			if err := eager.PutRecord(d.info); err != nil {
				t.Fatal(err)
			}
			eager.SetUp(d.info.ID, true)
			eager.SetRTT(d.info.ID, uint32(d.at-sent+d.back), d.at)
		}
	}

	model := w.fleet.models[0]
	looks, sent := 0, uint32(0)
	for now := start; now < start+20*second; now += milli {
		for i, n := range w.fleet.nodes[1:] {
			if (now-start)%s.Heartbeat == catalog.Micros(i)*milli {
				beat(n, now)
			}
		}
		if r.IntN(40) != 0 {
			continue
		}
		looks++
		deliver(now)
		if err := w.catchUp(lazy, now); err != nil {
			t.Fatal(err)
		}
		if err := eager.PutRecord(lazy.record(now)); err != nil {
			t.Fatal(err)
		}
		a, b := lazy.table.Snapshot().Holders(model), eager.Publish().Holders(model)
		if len(a) != len(b) {
			t.Fatalf("at %d: %d holders, want %d", now, len(a), len(b))
		}
		for i := range a {
			if a[i].ID != b[i].ID || a[i].Load != b[i].Load || sentSince(&a[i]) != sentSince(&b[i]) || a[i].RTT != b[i].RTT || a[i].RTTAt != b[i].RTTAt || a[i].NodeInfo.At != b[i].NodeInfo.At {
				t.Fatalf("at %d: holder %+v, want %+v", now, a[i], b[i])
			}
			sent += sentSince(&a[i])
		}
		if len(a) > 0 {
			to := r.IntN(len(a))
			a[to].Seen.Sent(100, now)
			b[to].Seen.Sent(100, now)
		}
	}
	if looks < 100 || sent == 0 {
		t.Errorf("only %d looks, %d requests on top of records: nothing was tested", looks, sent)
	}
}

func TestTopology(t *testing.T) {
	s := Default()
	w := newTopology(&s)
	for i := range w.rtt {
		for j := range w.rtt {
			rtt := w.rtt[i][j]
			if rtt != w.rtt[j][i] {
				t.Fatalf("%d to %d takes %d µs, back %d", i, j, rtt, w.rtt[j][i])
			}
			lo, hi := uint32(lanLeast), uint32(lanMost)
			if w.site[i] != w.site[j] {
				lo, hi = uint32(wanLeast), uint32(wanLeast+wanRange)+lanMost
				if want := w.coord[i].Distance(w.coord[j]) * 1000; math.Abs(float64(rtt)-want) > lanMost+1 {
					t.Errorf("%d to %d takes %d µs, by their coordinates %.0f", i, j, rtt, want)
				}
			}
			if i != j && (rtt < lo || rtt > hi) {
				t.Errorf("%d to %d takes %d µs, want %d to %d", i, j, rtt, lo, hi)
			}
			for k := range uint64(20) {
				way := w.oneWay(int32(i), int32(j), k)
				if way < catalog.Micros(rtt/2) || way > catalog.Micros(rtt/2+rtt/8) {
					t.Errorf("one way of %d µs takes %d", rtt, way)
				}
			}
		}
	}
}

// The workload must have the law it claims: Poisson arrivals at the load's rate,
// log-normal lengths, Zipf sites.
func TestWorkload(t *testing.T) {
	s := Default()
	s.Requests = 100_000
	topology, devices := newTopology(&s), dealDevices(&s)
	requests, rate := newWorkload(&s, topology, devices)
	bySite, byModel := make([]float64, s.Sites), make([]float64, len(s.Models))
	var gaps, squares float64
	below := 0
	last := start
	for _, q := range requests {
		gap := float64(q.at - last)
		gaps, squares, last = gaps+gap, squares+gap*gap, q.at
		bySite[topology.site[q.entry]]++
		byModel[q.model]++
		if float64(q.prompt) < s.Prompt.Median {
			below++
		}
		if int(q.prompt) < s.Prompt.Min || int(q.prompt) > s.Prompt.Max || int(q.output) < s.Output.Min || int(q.output) > s.Output.Max {
			t.Fatalf("lengths %d and %d are out of range", q.prompt, q.output)
		}
	}
	n := float64(len(requests))
	near := func(what string, got, want, tolerance float64) {
		if math.Abs(got/want-1) > tolerance {
			t.Errorf("%s is %g, want %g", what, got, want)
		}
	}
	near("rate", n/gaps*1e6, rate, 0.02)
	near("squared variation of the gaps", squares/n/(gaps/n)/(gaps/n)-1, 1, 0.03)
	near("share below the median prompt", float64(below)/n, 0.5, 0.02)
	harmonic := 0.0
	for i := range s.Sites {
		harmonic += 1 / float64(i+1)
	}
	for i := range bySite {
		near("share of a site", bySite[i]/n, 1/float64(i+1)/harmonic, 0.05)
	}
	for i, m := range s.Models {
		near("share of model "+m.Name, byModel[i]/n, m.Share/10, 0.05)
	}
}

func TestFleet(t *testing.T) {
	s := Default()
	w := newWorld(t, s)
	kinds := map[string]int{}
	for _, d := range w.fleet.devices {
		kinds[d.Name]++
	}
	for _, d := range s.Devices {
		if n := kinds[d.Device.Name]; math.Abs(float64(n)-d.Share*float64(s.Nodes)/10) > 1 {
			t.Errorf("%d nodes are a %s, want %g tenths of %d", n, d.Device.Name, d.Share, s.Nodes)
		}
	}
	for m, model := range s.Models {
		n := 0
		for _, node := range w.fleet.nodes {
			for _, p := range node.info.Placements {
				if p.Model == w.fleet.models[m] {
					n++
				}
			}
		}
		if want := int(model.Placed*float64(s.Nodes) + 0.5); n != want {
			t.Errorf("%s is on %d nodes, want %d", model.Name, n, want)
		}
	}
}

func TestQueueOrder(t *testing.T) {
	var q queue
	r := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		q.push(event{at: catalog.Micros(r.IntN(50))})
	}
	last := event{at: -1}
	for {
		e, ok := q.pop()
		if !ok {
			break
		}
		if e.at < last.at || e.at == last.at && e.seq < last.seq {
			t.Fatalf("%+v came after %+v", e, last)
		}
		last = e
	}
}

func TestJain(t *testing.T) {
	for _, c := range []struct {
		good, offered []float64
		want          float64
	}{
		{[]float64{5, 50}, []float64{10, 100}, 1},
		{[]float64{10, 0}, []float64{10, 10}, 0.5},
		{[]float64{10, 0}, []float64{10, 0}, 1},
		{[]float64{0, 0}, []float64{1, 1}, 0},
	} {
		if got := jain(c.good, c.offered); got != c.want {
			t.Errorf("jain(%v, %v) = %g, want %g", c.good, c.offered, got, c.want)
		}
	}
}

func sentSince(h *catalog.Holder) uint32 {
	_, since := h.InFlight()
	return since
}
