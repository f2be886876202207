package mesh

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	tpt "github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/quic-go/quic-go"
)

// host is a libp2p swarm over QUIC and nothing else. It is put together by hand
// because the libp2p root package links every transport there is.
type host struct {
	swarm *swarm.Swarm
	conns *quicreuse.ConnManager
	key   crypto.PrivKey
	gater connmgr.ConnectionGater
	reset quic.StatelessResetKey
	token quic.TokenGeneratorKey
}

// rcmgr bounds nothing. Peers are listed by the operator or members, and strangers are
// bounded before they are anything, so what libp2p's resource manager would bound is
// bounded here, in limits.go and Config: its limit of connections from one address
// would keep out a shop whose machines share one.
var rcmgr = &network.NullResourceManager{}

// newHost makes a host whose certificate carries a credential, nil for none.
func newHost(key crypto.PrivKey, id peer.ID, g connmgr.ConnectionGater, credential []byte, cfg *Config) (h *host, err error) {
	ps, err := pstoremem.NewPeerstore()
	if err != nil {
		return nil, fmt.Errorf("create peerstore: %w", err)
	}
	h = &host{key: key, gater: g}
	defer func() {
		if err != nil {
			err = errors.Join(err, ps.Close(), h.close())
		}
	}()
	if err := errors.Join(ps.AddPrivKey(id, key), ps.AddPubKey(id, key.GetPublic())); err != nil {
		return nil, fmt.Errorf("store own key: %w", err)
	}
	// Without its "black hole" guess: after 100 vain dials to peers that are off,
	// the swarm would stop dialling those that are on.
	h.swarm, err = swarm.NewSwarm(id, ps, eventbus.NewBus(), swarm.WithResourceManager(rcmgr), swarm.WithConnectionGater(g), swarm.WithDialRanker(directFirst),
		swarm.WithUDPBlackHoleSuccessCounter(nil), swarm.WithIPv6BlackHoleSuccessCounter(nil))
	if err != nil {
		return nil, fmt.Errorf("create swarm: %w", err)
	}
	raw, err := key.Raw()
	if err != nil {
		return nil, fmt.Errorf("read own key: %w", err)
	}
	for label, to := range map[string][]byte{"omx stateless reset": h.reset[:], "omx address token": h.token[:]} {
		b, err := hkdf.Key(sha256.New, raw, nil, label, len(to))
		if err != nil {
			return nil, fmt.Errorf("derive %s key: %w", label, err)
		}
		copy(to, b)
	}
	opts := []quicreuse.Option{quicreuse.OverrideListenUDP(cfg.listenUDP())}
	if cfg.SourceIP != nil {
		opts = append(opts, quicreuse.OverrideSourceIPSelector(func() (quicreuse.SourceIPSelector, error) { return fixedSource(cfg.SourceIP), nil }))
	}
	if h.conns, err = h.newConnManager(opts...); err != nil {
		return nil, err
	}
	tr, err := h.newTransport(h.conns, credential)
	if err != nil {
		return nil, err
	}
	if err = h.swarm.AddTransport(tr); err != nil {
		return nil, fmt.Errorf("add QUIC transport: %w", err)
	}
	return h, nil
}

func (h *host) newConnManager(opts ...quicreuse.Option) (*quicreuse.ConnManager, error) {
	c, err := quicreuse.NewConnManager(h.reset, h.token, opts...)
	if err != nil {
		return nil, fmt.Errorf("create QUIC sockets: %w", err)
	}
	return c, nil
}

// newTransport is libp2p's QUIC over some sockets, with a credential in its
// certificate, nil for none.
func (h *host) newTransport(conns *quicreuse.ConnManager, credential []byte) (tpt.Transport, error) {
	t, err := libp2pquic.NewTransport(h.key, conns, nil, h.gater, rcmgr, identityOptions(credential)...)
	if err != nil {
		return nil, fmt.Errorf("create QUIC transport: %w", err)
	}
	return t, nil
}

// identityOptions puts a credential into the certificate, where the other side
// reads it in the handshake.
func identityOptions(credential []byte) []libp2pquic.Option {
	if credential == nil {
		return nil
	}
	return []libp2pquic.Option{libp2pquic.WithTLSIdentityOption(libp2ptls.WithCertTemplate(certificate(credential)))}
}

func certificate(credential []byte) *x509.Certificate {
	var serial [8]byte
	_, _ = rand.Read(serial[:]) // never fails
	number := new(big.Int).SetBytes(serial[:])
	return &x509.Certificate{SerialNumber: number, Subject: pkix.Name{SerialNumber: number.String()},
		NotBefore: time.Now().Add(-certificateSkew), NotAfter: time.Now().Add(certificateLife), // the credential says what counts
		ExtraExtensions: []pkix.Extension{{Id: credentialID, Value: credential}}}
}

const (
	certificateSkew = 365 * 24 * time.Hour
	certificateLife = 100 * certificateSkew
)

func (h *host) listen(addrs []string) error {
	for _, s := range addrs {
		a, err := ma.NewMultiaddr(s)
		if err != nil {
			return fmt.Errorf("mesh address %q: %w; write it as /ip4/0.0.0.0/udp/4001/quic-v1", s, err)
		}
		err = h.swarm.Listen(a)
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("listen on %s: the UDP port is in use; stop the program that has it or choose another with --mesh", s)
		}
		if err != nil {
			return fmt.Errorf("listen on %s: %w; choose another address with --mesh", s, err)
		}
	}
	return nil
}

func (h *host) close() error {
	var errs []error
	if h.swarm != nil {
		errs = append(errs, h.swarm.Close(), h.swarm.Peerstore().Close())
	}
	if h.conns != nil {
		errs = append(errs, h.conns.Close())
	}
	return errors.Join(errs...)
}

// fixedSource dials from one address.
type fixedSource net.IP

// PreferredSourceIPForDestination implements quicreuse.SourceIPSelector.
func (s fixedSource) PreferredSourceIPForDestination(*net.UDPAddr) (net.IP, error) {
	return net.IP(s), nil
}
