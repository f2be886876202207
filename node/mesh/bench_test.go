package mesh

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"omx/node/mesh/member"
)

func BenchmarkTokenEncode(b *testing.B) {
	text, buf := []byte(" token"), make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		buf = appendToken(buf[:0], text, 1)
	}
}

func BenchmarkTokenDecode(b *testing.B) {
	src := bytes.NewReader(bytes.Repeat(appendToken(nil, []byte(" token"), 1), 64))
	r := newFrameReader(src)
	b.ReportAllocs()
	for b.Loop() {
		if r.pos == r.end && src.Len() == 0 {
			_, _ = src.Seek(0, io.SeekStart)
		}
		_, p, err := r.next()
		if _, perr := parseToken(p); err != nil || perr != nil {
			b.Fatal(err, perr)
		}
	}
}

// BenchmarkRequest is one request and an answer of one token over loopback, on a
// new stream of the kept connection.
func BenchmarkRequest(b *testing.B) {
	client, server := pair(b, 3*time.Second)
	server.handle(func(_ context.Context, s *ServerStream) {
		if s.Accept() == nil && s.Token([]byte("x"), 1) == nil {
			s.Done(nil)
		}
	})
	request := make([]byte, 256)
	one := func(b *testing.B) {
		if _, err := ask(b.Context(), client.Mesh, server.ID(), string(request)); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("pooled", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			one(b)
		}
	})
	b.Run("pooled parallel", func(b *testing.B) {
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := ask(b.Context(), client.Mesh, server.ID(), string(request)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
	b.Run("tokens", func(b *testing.B) { // of one long answer
		server.handle(func(ctx context.Context, s *ServerStream) {
			for text := []byte(" token"); ctx.Err() == nil; {
				if s.Token(text, 1) != nil {
					return
				}
			}
		})
		s, err := client.Open(b.Context(), server.ID(), 0, request)
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Next(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRequestDialled is the same with a connection made for each request,
// between nodes that list one another and between members of a mesh with a key.
func BenchmarkRequestDialled(b *testing.B) {
	quick := PoolConfig{RetryMin: 1, RetryMax: 1}
	b.Run("listed", func(b *testing.B) {
		kc, ks := newKey(b), newKey(b)
		server := startPeer(b, Config{Key: ks, Peers: []string{"/p2p/" + idOf(b, kc).String()}})
		client := startPeer(b, Config{Key: kc, Peers: []string{"/p2p/" + server.ID().String()}, Pool: quick}) // nothing dials by itself
		client.host.swarm.Peerstore().AddAddrs(server.peer, server.host.swarm.ListenAddresses(), time.Hour)
		requestDialled(b, client, server)
	})
	b.Run("members", func(b *testing.B) {
		server := founder(b)
		client := joined(b, server, member.Serve, func(c *Config) { c.Pool = quick })
		eventually(b, "connected", func() bool { return client.Has(server.ID()) && server.Has(client.ID()) })
		for _, p := range []*testPeer{client, server} { // nothing dials by itself from here on
			for _, o := range p.peers.all() {
				close(o.gone)
			}
		}
		client.pool.Remove(server.ID())
		<-client.peers.get(server.peer).freed
		requestDialled(b, client, server)
	})
}

func requestDialled(b *testing.B, client, server *testPeer) {
	request := string(make([]byte, 256))
	b.ReportAllocs()
	for b.Loop() {
		e, err := client.pool.Get(b.Context(), server.ID())
		if err != nil {
			b.Fatal(err)
		}
		e.Release()
		if _, err := ask(b.Context(), client.Mesh, server.ID(), request); err != nil {
			b.Fatal(err)
		}
		client.pool.Remove(server.ID())
		<-client.peers.get(server.peer).freed
	}
}
