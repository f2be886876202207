package decide_test

import (
	"testing"

	"omx/node/catalog"
	"omx/node/decide"
	"omx/policies/abi"
)

// spread is a mesh of n nodes with room, in three zones, where the first
// holders have model "m".
func spread(t *testing.T, n, holders int) *catalog.Table {
	return fleet(t, n, func(i int, info *catalog.NodeInfo) {
		info.Zone, info.DiskFreeMiB = uint32(i%3), 100_000
		info.Placements[0].Bytes = 1 << 30
		if i >= holders {
			info.Placements = nil
		}
	})
}

func TestReplicate(t *testing.T) {
	d := newDecider(t, nil)
	s := spread(t, 6, 1).Snapshot()
	if p := d.Replicate(now, s, nil, 1); len(p.Steps) != 0 || p.By.Policy != decide.Builtin {
		t.Errorf("without a policy: %+v", p)
	}
	if err := d.Use(t.Context(), abi.Replicate, decide.Policy{Name: "keep-n", Code: builtin(t, "keep-n").Code, Params: []byte("n=3\n")}); err != nil {
		t.Fatal(err)
	}
	p := d.Replicate(now, s, nil, 1)
	if len(p.Steps) != 2 || p.Refused != 0 || p.By.Policy != "keep-n" || p.By.Fuel == 0 {
		t.Fatalf("plan %+v", p)
	}
	zones := map[catalog.NodeID]bool{nodeID(t, 0): true}
	for _, step := range p.Steps {
		if step.Op != abi.OpFetch || step.Model != modelID(t, "m") || zones[step.Node] {
			t.Errorf("step %+v", step)
		}
		zones[step.Node] = true
	}
	if p := d.Replicate(now, spread(t, 6, 3).Snapshot(), nil, 1); len(p.Steps) != 0 {
		t.Errorf("with three copies in three zones: %+v", p)
	}
}

// A copy that is on its way counts, and one that has just come stays for a while.
func TestReplicateOverTime(t *testing.T) {
	d := newDecider(t, nil)
	if err := d.Use(t.Context(), abi.Replicate, decide.Policy{Name: "keep-n", Code: builtin(t, "keep-n").Code, Params: []byte("n=2\n")}); err != nil {
		t.Fatal(err)
	}
	coming := fleet(t, 6, func(i int, info *catalog.NodeInfo) {
		info.Zone, info.DiskFreeMiB = uint32(i%3), 100_000
		if info.Placements[0].Bytes = 1 << 30; i > 0 {
			info.Placements = nil
		}
		if i == 4 {
			info.Fetching = []catalog.ModelID{modelID(t, "m")}
		}
	}).Snapshot()
	if p := d.Replicate(now, coming, nil, 1); len(p.Steps) != 0 || p.By.Status != abi.OK {
		t.Errorf("one of two copies is coming: %+v", p)
	}
	many := spread(t, 6, 4).Snapshot()
	const minute = catalog.Micros(60e6)
	for _, c := range []struct {
		after catalog.Micros
		steps int
	}{{0, 0}, {9 * minute, 0}, {10 * minute, 1}} {
		p := d.Replicate(now+c.after, many, nil, 1)
		if len(p.Steps) != c.steps || p.By.Status != abi.OK {
			t.Errorf("four copies of two for %d s: %+v", c.after/1e6, p)
		}
	}
}

// Whatever a policy says, the last copy of a model stays, and so does one that
// the operator wants kept.
func TestReplicateKeepsTheLastCopy(t *testing.T) {
	d := newDecider(t, nil)
	if err := d.Use(t.Context(), abi.Replicate, evil(t, "drops")); err != nil {
		t.Fatal(err)
	}
	p := d.Replicate(now, spread(t, 4, 3).Snapshot(), nil, 1)
	if len(p.Steps) != 2 || p.Refused != 2 {
		t.Errorf("three copies: %+v", p)
	}
	p = d.Replicate(now, spread(t, 4, 3).Snapshot(), map[catalog.ModelID]decide.Wish{modelID(t, "m"): {Pinned: true}}, 1)
	if len(p.Steps) != 0 || p.Refused != 4 {
		t.Errorf("pinned: %+v", p)
	}
	// Steps that name what is not there make the whole answer bad.
	p = d.Replicate(now, spread(t, 2, 2).Snapshot(), nil, 1)
	if len(p.Steps) != 0 || p.By.Status != abi.BadAnswer || p.By.Policy != decide.Builtin {
		t.Errorf("two nodes, four steps: %+v", p)
	}
}
