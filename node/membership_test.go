package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"omx/node/api"
	"omx/node/catalog"
	"omx/node/engine"
	"omx/node/mesh"
	"omx/node/mesh/member"
)

// meshOf starts nodes of which the first has made a mesh and the others have
// joined it, each with the role of its name.
func meshOf(t *testing.T, cfgs ...Config) []*Node {
	t.Helper()
	dir := t.TempDir()
	var nodes []*Node
	for i, cfg := range cfgs {
		cfg.Data, cfg.Listen, cfg.NoMDNS = filepath.Join(dir, string(rune('a'+i))), "127.0.0.1:0", true
		key, err := mesh.LoadKey(filepath.Join(cfg.Data, KeyFile))
		if err != nil {
			t.Fatal(err)
		}
		folder := filepath.Join(cfg.Data, MeshFolder)
		if i == 0 {
			_, err = member.Init(folder, member.ID(key.Public().(ed25519.PublicKey)), cfg.Name, time.Now())
		} else {
			var v api.InviteView
			if v, err = (membership{nodes[0]}).Invite(api.InviteOrder{Role: cfg.Name}); err != nil {
				t.Fatal(err)
			}
			token, perr := member.ParseToken(v.Token)
			if perr != nil {
				t.Fatal(perr)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			_, err = mesh.Join(ctx, mesh.JoinConfig{Key: key, Name: cfg.Name, Token: token, Dir: folder})
			cancel()
		}
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, started(t, cfg))
	}
	eventually(t, "all are connected", func() bool {
		for _, n := range nodes {
			if n.mesh.Count() != len(nodes)-1 {
				return false
			}
		}
		return true
	})
	return nodes
}

func holdersOf(n *Node, m catalog.ModelID) int { return len(n.table.Snapshot().Holders(m)) }

// A node that leaves ends what it was asked, takes no more, and is nobody's
// candidate at once, long before its silence would say so.
func TestLeavingGracefully(t *testing.T) {
	m := model(t, "m")
	sim := newSim(t, engine.SimConfig{Decode: 2 * time.Millisecond, Output: 200})
	slow := 20 * time.Second
	nodes := meshOf(t, Config{Name: "serve", Engine: newSim(t, engine.SimConfig{Models: []engine.Status{}}), PeerTimeout: slow},
		Config{Name: "serve", Engine: sim, PeerTimeout: slow})
	asking, leaving := nodes[0], nodes[1]
	eventually(t, "the model is seen", func() bool { return holdersOf(asking, m) == 1 })
	begun := make(chan struct{})
	result := make(chan error, 1)
	r := &reader{}
	first := true
	r.stop = func() {
		if first {
			first = false
			close(begun)
		}
	}
	go func() {
		c := chat(t, "m")
		c.MaxTokens = 200
		_, err := asking.Chat(t.Context(), c, r)
		result <- err
	}()
	<-begun
	began := time.Now()
	if err := leaving.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil || r.tokens < 200 {
		t.Errorf("the request under way: %d tokens, %v", r.tokens, err)
	}
	eventually(t, "it is no candidate", func() bool { return holdersOf(asking, m) == 0 })
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("gone only after %v", took)
	} else {
		t.Logf("gone after %v", took.Round(time.Millisecond))
	}
}

func TestRolesOfNodes(t *testing.T) {
	m := model(t, "m")
	nodes := meshOf(t, Config{Name: "serve", Engine: newSim(t, engine.SimConfig{})},
		Config{Name: "gateway", Engine: newSim(t, engine.SimConfig{Models: []engine.Status{{ID: model(t, "other")}}})},
		Config{Name: "observe", Engine: newSim(t, engine.SimConfig{Models: []engine.Status{}})})
	eventually(t, "the model is seen", func() bool { return holdersOf(nodes[1], m) == 1 && holdersOf(nodes[2], m) == 1 })
	if _, err := nodes[1].Chat(t.Context(), chat(t, "m"), &reader{}); err != nil {
		t.Errorf("a gateway asks: %v", err)
	}
	if _, err := nodes[2].Chat(t.Context(), chat(t, "m"), &reader{}); err == nil || !strings.Contains(err.Error(), "observer") {
		t.Errorf("an observer asks: %v", err)
	}
	if n := holdersOf(nodes[0], model(t, "other")); n != 0 {
		t.Error("a gateway's model is offered")
	}
	var metrics strings.Builder
	if err := nodes[0].Metrics(&metrics); err != nil || !strings.Contains(metrics.String(), "omx_mesh_members 3") || !strings.Contains(metrics.String(), "omx_mesh_connections 2") {
		t.Errorf("%v:\n%s", err, metrics.String())
	}
	for _, name := range []string{"", "serv", "nobody", nodes[1].id.Short()[1:]} {
		var e *api.Error
		if _, err := (membership{nodes[0]}).Revoke(name); !errors.As(err, &e) || e.Code != "not_member" {
			t.Errorf("revoke %q: %v", name, err)
		}
	}
	if v, err := (membership{nodes[0]}).Revoke(nodes[1].id.Short()); err != nil || v.ID != nodes[1].id.String() {
		t.Errorf("revoke: %+v, %v", v, err)
	}
	eventually(t, "it is out", func() bool { return nodes[1].mesh.Count() == 0 && nodes[2].mesh.Count() == 1 })
}
