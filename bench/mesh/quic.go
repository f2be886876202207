package mesh

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// bare is quic-go and nothing else: what the mesh is measured against. Both ends
// know the lengths, so nothing is framed. Each answer has the request's length.
type bare struct {
	size     int
	listener *quic.Listener
	client   *tls.Config
	conn     *quic.Conn
	stream   *quic.Stream
	answer   []byte
	wg       sync.WaitGroup
}

const bareProto = "omx-bench"

func certificate() (tls.Certificate, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, t, t, public, private)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, err
}

func newBare(ctx context.Context, size int) (b *bare, err error) {
	cert, err := certificate()
	if err != nil {
		return nil, err
	}
	// Who answers is known: this process.
	b = &bare{size: size, answer: make([]byte, size), client: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{bareProto}}}
	b.listener, err = quic.ListenAddr("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{bareProto}}, nil)
	if err != nil {
		return nil, err
	}
	b.wg.Go(func() { b.accept(ctx) })
	if b.conn, err = b.dial(ctx); err == nil {
		b.stream, err = b.conn.OpenStreamSync(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *bare) dial(ctx context.Context) (*quic.Conn, error) {
	return quic.DialAddr(ctx, b.listener.Addr().String(), b.client, nil)
}

func (b *bare) accept(ctx context.Context) {
	for {
		conn, err := b.listener.Accept(ctx)
		if err != nil {
			return
		}
		b.wg.Go(func() {
			for {
				s, err := conn.AcceptStream(ctx)
				if err != nil {
					return
				}
				b.wg.Go(func() { b.serve(s) })
			}
		})
	}
}

// serve answers on one stream until the other end closes it.
func (b *bare) serve(s *quic.Stream) {
	request, answer := make([]byte, b.size), make([]byte, b.size)
	for {
		if _, err := io.ReadFull(s, request); err != nil {
			_ = s.Close()
			return
		}
		if _, err := s.Write(answer); err != nil {
			return
		}
	}
}

func (b *bare) over(s *quic.Stream, request []byte) error {
	if _, err := s.Write(request); err != nil {
		return err
	}
	_, err := io.ReadFull(s, b.answer)
	return err
}

// ask uses the kept stream.
func (b *bare) ask(_ context.Context, request []byte) error { return b.over(b.stream, request) }

// askStream opens a stream on the kept connection.
func (b *bare) askStream(ctx context.Context, request []byte) error {
	s, err := b.conn.OpenStreamSync(ctx)
	if err != nil {
		return err
	}
	err = b.over(s, request)
	s.CancelRead(0)
	return errors.Join(err, s.Close())
}

func (b *bare) close() error {
	var errs []error
	if b.conn != nil {
		errs = append(errs, b.conn.CloseWithError(0, ""))
	}
	errs = append(errs, b.listener.Close())
	b.wg.Wait()
	return errors.Join(errs...)
}
