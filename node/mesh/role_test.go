package mesh

import (
	"errors"
	"testing"

	"omx/node/catalog"
	"omx/node/mesh/member"
	"omx/node/nodetest"
)

func TestRoles(t *testing.T) {
	server := founder(t)
	gateway := joined(t, server, member.Gateway)
	observer := joined(t, server, member.Observe)
	eventually(t, "connected", func() bool {
		return server.Count() == 2 && gateway.Count() == 2 && observer.Count() == 2
	})
	code := func(from, to *testPeer) Code {
		_, err := ask(t.Context(), from.Mesh, to.ID(), "x")
		var refused *RefusedError
		if errors.As(err, &refused) {
			return refused.Code
		}
		if err != nil {
			t.Error(err)
		}
		return 0
	}
	for _, c := range []struct {
		from, to *testPeer
		want     Code
	}{{gateway, server, 0}, {server, gateway, CodeNoModel}, {observer, server, CodeRejected}, {server, observer, CodeNoModel}} {
		if got := code(c.from, c.to); got != c.want {
			t.Errorf("%v asks %v: %v, want %v", c.from.Role(), c.to.Role(), got, c.want)
		}
	}
	// One that would ask all the same is refused on the other side.
	own := observer.members.own.Load()
	lie := *own
	lie.Role = member.Serve
	observer.members.own.Store(&lie)
	if got := code(observer, server); got != CodeRejected {
		t.Errorf("an observer that does not keep to it: %v", got)
	}
	model := nodetest.Model(t, "m")
	if err := gateway.SetRecord(catalog.NodeInfo{ID: gateway.ID(), Name: "g", Seq: 2, Placements: []catalog.Placement{{Model: model}}}); err != nil {
		t.Fatal(err)
	}
	server.await(t, "the gateway's record", func() bool { return server.records[gateway.ID()].Name == "g" })
	server.mu.Lock()
	defer server.mu.Unlock()
	if n := len(server.records[gateway.ID()].Placements); n != 0 {
		t.Errorf("a gateway offers %d models", n)
	}
}
