package virtual

import (
	"slices"
	"testing"
	"time"

	"omx/testnet/virtual/vnet"
)

// A request to a node that is known through others goes elsewhere if there is no path to
// it, and the next ones do at once.
func TestRequestsWithoutPath(t *testing.T) {
	inMembers(t, 2, func(t *testing.T, f *Fleet) {
		ask := func(via int) (by int, took time.Duration) {
			a := f.Ask(t.Context(), via, Question{Prompt: "hello"})
			if a.Err != nil {
				t.Fatalf("node %d: %v", via+1, a.Err)
			}
			by = slices.IndexFunc(f.hosts, func(h *host) bool { return h.name == a.Node })
			return by, a.Tokens[0].At - a.Asked
		}
		state := func(via, of int) string {
			for _, v := range f.Node(via).Nodes() {
				if v.ID == f.hosts[of].id.String() && v.Through {
					return v.State
				}
			}
			return "connected"
		}
		for via := range f.Nodes() - 2 {
			of, _ := ask(via)
			time.Sleep(2 * time.Minute) // until the connection for it has gone
			if state(via, of) == "connected" {
				continue
			}
			f.Net.Shape(func(from, to int) vnet.Path {
				p := vnet.Path{Delay: 25 * time.Millisecond}
				if from == via && to == of || from == of && to == via {
					p.Loss = 1
				}
				return p
			})
			late := 0
			for range 10 {
				by, took := ask(via)
				if by == of || took > 3*time.Second {
					t.Errorf("answered by node %d after %v", by+1, took)
				}
				if took > time.Second {
					late++
				}
				time.Sleep(time.Second) // and a record comes
			}
			if s := state(via, of); late != 1 || s != "suspect" {
				t.Errorf("node %d went to node %d, where there is no path, %d times of 10; it is %s", via+1, of+1, late, s)
			}
			return
		}
		t.Fatal("all nodes were connected with both holders")
	})
}
