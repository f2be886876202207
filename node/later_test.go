package node

import (
	"errors"
	"testing"
	"time"

	"omx/node/api"
	"omx/node/engine"
)

// While the only holder is suspect a request waits for word of it; one whose holder is
// known to be down does not.
func TestRequestWaitsForASuspect(t *testing.T) {
	nodes := connect(t, 1, Config{}, Config{Engine: newSim(t, engine.SimConfig{})})
	asked, holder := nodes[0], nodes[1]
	asked.suspect(holder.id)
	var r reader
	if _, err := asked.Chat(t.Context(), chat(t, "m"), &r); err != nil || r.meta.Node != holder.id {
		t.Errorf("the holder is suspect: %+v, %v", r.meta, err)
	}
	if err := holder.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is gone", func() bool { return len(asked.table.Snapshot().Holders(model(t, "m"))) == 0 })
	began := time.Now()
	var refused *api.Error
	if _, err := asked.Chat(t.Context(), chat(t, "m"), &r); !errors.As(err, &refused) || refused.Status != 503 || time.Since(began) > suspectFor {
		t.Errorf("the holder is gone: %v after %v", err, time.Since(began))
	}
}
