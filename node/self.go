package node

import (
	"context"
	"fmt"
	"os"
	"time"

	"omx/node/catalog"
	"omx/node/events"
	"omx/policies"
	"omx/policies/abi"
)

const (
	// refreshEvery is how often this node samples its own load and looks after
	// its policies. Requests sent since are counted on top, so this bounds the
	// error by what finishes in between.
	refreshEvery = 250 * time.Millisecond
	// saveEvery is how often the catalog goes to disk: after a crash the node
	// starts with what it knew then.
	saveEvery = time.Minute
	// maxPolicy bounds a policy file before it is read.
	maxPolicy = 8 << 20
)

// refresh keeps what this node says of itself true, and its policies fresh,
// until ctx ends.
func (n *Node) refresh(ctx context.Context) {
	tick, save := time.NewTicker(refreshEvery), time.NewTicker(saveEvery)
	defer tick.Stop()
	defer save.Stop()
	for {
		n.publishSelf()
		if err := n.decider.Repair(ctx, n.now()); err != nil {
			n.log.Error("policy failed", "why", err)
			n.emit(events.PolicyFault, catalog.NodeID{}, catalog.ModelID{}, 0, 0)
		}
		for _, f := range n.policyFiles {
			f.reload(ctx, n)
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
	now := n.now()
	info := catalog.NodeInfo{ID: n.id, Name: n.cfg.Name, Seq: uint64(now), Addrs: n.mesh.Addrs(), Zone: n.cfg.Zone,
		Coord: n.mesh.Coord(), MemFreeMiB: uint32(min(n.monitor.Read().MemAvailable>>20, 1<<31)), Draining: n.draining.Load(), At: now}
	for _, m := range n.engine.Models() {
		if m.Err != "" {
			continue // nobody should be sent to a model that cannot be used
		}
		load, speed := m.Load, m.Speed
		load.At = now
		if speed.DecodeUS != 0 {
			speed.At = now
		}
		info.Placements = append(info.Placements, catalog.Placement{Model: m.ID, Digest: m.Digest, Bytes: m.Bytes,
			State: m.State, Load: load, Speed: speed})
	}
	return info
}

// policyFile is an operator's policy, watched for changes. Polling one file's
// metadata costs microseconds and works on every file system.
type policyFile struct {
	kind  abi.Kind
	path  string
	mtime time.Time
	size  int64
	bad   string // the last fault told
}

// load takes the file's present version into use.
func (f *policyFile) load(ctx context.Context, n *Node) error {
	st, err := os.Stat(f.path)
	if err != nil {
		return fmt.Errorf("read policy: %w", err)
	}
	if st.Size() > maxPolicy {
		return fmt.Errorf("read policy %s: %d bytes, the limit is %d", f.path, st.Size(), maxPolicy)
	}
	code, err := os.ReadFile(f.path)
	if err != nil {
		return fmt.Errorf("read policy: %w", err)
	}
	f.mtime, f.size = st.ModTime(), st.Size()
	return n.decider.Use(ctx, f.kind, f.path, code)
}

// reload swaps the policy if the file changed. A version that does not load
// leaves the one before it deciding, and is told once.
func (f *policyFile) reload(ctx context.Context, n *Node) {
	st, err := os.Stat(f.path)
	if err == nil && st.ModTime().Equal(f.mtime) && st.Size() == f.size {
		return
	}
	if err == nil {
		if err = f.load(ctx, n); err == nil {
			f.bad = ""
			a := n.decider.Active(f.kind)
			n.log.Warn("policy changed", "kind", f.kind, "file", f.path, "sha256", fmt.Sprintf("%x", a.Digest))
			n.emit(events.PolicySwap, catalog.NodeID{}, catalog.ModelID{}, uint64(f.kind), 0)
			return
		}
	}
	if f.bad != err.Error() {
		f.bad = err.Error()
		n.log.Error("policy not changed; the one before it goes on deciding", "kind", f.kind, "why", err)
	}
}

// usePolicies loads the operator's policies, or the built-in ones.
func (n *Node) usePolicies(ctx context.Context) error {
	for _, p := range []struct {
		kind           abi.Kind
		path, fallback string
	}{
		{abi.Route, n.cfg.RoutePolicy, policies.DefaultRoute},
		{abi.Admit, n.cfg.AdmitPolicy, policies.DefaultAdmit},
	} {
		if p.path != "" {
			f := &policyFile{kind: p.kind, path: p.path}
			if err := f.load(ctx, n); err != nil {
				return err
			}
			n.policyFiles = append(n.policyFiles, f)
			continue
		}
		code, ok := policies.Builtin(p.fallback)
		if !ok {
			return fmt.Errorf("built-in policy %s is missing from this program", p.fallback)
		}
		if err := n.decider.Use(ctx, p.kind, p.fallback, code); err != nil {
			return err
		}
	}
	return nil
}
