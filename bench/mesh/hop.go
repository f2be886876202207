package mesh

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/montanaflynn/stats"

	"omx/bench/measure"
	"omx/node"
	"omx/node/api"
	"omx/node/catalog"
	"omx/node/engine"
	"omx/node/mesh"
)

// Hop is what it adds to the time to first token that a peer answers. Times are
// from the call to the node's request path, without HTTP.
type Hop struct {
	Requests int       `json:"requests"` // of each kind
	Local    Quantiles `json:"local"`    // asked at the node that has the model
	Remote   Quantiles `json:"remote"`   // asked at the other one
	Added    Quantiles `json:"added"`    // remote less local, quantile by quantile
}

// Quantiles of a time.
type Quantiles struct {
	P50 time.Duration `json:"p50_ns"`
	P90 time.Duration `json:"p90_ns"`
	P99 time.Duration `json:"p99_ns"`
}

// hop starts two nodes in this process and asks both in turns.
func hop(ctx context.Context, requests int) (h *Hop, err error) {
	dir, err := os.MkdirTemp("", "omx-hop-")
	if err != nil {
		return nil, fmt.Errorf("create folder for two nodes: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	model, err := catalog.ParseModelID("sim")
	if err != nil {
		return nil, err
	}
	holder, gateway, err := nodes(ctx, dir, model)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, gateway.Close(), holder.Close()) }()

	h = &Hop{Requests: requests}
	var local, remote []float64
	for i := range requests + requests/10 { // the first tenth warms up
		for _, way := range []struct {
			node  *node.Node
			times *[]float64
		}{{holder, &local}, {gateway, &remote}} {
			ttft, err := ask(ctx, way.node, model)
			if err != nil {
				return nil, err
			}
			if i >= requests/10 {
				*way.times = append(*way.times, float64(ttft))
			}
		}
	}
	h.Local, h.Remote = quantiles(local), quantiles(remote)
	h.Added = Quantiles{h.Remote.P50 - h.Local.P50, h.Remote.P90 - h.Local.P90, h.Remote.P99 - h.Local.P99}
	return h, nil
}

// nodes starts a node that has the model and one that knows that it has.
func nodes(ctx context.Context, dir string, model catalog.ModelID) (holder, gateway *node.Node, err error) {
	gatewayDir, holderDir := filepath.Join(dir, "gateway"), filepath.Join(dir, "holder")
	id, err := mesh.Identity(filepath.Join(gatewayDir, node.KeyFile))
	if err != nil {
		return nil, nil, err
	}
	sim, err := engine.NewSim(engine.SimConfig{Models: []engine.Status{{ID: model}}, Slots: 4})
	if err != nil {
		return nil, nil, err
	}
	if holder, err = start(ctx, node.Config{Name: "holder", Data: holderDir, Peers: []string{"/p2p/" + id.String()}, Engine: sim}); err != nil {
		return nil, nil, err
	}
	if gateway, err = start(ctx, node.Config{Name: "gateway", Data: gatewayDir, Peers: holder.Info().Addrs}); err != nil {
		return nil, nil, errors.Join(err, holder.Close())
	}
	deadline := time.Now().Add(connectTimeout)
	for len(gateway.Models()) == 0 {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return nil, nil, errors.Join(errors.New("the two nodes did not connect"), ctx.Err(), gateway.Close(), holder.Close())
		}
		time.Sleep(5 * time.Millisecond)
	}
	return holder, gateway, nil
}

func start(ctx context.Context, cfg node.Config) (*node.Node, error) {
	cfg.Listen = "127.0.0.1:0"
	n, err := node.New(cfg)
	if err != nil {
		return nil, err
	}
	if err := n.Start(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// first notes when the first token comes.
type first struct{ at time.Time }

func (f *first) Begin(api.Meta) error { return nil }

func (f *first) Token(api.Token) error {
	if f.at.IsZero() {
		f.at = time.Now()
	}
	return nil
}

func ask(ctx context.Context, n *node.Node, model catalog.ModelID) (time.Duration, error) {
	var f first
	began := time.Now()
	_, err := n.Chat(ctx, &api.Chat{Model: model, Messages: []api.Message{{Role: "user", Content: "ping"}}, MaxTokens: 1, Stream: true, Arrived: began}, &f)
	if err != nil {
		return 0, fmt.Errorf("ask: %w", err)
	}
	return f.at.Sub(began), nil
}

func quantiles(d stats.Float64Data) Quantiles {
	at := func(p float64) time.Duration {
		v, err := stats.Percentile(d, p)
		if err != nil {
			return 0
		}
		return time.Duration(v)
	}
	return Quantiles{at(50), at(90), at(99)}
}

func (h *Hop) table() *measure.Table {
	t := &measure.Table{Head: []string{"time to first token", "p50", "p90", "p99"}}
	for _, row := range []struct {
		name string
		q    Quantiles
	}{{"asked where the model is", h.Local}, {"asked at another node", h.Remote}, {"the hop", h.Added}} {
		t.Rows = append(t.Rows, []string{row.name, measure.Nanos(float64(row.q.P50)), measure.Nanos(float64(row.q.P90)), measure.Nanos(float64(row.q.P99))})
	}
	return t
}
