package node

import (
	"math"
	"net/http"
	"testing"
	"time"

	"omx/node/api"
	"omx/node/engine"
)

// Embeddings and counts are the same wherever they are asked.
func TestEmbedAndCount(t *testing.T) {
	nodes := connect(t, 1, Config{Engine: newSim(t, engine.SimConfig{})}, Config{Engine: newSim(t, engine.SimConfig{Models: []engine.Status{}})})
	a, b := nodes[0], nodes[1]
	want, err := a.Embed(t.Context(), embedding(t, "one", "two words"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.Embed(t.Context(), embedding(t, "one", "two words"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Vectors) != 2 || got.Meta.Node != a.id || got.PromptTokens != want.PromptTokens {
		t.Fatalf("%+v, want %+v", got, want)
	}
	for i, v := range got.Vectors {
		sum := 0.0
		for k, x := range v {
			sum += float64(x) * float64(x)
			if x != want.Vectors[i][k] {
				t.Fatalf("vector %d: %v, want %v", i, v, want.Vectors[i])
			}
		}
		if math.Abs(sum-1) > 1e-5 {
			t.Errorf("vector %d has length %v", i, math.Sqrt(sum))
		}
	}
	for _, n := range []*Node{a, b} {
		if tokens, err := n.CountTokens(t.Context(), chat(t, "m")); err != nil || tokens != 6 {
			t.Errorf("%d tokens, %v", tokens, err)
		}
	}
	bad := embedding(t, "")
	if _, err := b.Embed(t.Context(), bad); err == nil || err.(*api.Error).Status != http.StatusBadRequest {
		t.Errorf("an empty text: %v", err)
	}
}

func embedding(t *testing.T, input ...string) *api.Embedding {
	return &api.Embedding{Chat: api.Chat{Model: model(t, "m"), Arrived: time.Now()}, Input: input}
}
