package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"time"

	"omx/node/mesh/member"
	"omx/testnet/virtual"
)

type testnetMembersCmd struct {
	Nodes int           `default:"20" help:"How many members the mesh has."`
	Conns int           `default:"100" help:"How many connections a node keeps at most."`
	RTT   time.Duration `name:"rtt" default:"50ms" help:"Round trip between two nodes."`
	Seed  uint64        `default:"1" help:"Decides who is who."`
	JSON  bool          `help:"Print JSON."`
}

func (c *testnetMembersCmd) Run(e *env) error {
	if c.Nodes < 2 || c.Nodes > member.MaxMembers || c.Conns < 2 || c.RTT <= 0 {
		return usageError{fmt.Errorf("start %d members with %d connections and a round trip of %v: 2 to %d members, at least 2 connections, and a round trip above 0", c.Nodes, c.Conns, c.RTT, member.MaxMembers)}
	}
	if c.Nodes > c.Conns*c.Conns {
		return usageError{fmt.Errorf("start %d members with %d connections: they hear of one another through one neighbour at most, so of %d; say --conns %.0f or more", c.Nodes, c.Conns, c.Conns*c.Conns, math.Ceil(math.Sqrt(float64(c.Nodes))))}
	}
	dir, err := virtual.TempDir()
	if err != nil {
		return fmt.Errorf("create a folder for the nodes: %w", err)
	}
	var t virtual.Traffic
	began := time.Now()
	virtual.Run(func(ctx context.Context) {
		var crowd *virtual.Crowd
		if crowd, err = virtual.NewCrowd(ctx, virtual.CrowdSpec{Seed: c.Seed, Nodes: c.Nodes, Conns: c.Conns, RTT: c.RTT, Dir: dir}); err != nil {
			return
		}
		e.say("%d members are there; once all see all, half a minute of their time is measured", c.Nodes)
		t, err = crowd.Traffic(ctx)
		if closed := crowd.Close(); err == nil {
			err = closed
		}
	}, func() int {
		_ = os.RemoveAll(dir) // below the folder for what may be lost
		if err == nil && c.JSON {
			err = writeJSON(e, t)
		} else if err == nil {
			c.tell(e, &t, time.Since(began))
		}
		if err != nil {
			e.say("omx: %v", err)
			return 1
		}
		return 0
	})
	return nil
}

func (c *testnetMembersCmd) tell(e *env, t *virtual.Traffic, took time.Duration) {
	fmt.Fprintf(e.stdout, "%d members, each with %.0f connections of at most %d: all saw all %.2f s after the last had joined\n", t.Nodes, t.Direct, t.Conns, t.Settled.Seconds())
	for _, row := range []struct {
		when string
		r    virtual.Rate
	}{{"idle", t.Idle}, {"load changes 4 times a second", t.Busy}} {
		fmt.Fprintf(e.stdout, "%-30s a node sends %7.0f bytes and %4.0f packets a second\n", row.when, row.r.Bytes, row.r.Packets)
	}
	e.say("in virtual time, with a round trip of %v; it took %.1f s", c.RTT, took.Seconds())
}
