package mesh

import (
	"context"
	"fmt"
	"net"

	"omx/bench/measure"
	"omx/node/mesh"
)

// Sockets between two ends: what net.ListenUDP opens, and what the mesh does, which
// receives datagrams joined where the system can.
const (
	plainSockets = "the system's sockets"
	ownSockets   = "omx's sockets"
)

// listenUDP opens a socket; nil is the mesh's own way.
type listenUDP func(network string, laddr *net.UDPAddr) (net.PacketConn, error)

const (
	nameStream  = "stream/1MiB"
	streamBytes = 1 << 20 // of one stream that does not end
	streamFrame = 32 << 10
)

// socketCases are a part of a long stream, and a small request, over each.
func socketCases(ctx context.Context) []measure.Case {
	var all []measure.Case
	for _, work := range []struct {
		name  string
		start func(context.Context, listenUDP) (ask func() error, end func() error, err error)
	}{{nameStream, startStream}, {nameRequest, startRequest}} {
		for _, way := range []struct {
			variant string
			listen  listenUDP
		}{
			{plainSockets, func(network string, laddr *net.UDPAddr) (net.PacketConn, error) { return net.ListenUDP(network, laddr) }},
			{ownSockets, nil},
		} {
			all = append(all, measure.Case{Name: work.name, Variant: way.variant, Workers: 1, Start: func(int) (*measure.Run, error) {
				ask, end, err := work.start(ctx, way.listen)
				if err != nil {
					return nil, err
				}
				return asking(nil, func([]byte) error { return ask() }, end), nil
			}})
		}
	}
	return all
}

func startRequest(ctx context.Context, listen listenUDP) (ask, end func() error, err error) {
	text := make([]byte, requestBytes)
	p, err := newPair(ctx, listen, 0, func(_ context.Context, s *mesh.ServerStream) {
		if s.Token(text, 1) == nil {
			s.Done(nil)
		}
	})
	if err != nil {
		return nil, nil, err
	}
	return func() error { return p.ask(ctx, text) }, p.close, nil
}

func startStream(ctx context.Context, listen listenUDP) (ask, end func() error, err error) {
	p, err := newPair(ctx, listen, 0, func(ctx context.Context, s *mesh.ServerStream) {
		text := make([]byte, streamFrame)
		for ctx.Err() == nil && s.Token(text, 1) == nil {
		}
	})
	if err != nil {
		return nil, nil, err
	}
	s, err := p.client.Open(ctx, p.to, tenant, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("open stream: %w (%w)", err, p.close())
	}
	read := func() error {
		for n := 0; n < streamBytes; {
			t, err := s.Next()
			if err != nil {
				return fmt.Errorf("read stream: %w", err)
			}
			n += len(t.Text)
		}
		return nil
	}
	return read, func() error { s.Close(); return p.close() }, nil
}

func socketTable(all []measure.Series) *measure.Table {
	t := &measure.Table{Head: []string{"both ends with", "a stream, MB/s", "cpu s/GB", "allocs/MiB", "a request, p50", "cpu", "allocs/op"}}
	for _, v := range []string{plainSockets, ownSockets} {
		stream, request := find(all, nameStream, v).Summary(), find(all, nameRequest, v).Summary()
		t.Rows = append(t.Rows, []string{v, fmt.Sprintf("%.0f", streamBytes*measure.Rate(stream.Wall.Median)/1e6), fmt.Sprintf("%.2f", stream.CPU.Median/streamBytes),
			measure.PerOp(stream.Allocs.Median), measure.Nanos(request.P50.Median), measure.Nanos(request.CPU.Median), measure.PerOp(request.Allocs.Median)})
	}
	return t
}
