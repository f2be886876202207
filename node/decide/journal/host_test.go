package journal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"testing"

	"omx/node/decide"
	"omx/policies"
	"omx/policies/abi"
	"omx/wasm"
)

// host has policies by digest, as a node keeps them.
type host struct {
	t       testing.TB
	host    *wasm.Host
	modules map[[32]byte]*wasm.Module
}

func newHost(t testing.TB, interpreter bool) *host {
	h, err := wasm.NewHost(context.Background(), wasm.Config{Version: "test", Interpreter: interpreter})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close(context.Background()) })
	return &host{t: t, host: h, modules: map[[32]byte]*wasm.Module{}}
}

// use loads a built-in policy.
func (h *host) use(name string) [32]byte {
	code, ok := policies.Builtin(name)
	if !ok {
		h.t.Fatalf("there is no built-in policy %s", name)
	}
	digest := sha256.Sum256(code)
	if h.modules[digest] == nil {
		m, err := h.host.Compile(context.Background(), name, code, wasm.Limits{})
		if err != nil {
			h.t.Fatal(err)
		}
		h.modules[digest] = m
	}
	return digest
}

func (h *host) guest(digest [32]byte, params []byte) decide.Guest {
	g, err := h.modules[digest].New(context.Background(), wasm.InstanceConfig{Params: params})
	if err != nil {
		h.t.Fatal(err)
	}
	return g
}

// same makes the policies that decided.
func (h *host) same(_ abi.Kind, digest [32]byte, params []byte) (decide.Guest, error) {
	if h.modules[digest] == nil {
		return nil, nil
	}
	return h.guest(digest, params), nil
}

// only makes one policy, whatever decided.
func (h *host) only(name string, kind abi.Kind) Maker {
	digest := h.use(name)
	return func(k abi.Kind, _ [32]byte, params []byte) (decide.Guest, error) {
		if k != kind {
			return nil, nil
		}
		return h.guest(digest, nil), nil
	}
}

// node takes decisions on a fleet's views, and records them.
type node struct {
	*fleet
	w      *Writer
	guest  decide.Guest
	digest [32]byte
	id     uint64
}

// begin has a policy decide from here.
func (h *host) begin(f *fleet, w *Writer, name, params string) *node {
	n := &node{fleet: f, w: w, digest: h.use(name)}
	n.guest = h.guest(n.digest, []byte(params))
	h.t.Cleanup(func() { n.guest.Close() })
	w.Fresh(f.shape.Kind, n.digest, []byte(params), 1)
	f.shape.Stride, _ = n.guest.Wants(f.shape.Kind)
	return n
}

// decide takes the next decision and records it.
func (n *node) decide(t testing.TB) {
	view := n.next()
	b, err := n.guest.View(n.shape.Kind, len(view))
	if err != nil {
		t.Fatal(err)
	}
	copy(b, view)
	n.id++
	d := decide.Taken{Kind: n.shape.Kind, ID: n.id, View: view, Digest: n.digest}
	if d.Answer, d.Fuel, err = n.guest.Call(d.Kind, len(view), n.shape.Rows); err != nil {
		t.Fatal(err)
	}
	if b, err = n.guest.View(d.Kind, len(view)); err != nil {
		t.Fatal(err)
	}
	d.Status, d.Result = judge(d.Kind, view, d.Answer), bytes.Clone(n.shape.Results(b))
	n.w.Decision(&d)
}

// told hands an event to the policy and records it.
func (n *node) told(t testing.TB, e *abi.Event) {
	if err := n.guest.Event(e.Bytes()); err != nil {
		t.Fatal(err)
	}
	n.w.Event(n.shape.Kind, e)
}
