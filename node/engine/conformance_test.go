package engine_test

import (
	"testing"
	"time"

	"omx/node/engine"
	"omx/node/engine/enginetest"
	"omx/node/nodetest"
)

func startSim(t *testing.T, s enginetest.Setup, model string) engine.Engine {
	t.Helper()
	cfg := engine.SimConfig{Models: []engine.Status{{ID: nodetest.Model(t, model)}}, Slots: s.Slots, QueueLimit: s.Queue, ContextTokens: s.Context, Prefill: 20 * time.Microsecond, Decode: 200 * time.Microsecond}
	if s.Endless {
		cfg.Output = 1 << 20
	}
	if s.Held() {
		cfg.Decode = 5 * time.Millisecond
	}
	e, err := engine.NewSim(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func TestConformance(t *testing.T) {
	for name, start := range map[string]func(t *testing.T, s enginetest.Setup) engine.Engine{
		"sim": func(t *testing.T, s enginetest.Setup) engine.Engine { return startSim(t, s, "sim") },
		"local": func(t *testing.T, s enginetest.Setup) engine.Engine {
			return engine.StartLocal(t, func(c *engine.LocalConfig) {
				c.Slots, c.QueueLimit, c.ContextTokens = s.Slots, s.Queue, s.Context
				if s.Endless {
					c.Models[0].Path = engine.EndlessModel(t)
				}
			})
		},
		"group": func(t *testing.T, s enginetest.Setup) engine.Engine {
			return engine.NewGroup(startSim(t, s, "one"), startSim(t, s, "two"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			enginetest.Run(t, func(t *testing.T, s enginetest.Setup) enginetest.Subject {
				return enginetest.Subject{Engine: start(t, s)}
			})
		})
	}
}
