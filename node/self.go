package node

import (
	"cmp"
	"context"
	"time"

	"omx/node/catalog"
	"omx/node/engine"
	"omx/node/events"
	"omx/node/monitor"
)

const (
	// refreshEvery is how often this node samples its own load. Requests sent since
	// are counted on top, so this bounds the error by what finishes in between.
	refreshEvery = 250 * time.Millisecond
	// pollEvery is how often files of policies and keys are looked at, and how soon
	// a policy that crashed has a spare again.
	pollEvery = 250 * time.Millisecond
	// sweepEvery is how often files of models that no name needs are removed; they
	// stay for keepBlobs, since clients send files first and name them after.
	sweepEvery = 24 * time.Hour
	keepBlobs  = 24 * time.Hour
	// saveEvery is how often the catalog goes to disk: after a crash the node
	// starts with what it knew then.
	saveEvery = time.Minute
)

// pollFiles keeps policies and keys fresh until ctx ends, beside refresh: a module
// of the size that Go makes takes a second to compile.
func (n *Node) pollFiles(ctx context.Context) {
	var swept time.Time
	for tick := time.NewTicker(pollEvery); ; {
		if now := time.Now(); now.Sub(swept) >= sweepEvery {
			swept = now
			n.sweepBlobs()
		}
		n.policies.Poll(ctx, n.policyEvent)
		n.pollKeys()
		n.syncModels()
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return
		}
	}
}

// refresh keeps what this node says of itself true until ctx ends.
func (n *Node) refresh(ctx context.Context) {
	tick, save := time.NewTicker(refreshEvery), time.NewTicker(saveEvery)
	defer tick.Stop()
	defer save.Stop()
	ticked := catalog.Micros(0)
	for {
		n.publishSelf()
		if now := n.now(); now-ticked >= 1e6 {
			n.decider.Tick(now)
			ticked = now
			if n.recorder != nil {
				n.recorder.Flush()
			}
		}
		select {
		case <-tick.C:
		case <-save.C:
			if err := n.store.Save(); err != nil {
				n.log.Warn("catalog not saved; it will be learned again after a restart", "why", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// publishSelf puts this node's record into the catalog and hands it to the
// mesh, which sends it when it changed or a heartbeat is due.
func (n *Node) publishSelf() {
	info := n.Info()
	if err := n.table.PutRecord(info); err != nil {
		n.log.Error("own record refused", "why", err)
		return
	}
	n.table.Publish()
	if err := n.mesh.SetRecord(info); err != nil {
		n.log.Error("own record not sent", "why", err)
	}
}

// Info is what this node says of itself now.
func (n *Node) Info() catalog.NodeInfo {
	now, read := n.now(), monitor.Reading{}
	if n.monitor != nil {
		read = n.monitor.Read()
	}
	info := catalog.NodeInfo{ID: n.id, Name: n.cfg.Name, Seq: uint64(now), Addrs: n.mesh.Addrs(), Zone: n.cfg.Zone,
		Coord:      n.mesh.Coord(),
		MemFreeMiB: mib(read.MemAvailable), MemTotalMiB: mib(read.MemTotal), Fetching: n.replicator.underway(), Draining: n.leaving(), At: now}
	if n.replicator.takes() {
		info.DiskFreeMiB = mib(read.DiskFree)
	}
	models := n.engine.Models()
	n.states.changed(models, func(m *engine.Status) {
		n.emit(events.ModelState, n.id, m.ID, uint64(m.State), uint64(m.Progress))
	})
	told := maxRemembered / max(len(models), 1)
	for _, m := range models {
		if m.State != catalog.Loaded {
			n.remembered.forget(m.ID)
		}
		if m.Err != "" {
			continue // nobody should be sent to a model that cannot be used
		}
		load, speed := m.Load, m.Speed
		load.At = now
		if speed.DecodeUS != 0 {
			speed.At = now
		}
		info.Placements = append(info.Placements, catalog.Placement{Model: m.ID, Digest: m.Digest, Bytes: m.Bytes,
			State: m.State, Load: load, Speed: speed, Context: uint32(cmp.Or(m.Context, n.cfg.ContextTokens)),
			Prefixes: n.remembered.of(m.ID, min(told, catalog.MaxPrefixes))})
	}
	return info
}

func mib(bytes uint64) uint32 { return uint32(min(bytes>>20, 1<<31)) }
