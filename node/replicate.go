package node

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"omx/node/catalog"
	"omx/node/decide"
	"omx/node/mesh/member"
	"omx/policies/abi"
)

const (
	// retryCopy is how long a model is left alone after a step that failed; doubled each
	// time.
	retryCopy    = 30 * time.Second
	mostRetry    = time.Hour
	maxGrievance = 1000 // models with steps that have failed
)

// replicator carries out what the replication policy wants of this node. Each node asks
// the policy about the whole mesh, and takes the steps that are its own: that all come
// to the same plan is the policy's part, that no last copy is given up is not.
type replicator struct {
	n      *Node
	wishes map[catalog.ModelID]decide.Wish

	down map[catalog.NodeID]time.Time // nodes that are not up, and since when; run's

	mu       sync.Mutex
	born     time.Time
	busy     bool                          // a step that takes long is under way
	fetching catalog.ModelID               // zero: none
	failed   map[catalog.ModelID]grievance // by steps
	promised map[catalog.ModelID]time.Time // until when another counts on the copy here
	giving   map[catalog.ModelID]struct{}  // copies that this node gives up just now
	taken    map[took]uint64
}

// took is how a step went.
type took struct {
	op   abi.Op
	well bool
}

// grievance is a step that has failed.
type grievance struct {
	until time.Time
	wait  time.Duration
}

func newReplicator(n *Node) (*replicator, error) {
	r := &replicator{n: n, born: time.Now(), down: map[catalog.NodeID]time.Time{}, failed: map[catalog.ModelID]grievance{}, promised: map[catalog.ModelID]time.Time{},
		giving: map[catalog.ModelID]struct{}{}, taken: map[took]uint64{}}
	var err error
	r.wishes, err = ParseReplicas(n.cfg.Replicas)
	return r, err
}

// takes tells whether this node takes part: it has a store, and a policy says what goes
// there.
func (r *replicator) takes() bool {
	return r.n.local != nil && r.n.mesh.Role() == member.Serve && r.n.decider.Active(abi.Replicate).Active.Digest != [32]byte{}
}

// underway are models that are being fetched.
func (r *replicator) underway() []catalog.ModelID {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fetching.IsZero() {
		return nil
	}
	return []catalog.ModelID{r.fetching}
}

// run asks the policy from time to time until ctx ends.
func (r *replicator) run(ctx context.Context) {
	tick := time.NewTicker(r.n.cfg.replicateEvery)
	defer tick.Stop()
	var steps sync.WaitGroup
	defer steps.Wait()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if r.takes() {
			r.look(ctx, time.Now(), &steps)
		}
	}
}

// look asks the policy, and begins the first of this node's steps that can be taken.
func (r *replicator) look(ctx context.Context, now time.Time, steps *sync.WaitGroup) {
	snap := r.n.table.Snapshot()
	r.noteDown(snap, now)
	seed := uint64(now.Unix() / 60) // the same at all nodes, so that they begin with the same model
	plan := r.n.decider.Replicate(r.n.now(), snap, r.wishes, seed)
	own := slices.DeleteFunc(plan.Steps, func(s decide.Step) bool { return s.Node != r.n.id })
	slices.SortStableFunc(own, func(a, b decide.Step) int { return cmp.Compare(b.Priority, a.Priority) })
	for _, s := range own {
		if !r.begin(snap, &s, now) {
			continue
		}
		steps.Go(func() { r.end(&s, r.take(ctx, &s)) })
		return
	}
}

// noteDown remembers since when nodes have been down.
func (r *replicator) noteDown(snap *catalog.Snapshot, now time.Time) {
	down := map[catalog.NodeID]time.Time{}
	for _, n := range snap.Nodes {
		if since, known := r.down[n.ID]; known && !n.Up {
			down[n.ID] = since
		} else if !n.Up {
			down[n.ID] = now
		}
	}
	r.down = down
}

// begin decides whether a step is taken now.
func (r *replicator) begin(snap *catalog.Snapshot, s *decide.Step, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.busy:
		return false
	case now.Before(r.failed[s.Model].until):
		return false
	case s.Op == abi.OpFetch && (r.mayReturn(snap, s.Model, now) || !r.n.offered(s.Model)):
		return false
	case s.Op == abi.OpLoad && stateHere(snap, s.Model) != catalog.OnDisk, s.Op == abi.OpUnload && stateHere(snap, s.Model) == catalog.OnDisk:
		return false
	case s.Op == abi.OpDrop && r.n.wanted(s.Model):
		return false
	}
	r.busy = true
	if s.Op == abi.OpFetch {
		r.fetching = s.Model
	}
	return true
}

// mayReturn tells whether a node that has a copy went down so recently that it may only
// be starting anew.
func (r *replicator) mayReturn(snap *catalog.Snapshot, m catalog.ModelID, now time.Time) bool {
	for _, n := range snap.Nodes {
		if since, down := r.down[n.ID]; down && now.Sub(since) < r.n.cfg.ReplicateAfter &&
			slices.ContainsFunc(n.Placements, func(p catalog.Placement) bool { return p.Model == m }) {
			return true
		}
	}
	return false
}

func stateHere(snap *catalog.Snapshot, m catalog.ModelID) catalog.State {
	for _, h := range snap.Holders(m) {
		if h.Self {
			return h.State
		}
	}
	return catalog.Loading // it is not to be touched
}

// take takes a step.
func (r *replicator) take(ctx context.Context, s *decide.Step) error {
	switch s.Op {
	case abi.OpFetch:
		r.n.publishSelf() // the others need not plan another
		return r.fetch(ctx, s)
	case abi.OpDrop:
		return r.giveUp(ctx, s.Model)
	case abi.OpLoad:
		return r.n.LoadModel(ctx, s.Model, nil)
	}
	return r.n.UnloadModel(ctx, s.Model)
}

// end notes how a step went.
func (r *replicator) end(s *decide.Step, err error) {
	r.mu.Lock()
	r.busy = false
	r.taken[took{s.Op, err == nil}]++
	if s.Op == abi.OpFetch {
		r.fetching = catalog.ModelID{}
	}
	switch g := r.failed[s.Model]; {
	case err == nil:
		delete(r.failed, s.Model)
	case len(r.failed) >= maxGrievance:
	case errors.Is(err, errKept): // so that two that wait for each other do not meet again
		g.until = time.Now().Add(rand.N(8 * r.n.cfg.replicateEvery))
		r.failed[s.Model] = g
	default:
		r.failed[s.Model] = g.again(time.Now())
	}
	r.mu.Unlock()
	what := abi.OpNames[s.Op-1].Name
	switch {
	case err == nil:
		r.n.log.Warn("replication", "did", what, "model", s.Model)
	case errors.Is(err, errKept):
		r.n.log.Info("replication", "model", s.Model, "stays", err)
	case !errors.Is(err, context.Canceled):
		r.n.log.Error("replication", "could not", what, "model", s.Model, "why", err)
	}
	r.n.publishSelf()
}

func (g grievance) again(now time.Time) grievance {
	wait := min(max(2*g.wait, retryCopy), mostRetry)
	return grievance{now.Add(wait), wait}
}
