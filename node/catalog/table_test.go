package catalog

import "testing"

// A node that is down stays so whatever is heard of it, until the node that keeps the
// table has itself heard it; one that is suspect stays so, too.
func TestOnlyItsOwnWordBringsANodeBack(t *testing.T) {
	m, err := ParseModelID("m")
	if err != nil {
		t.Fatal(err)
	}
	node := func(name string, seq uint64) NodeInfo {
		id, err := ParseNodeID(name)
		if err != nil {
			t.Fatal(err)
		}
		return NodeInfo{ID: id, Name: name, Seq: seq, Placements: []Placement{{Model: m, State: Loaded}}}
	}
	table, err := NewTable(node("self", 1))
	if err != nil {
		t.Fatal(err)
	}
	put := func(i NodeInfo) {
		t.Helper()
		if err := table.PutRecord(i); err != nil {
			t.Fatal(err)
		}
	}
	other := node("other", 5)
	put(other)
	holders := func() int { return len(table.Publish().Holders(m)) }
	if holders() != 1 {
		t.Fatal("a node nobody has heard is a holder")
	}
	table.SetUp(other.ID, true)
	table.SetSuspect(other.ID, true)
	put(node("other", 6))
	if s := table.Publish(); len(s.Holders(m)) != 2 || !s.Holders(m)[1].Suspect {
		t.Error("a record alone clears a suspicion")
	}
	table.SetUp(other.ID, false)
	for _, seq := range []uint64{4, 6, 7, 1 << 60} {
		put(node("other", seq))
		if holders() != 1 {
			t.Errorf("down, and back by record %d", seq)
		}
	}
	table.SetUp(other.ID, true)
	if holders() != 2 {
		t.Error("it was heard, and is not back")
	}
}
