package mesh

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"omx/node/catalog"
	"omx/node/mesh"
)

// handler answers requests with one function.
type handler func(ctx context.Context, s *mesh.ServerStream)

func (h handler) Serve(ctx context.Context, _ catalog.NodeID, s *mesh.ServerStream) { h(ctx, s) }

// seen is told of peers.
type seen struct{ up chan struct{} }

func (s seen) PeerUp(catalog.NodeID) {
	select {
	case s.up <- struct{}{}:
	default:
	}
}
func (seen) PeerDown(catalog.NodeID, error)             {}
func (seen) PeerRecord(catalog.NodeInfo, time.Duration) {}

// pair is two ends of a mesh that are connected.
type pair struct {
	client, server *mesh.Mesh
	to             catalog.NodeID
}

// newPair connects two ends; keep is how many idle streams are kept.
func newPair(ctx context.Context, keep int, serve handler) (p *pair, err error) {
	ids, keys := [2]string{}, [2]ed25519.PrivateKey{}
	for i := range keys {
		if _, keys[i], err = ed25519.GenerateKey(rand.Reader); err != nil {
			return nil, err
		}
		id, err := mesh.KeyID(keys[i])
		if err != nil {
			return nil, err
		}
		ids[i] = id.String()
	}
	p = &pair{}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	up := seen{make(chan struct{}, 1)}
	if p.server, err = mesh.New(mesh.Config{Key: keys[0], Peers: []string{"/p2p/" + ids[1]}}, seen{make(chan struct{}, 1)}, serve); err != nil {
		return p, err
	}
	if err = p.server.Start(ctx); err != nil {
		return p, err
	}
	if p.client, err = mesh.New(mesh.Config{Key: keys[1], Peers: p.server.Addrs(), KeepStreams: keep}, up, serve); err != nil {
		return p, err
	}
	if err = p.client.Start(ctx); err != nil {
		return p, err
	}
	p.to = p.server.ID()
	select {
	case <-up.up:
		return p, nil
	case <-time.After(connectTimeout):
		return p, errors.New("the two ends did not connect")
	case <-ctx.Done():
		return p, ctx.Err()
	}
}

func (p *pair) close() (err error) {
	for _, m := range []*mesh.Mesh{p.client, p.server} {
		if m != nil {
			err = errors.Join(err, m.Close())
		}
	}
	return err
}

// ask sends a request and reads the whole answer.
func (p *pair) ask(ctx context.Context, request []byte) error {
	s, err := p.client.Open(ctx, p.to, request)
	if err != nil {
		return err
	}
	defer s.Close()
	for {
		switch _, err := s.Next(); {
		case errors.Is(err, mesh.ErrDone):
			return nil
		case err != nil:
			return fmt.Errorf("read answer: %w", err)
		}
	}
}
