package mesh

import (
	"context"
	"errors"

	"omx/bench/measure"
	"omx/node/mesh"
)

// Ways to ask another process over QUIC.
const (
	DialEach   = "omx, connected for each" // until the peer is usable again
	StreamEach = "bare QUIC, new stream for each"
	Bare       = "bare QUIC, kept stream"
	Kept       = "omx"
	Fresh      = "omx, new stream for each"
)

// Cases are a request of so many bytes and an answer of as many, at most
// mesh.MaxToken, asked in each of these ways, one after another.
func Cases(ctx context.Context, name string, size int) []measure.Case {
	text := make([]byte, size)
	answer := func(_ context.Context, s *mesh.ServerStream) {
		if s.Token(text, 1) == nil {
			s.Done(nil)
		}
	}
	overMesh := func(keep int, ask func(p *pair, ctx context.Context, request []byte) error) (func([]byte) error, func() error, error) {
		p, err := newPair(ctx, nil, keep, answer)
		if err != nil {
			return nil, nil, err
		}
		return func(b []byte) error { return ask(p, ctx, b) }, p.close, nil
	}
	overBare := func(ask func(b *bare, ctx context.Context, request []byte) error) (func([]byte) error, func() error, error) {
		b, err := newBare(ctx, size)
		if err != nil {
			return nil, nil, err
		}
		return func(request []byte) error { return ask(b, ctx, request) }, b.close, nil
	}
	var all []measure.Case
	for _, way := range []struct {
		variant string
		start   func() (ask func([]byte) error, end func() error, err error)
	}{
		{DialEach, func() (func([]byte) error, func() error, error) { return overMesh(0, (*pair).askDialled) }},
		{StreamEach, func() (func([]byte) error, func() error, error) { return overBare((*bare).askStream) }},
		{Bare, func() (func([]byte) error, func() error, error) { return overBare((*bare).ask) }},
		{Kept, func() (func([]byte) error, func() error, error) { return overMesh(0, (*pair).ask) }},
		{Fresh, func() (func([]byte) error, func() error, error) { return overMesh(-1, (*pair).ask) }},
	} {
		all = append(all, measure.Case{Name: name, Variant: way.variant, Workers: 1, Start: func(int) (*measure.Run, error) {
			ask, end, err := way.start()
			if err != nil {
				return nil, err
			}
			return asking(make([]byte, size), ask, end), nil
		}})
	}
	return all
}

// asking is one request after another. A failure shows beside the figures.
func asking(request []byte, ask func([]byte) error, end func() error) *measure.Run {
	var failed error
	return &measure.Run{
		Op: func(_ *measure.Worker, n int) {
			for range n {
				if err := ask(request); err != nil && failed == nil {
					failed = err
				}
			}
		},
		Close: func() string {
			if err := errors.Join(failed, end()); err != nil {
				return err.Error()
			}
			return ""
		},
	}
}
