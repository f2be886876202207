package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"time"

	"omx/node/api"
	"omx/node/blob"
	"omx/node/catalog"
)

const (
	maxParts   = 2 * blob.MaxParams // bytes of what a model is made of, as JSON
	maxSources = 4                  // nodes that a file is fetched from at once
	partsTime  = 10 * time.Second
)

// holdersOf are nodes that have a model's file, and its digest: the one wanted, else
// the one that most of them have.
func (n *Node) holdersOf(m catalog.ModelID, want blob.Digest) (d blob.Digest, nodes []catalog.NodeID) {
	by := map[blob.Digest][]catalog.NodeID{}
	for _, node := range n.table.Snapshot().Nodes {
		if node.Self || !node.Up {
			continue
		}
		for _, p := range node.Placements {
			if has, err := blob.ParseDigest(p.Digest); p.Model == m && err == nil && (want.IsZero() || has == want) {
				by[has] = append(by[has], node.ID)
			}
		}
	}
	for has, list := range by {
		if len(list) > len(nodes) || len(list) == len(nodes) && has.Hex() < d.Hex() {
			d, nodes = has, list
		}
	}
	rand.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	return d, nodes[:min(len(nodes), maxSources)]
}

func (n *Node) lane(id catalog.NodeID) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) { return n.mesh.DialLane(ctx, id) }
}

// pullFromPeers fetches a model from other nodes, and names it; rate is in bytes a
// second, 0 as fast as it goes.
func (n *Node) pullFromPeers(ctx context.Context, m catalog.ModelID, d blob.Digest, nodes []catalog.NodeID, rate int64, progress func(api.Progress)) error {
	parts, err := n.askParts(ctx, m, d, nodes, false)
	if err != nil {
		return manageError(ctx, err)
	}
	for i, file := range append([]blob.Digest{parts.Digest}, parts.Adapters...) {
		check, bytes := blob.Check(checkModel), parts.Bytes
		if i > 0 {
			check, bytes = nil, 0
		}
		ref, err := n.fetchBlob(ctx, file, bytes, check, nodes, rate, func(done, total int64) {
			progress(api.Progress{Status: "downloading", Digest: file.String(), Done: done, Total: max(total, 0)})
		})
		if err != nil {
			return manageError(ctx, err)
		}
		progress(api.Progress{Status: "verified", Digest: file.String(), Done: ref.Bytes, Total: ref.Bytes})
	}
	var own modelParams
	if parts.Params != nil {
		if err := json.Unmarshal(parts.Params, &own); err != nil {
			return manageError(ctx, fmt.Errorf("the other node's parameters of %s cannot be read: %w", m, err))
		}
		if err := own.check(); err != nil {
			return err
		}
	}
	return manageError(ctx, n.named(blob.Manifest{Model: m, Digest: d, Adapters: parts.Adapters, Params: parts.Params, Source: "mesh"}))
}

// fetchBlob fetches a file from several nodes at once; if what came is not the file,
// one of them does not have what it says, and each is asked alone.
func (n *Node) fetchBlob(ctx context.Context, d blob.Digest, bytes int64, check blob.Check, nodes []catalog.NodeID, rate int64, progress func(done, total int64)) (blob.Ref, error) {
	fetch := func(from []catalog.NodeID) (blob.Ref, error) {
		lanes := &blob.Lanes{}
		for _, id := range from {
			lanes.Dial = append(lanes.Dial, n.lane(id))
		}
		return n.blobs.Pull(ctx, blob.Source{URL: lanesHost + "/blobs/" + d.String(), Want: d, Bytes: bytes},
			blob.PullOptions{Client: &http.Client{Transport: lanes}, Check: check, Rate: rate, Progress: progress})
	}
	ref, err := fetch(nodes)
	for i := 0; len(nodes) > 1 && i < len(nodes) && errors.Is(err, blob.ErrMismatch); i++ {
		ref, err = fetch(nodes[i : i+1])
	}
	return ref, err
}

// askParts asks what a model with that digest is made of; keep has the node that says
// so promise to keep it for a while.
func (n *Node) askParts(ctx context.Context, m catalog.ModelID, d blob.Digest, nodes []catalog.NodeID, keep bool) (parts modelParts, err error) {
	var errs []error
	for _, id := range nodes {
		parts, err := n.askPartsAt(ctx, m, id, keep)
		if err == nil && parts.Digest != d {
			err = fmt.Errorf("it has another file by now")
		}
		if err == nil && (parts.Bytes < 0 || len(parts.Adapters) > blob.MaxAdapters || slices.ContainsFunc(parts.Adapters, blob.Digest.IsZero)) {
			err = fmt.Errorf("it says what cannot be")
		}
		if err == nil {
			return parts, nil
		}
		errs = append(errs, fmt.Errorf("node …%s: %w", id.Short(), err))
	}
	return parts, fmt.Errorf("fetch %s from other nodes: %w", m, errors.Join(errs...))
}

func (n *Node) askPartsAt(ctx context.Context, m catalog.ModelID, id catalog.NodeID, keep bool) (parts modelParts, err error) {
	ctx, cancel := context.WithTimeout(ctx, partsTime)
	defer cancel()
	t := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return n.mesh.DialLane(ctx, id) }}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, lanesHost+"/model", nil)
	if err != nil {
		return parts, err
	}
	q := req.URL.Query()
	q.Set("name", m.String())
	if keep {
		q.Set("keep", "1")
	}
	req.URL.RawQuery = q.Encode()
	resp, err := t.RoundTrip(req)
	if err != nil {
		return parts, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return parts, fmt.Errorf("model %s %w", m, blob.ErrNotFound)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxParts)).Decode(&parts); err != nil {
		return parts, fmt.Errorf("read what the model is made of: %w", err)
	}
	return parts, nil
}
