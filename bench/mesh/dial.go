package mesh

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/quic-go/quic-go"
)

// dialler makes connections such as nodes have, with both ends' identities
// proved, one for each request.
type dialler struct {
	size           int
	client, server end
	listener       transport.Listener
	answer         []byte
	wg             sync.WaitGroup
}

// end is one side's QUIC transport.
type end struct {
	id        peer.ID
	conns     *quicreuse.ConnManager
	transport transport.Transport
}

func newEnd() (e end, err error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return e, err
	}
	if e.id, err = peer.IDFromPrivateKey(key); err != nil {
		return e, err
	}
	if e.conns, err = quicreuse.NewConnManager(quic.StatelessResetKey{}, quic.TokenGeneratorKey{}); err != nil {
		return e, err
	}
	e.transport, err = libp2pquic.NewTransport(key, e.conns, nil, nil, &network.NullResourceManager{})
	return e, err
}

func newDialler(ctx context.Context, size int) (d *dialler, err error) {
	d = &dialler{size: size, answer: make([]byte, size)}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if d.client, err = newEnd(); err != nil {
		return d, err
	}
	if d.server, err = newEnd(); err != nil {
		return d, err
	}
	addr, err := ma.NewMultiaddr("/ip4/127.0.0.1/udp/0/quic-v1")
	if err != nil {
		return d, err
	}
	if d.listener, err = d.server.transport.Listen(addr); err != nil {
		return d, fmt.Errorf("listen: %w", err)
	}
	d.wg.Go(d.accept)
	return d, nil
}

func (d *dialler) accept() {
	for {
		conn, err := d.listener.Accept()
		if err != nil {
			return
		}
		d.wg.Go(func() {
			defer conn.Close()
			s, err := conn.AcceptStream()
			if err != nil {
				return
			}
			b := make([]byte, d.size)
			for { // until the other end goes
				if _, err := io.ReadFull(s, b); err != nil {
					return
				}
				if _, err := s.Write(b); err != nil {
					return
				}
			}
		})
	}
}

func (d *dialler) ask(ctx context.Context, request []byte) error {
	conn, err := d.client.transport.Dial(ctx, d.listener.Multiaddr(), d.server.id)
	if err != nil {
		return err
	}
	s, err := conn.OpenStream(ctx)
	if err == nil {
		_, err = s.Write(request)
	}
	if err == nil {
		_, err = io.ReadFull(s, d.answer)
	}
	return errors.Join(err, conn.Close())
}

func (d *dialler) close() error {
	var errs []error
	if d.listener != nil {
		errs = append(errs, d.listener.Close())
	}
	for _, e := range []end{d.client, d.server} {
		if e.conns != nil {
			errs = append(errs, e.conns.Close())
		}
	}
	d.wg.Wait()
	return errors.Join(errs...)
}
