package mesh

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"omx/bench/measure"
	"omx/node/catalog"
	"omx/node/mesh"
)

// stays is how long a guest is connected, and how long it is gone.
const stays = 20 * time.Millisecond

// PeerCases are the questions how many peers a live mesh has and whether one of
// them is connected, while another one connects and leaves all the time.
func PeerCases(ctx context.Context) []measure.Case {
	question := func(variant string, ask func(m *mesh.Mesh, stays catalog.NodeID) bool) measure.Case {
		return measure.Case{Name: "peers/live", Variant: variant, Start: func(int) (*measure.Run, error) {
			h, err := newHall(ctx)
			if err != nil {
				return nil, err
			}
			var wrong atomic.Int64
			return &measure.Run{
				Op: func(_ *measure.Worker, n int) {
					for range n {
						if !ask(h.pair.server, h.pair.client.ID()) {
							wrong.Add(1)
						}
					}
				},
				Close: func() string {
					err := h.close()
					if wrong.Load() > 0 {
						err = errors.Join(err, errors.New("a wrong answer"))
					}
					if err != nil {
						return err.Error()
					}
					return ""
				},
			}, nil
		}}
	}
	return []measure.Case{
		question("count", func(m *mesh.Mesh, _ catalog.NodeID) bool { n := m.Count(); return n == 1 || n == 2 }),
		question("lookup", func(m *mesh.Mesh, id catalog.NodeID) bool { return m.Has(id) }),
	}
}

// hall is a pair with a guest who comes and goes.
type hall struct {
	pair *pair
	stop context.CancelFunc
	wg   sync.WaitGroup
	err  error
}

func newHall(ctx context.Context) (*hall, error) {
	guest, err := newIdentity()
	if err != nil {
		return nil, err
	}
	h := &hall{}
	if h.pair, err = newPair(ctx, nil, 0, func(context.Context, *mesh.ServerStream) {}, guest.id); err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(ctx)
	h.stop = stop
	h.wg.Go(func() {
		for run.Err() == nil && h.err == nil {
			h.err = h.visit(run, guest)
		}
	})
	return h, nil
}

// visit connects the guest, and has it leave after a while.
func (h *hall) visit(ctx context.Context, guest identity) error {
	arrived := seen{make(chan struct{}, 1)}
	m, err := mesh.New(mesh.Config{Key: guest.key, Peers: h.pair.server.Addrs()}, arrived, handler(func(context.Context, *mesh.ServerStream) {}))
	if err != nil {
		return err
	}
	err = m.Start(ctx)
	if err == nil {
		select {
		case <-arrived.up:
			wait(ctx, stays)
		case <-time.After(connectTimeout):
			err = errors.New("the guest did not get in")
		case <-ctx.Done():
		}
	}
	err = errors.Join(err, m.Close())
	wait(ctx, stays)
	return err
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func (h *hall) close() error {
	h.stop()
	h.wg.Wait()
	return errors.Join(h.err, h.pair.close())
}
