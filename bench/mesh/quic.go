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

// bare is a kept stream of quic-go and nothing else: what the mesh is measured
// against. Both ends know the lengths, so nothing is framed.
type bare struct {
	listener *quic.Listener
	conn     *quic.Conn
	stream   *quic.Stream
	answer   []byte
	wg       sync.WaitGroup
}

func certificate() (tls.Certificate, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, t, t, public, private)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, err
}

func newBare(ctx context.Context) (b *bare, err error) {
	cert, err := certificate()
	if err != nil {
		return nil, err
	}
	const proto = "omx-bench"
	b = &bare{answer: make([]byte, answerBytes)}
	b.listener, err = quic.ListenAddr("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{proto}}, nil)
	if err != nil {
		return nil, err
	}
	b.wg.Go(func() { b.serve(ctx) })
	// Who answers is known: this process.
	b.conn, err = quic.DialAddr(ctx, b.listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{proto}}, nil)
	if err == nil {
		b.stream, err = b.conn.OpenStreamSync(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *bare) serve(ctx context.Context) {
	conn, err := b.listener.Accept(ctx)
	if err != nil {
		return
	}
	s, err := conn.AcceptStream(ctx)
	if err != nil {
		return
	}
	request, answer := make([]byte, requestBytes), make([]byte, answerBytes)
	for {
		if _, err := io.ReadFull(s, request); err != nil {
			return
		}
		if _, err := s.Write(answer); err != nil {
			return
		}
	}
}

func (b *bare) ask(request []byte) error {
	if _, err := b.stream.Write(request); err != nil {
		return err
	}
	_, err := io.ReadFull(b.stream, b.answer)
	return err
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
