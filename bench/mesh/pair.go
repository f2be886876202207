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
func (seen) PeerSuspect(catalog.NodeID)                 {}

const tenant = 1 // that is asked for

// pair is two ends of a mesh that are connected.
type pair struct {
	client, server *mesh.Mesh
	to             catalog.NodeID
	up             chan struct{} // the client has connected
}

type identity struct {
	key ed25519.PrivateKey
	id  catalog.NodeID
}

func newIdentity() (i identity, err error) {
	if _, i.key, err = ed25519.GenerateKey(rand.Reader); err == nil {
		i.id, err = mesh.KeyID(i.key)
	}
	return i, err
}

// newPair connects two ends over sockets that listen opens; keep is how many idle
// streams are kept. The server also lets the guests in.
func newPair(ctx context.Context, listen listenUDP, keep int, serve handler, guests ...catalog.NodeID) (p *pair, err error) {
	server, err := newIdentity()
	if err != nil {
		return nil, err
	}
	client, err := newIdentity()
	if err != nil {
		return nil, err
	}
	var peers []string
	for _, id := range append(guests, client.id) {
		peers = append(peers, "/p2p/"+id.String())
	}
	p = &pair{}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	up := seen{make(chan struct{}, 1)}
	if p.server, err = mesh.New(mesh.Config{Key: server.key, Peers: peers, ListenUDP: listen}, seen{make(chan struct{}, 1)}, serve); err != nil {
		return p, err
	}
	if err = p.server.Start(ctx); err != nil {
		return p, err
	}
	if p.client, err = mesh.New(mesh.Config{Key: client.key, Peers: p.server.Addrs(), KeepStreams: keep, ListenUDP: listen,
		Pool: mesh.PoolConfig{RetryMin: 1, RetryMax: 1}}, up, serve); err != nil {
		return p, err
	}
	if err = p.client.Start(ctx); err != nil {
		return p, err
	}
	p.to, p.up = p.server.ID(), up.up
	return p, p.connected(ctx)
}

func (p *pair) connected(ctx context.Context) error {
	select {
	case <-p.up:
		return nil
	case <-time.After(connectTimeout):
		return errors.New("the two ends did not connect")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// askDialled has the client connect anew, as after a loss, and asks.
func (p *pair) askDialled(ctx context.Context, request []byte) error {
	p.client.Drop(p.to)
	if err := p.connected(ctx); err != nil {
		return err
	}
	return p.ask(ctx, request)
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
	s, err := p.client.Open(ctx, p.to, tenant, request)
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
