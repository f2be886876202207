package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"omx/node/api"
	"omx/node/blob"
	"omx/node/catalog"
	"omx/node/decide"
	"omx/node/engine"
)

// errKept means that a copy is not given up, as nobody can be relied on for the others.
var errKept = errors.New("the copy is kept")

// fetch gets a copy of a model from nodes that hold it.
func (r *replicator) fetch(ctx context.Context, s *decide.Step) error {
	n := r.n
	d, nodes := n.holdersOf(s.Model, blob.Digest{})
	if !s.Source.IsZero() && slices.Contains(nodes, s.Source) {
		nodes = []catalog.NodeID{s.Source}
	}
	if len(nodes) == 0 {
		return errors.New("nobody has it any more")
	}
	if err := n.storable(s.Model); err != nil {
		return err
	}
	rate := n.cfg.ReplicateRate
	if own := int64(s.Budget) * 1000 / 8; own > 0 && (rate <= 0 || own < rate) {
		rate = own
	}
	return n.pullFromPeers(ctx, s.Model, d, nodes, rate, func(api.Progress) {})
}

// offered tells whether another node says what file a model is: it may still be finding
// the digest.
func (n *Node) offered(m catalog.ModelID) bool {
	_, nodes := n.holdersOf(m, blob.Digest{})
	return len(nodes) > 0
}

// giveUp removes this node's copy of a model if enough others promise to keep theirs
// for a while; it has to be done well before that ends. Two that would rely on each other
// both keep theirs.
func (r *replicator) giveUp(ctx context.Context, m catalog.ModelID) error {
	own, err := r.n.blobs.Get(m)
	if err != nil {
		return err
	}
	if !r.startGiving(m) {
		return fmt.Errorf("%w: another node counts on it", errKept)
	}
	defer r.stopGiving(m)
	ctx, cancel := context.WithTimeout(ctx, r.n.cfg.keepPromise/2)
	defer cancel()
	need := max(int(r.wishes[m].Least), 1)
	_, nodes := r.n.holdersOf(m, own.Digest)
	var errs []error
	for _, id := range r.n.wellOf(nodes) {
		parts, err := r.n.askParts(ctx, m, own.Digest, []catalog.NodeID{id}, true)
		if err == nil && parts.Bytes != own.Bytes {
			err = fmt.Errorf("node …%s has %d of %d bytes", id.Short(), parts.Bytes, own.Bytes)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if need--; need > 0 {
			continue
		}
		if ctx.Err() != nil { // the first promise may end
			break
		}
		return r.n.DeleteModel(ctx, m)
	}
	err = fmt.Errorf("%w: %d more nodes would have to keep theirs", errKept, need)
	return errors.Join(append([]error{err, ctx.Err()}, errs...)...)
}

func (r *replicator) startGiving(m catalog.ModelID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	// What was promised before a restart is not known.
	if _, is := r.giving[m]; is || time.Now().Before(r.promised[m]) || time.Since(r.born) < r.n.cfg.keepPromise {
		return false
	}
	r.giving[m] = struct{}{}
	return true
}

func (r *replicator) stopGiving(m catalog.ModelID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.giving, m)
}

// promise keeps the copy of a model here for a while; false if it is being given up, or
// is not whole.
func (r *replicator) promise(m catalog.ModelID, parts *modelParts) bool {
	f, err := r.n.openBlob(parts.Digest)
	if err != nil {
		return false
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || st.Size() != parts.Bytes {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(r.promised, func(_ catalog.ModelID, until time.Time) bool { return now.After(until) })
	if _, is := r.giving[m]; is {
		return false
	}
	r.promised[m] = now.Add(r.n.cfg.keepPromise)
	return true
}

// wellOf are those of some nodes that neither drain nor are suspect, in any order.
func (n *Node) wellOf(nodes []catalog.NodeID) (well []catalog.NodeID) {
	for _, node := range n.table.Snapshot().Nodes {
		if node.Up && !node.Suspect && !node.Draining && slices.Contains(nodes, node.ID) {
			well = append(well, node.ID)
		}
	}
	rand.Shuffle(len(well), func(i, j int) { well[i], well[j] = well[j], well[i] })
	return well
}

// wanted tells whether the copy of a model here is none that replication may give up:
// the node was told to have it, or requests are open.
func (n *Node) wanted(m catalog.ModelID) bool {
	if n.configured(m) || slices.Contains(n.cfg.Preload, m.String()) {
		return true
	}
	return slices.ContainsFunc(n.local.Models(), func(s engine.Status) bool { return s.ID == m && s.Load.Running+s.Load.Queued > 0 })
}

// maxReplicas bounds what may be wanted of one model.
const maxReplicas = 1000

// ParseReplicas reads how many copies of models are wanted: MODEL=LEAST, MODEL=LEAST-MOST
// or MODEL=pin, which keeps all there are.
func ParseReplicas(list []string) (map[catalog.ModelID]decide.Wish, error) {
	wishes := map[catalog.ModelID]decide.Wish{}
	for _, text := range list {
		name, want, _ := strings.Cut(text, "=")
		m, err := catalog.ParseModelID(name)
		if err != nil {
			return nil, fmt.Errorf("replicas %q: %w", text, err)
		}
		w := wishes[m]
		if want == "pin" {
			w.Pinned = true
			wishes[m] = w
			continue
		}
		low, high, bounded := strings.Cut(want, "-")
		least, err := strconv.ParseUint(low, 10, 32)
		most := uint64(0)
		if bounded && err == nil {
			most, err = strconv.ParseUint(high, 10, 32)
		}
		if err != nil || least > maxReplicas || most > maxReplicas || bounded && (most < least || most == 0) {
			return nil, fmt.Errorf("replicas %q: write MODEL=LEAST, MODEL=LEAST-MOST or MODEL=pin, as llama3.2:3b=2-4; at most %d copies", text, maxReplicas)
		}
		w.Least, w.Most = uint32(least), uint32(most)
		wishes[m] = w
	}
	return wishes, nil
}
