package upstream

import (
	"errors"
	"testing"
	"time"

	"omx/node/engine"
	"omx/node/engine/enginetest"
)

// simulated is a server with one API in front of a simulated engine, and an upstream
// that asks it: the API is found out.
func simulated(t *testing.T, kind Kind, cfg Config, sim engine.SimConfig) enginetest.Subject {
	t.Helper()
	sim.Models, sim.Slots, sim.Prefill = []engine.Status{{ID: id(t, "sim")}}, 16, 20*time.Microsecond
	if sim.Decode == 0 {
		sim.Decode = 200 * time.Microsecond
	}
	behind, err := engine.NewSim(sim)
	if err != nil {
		t.Fatal(err)
	}
	handler := fakeOpenAI(behind)
	if kind == Ollama {
		handler = fakeOllama(behind)
	}
	cfg.URL = serve(t, handler).URL
	return enginetest.Subject{Engine: start(t, cfg), Behind: behind}
}

func TestConformance(t *testing.T) {
	for _, kind := range []Kind{OpenAI, Ollama} {
		t.Run(string(kind), func(t *testing.T) {
			enginetest.Run(t, func(t *testing.T, s enginetest.Setup) enginetest.Subject {
				if s.Counts && kind == Ollama {
					t.Skip("Ollama counts no tokens")
				}
				if s.Context > 0 {
					t.Skip("what another server does at the end of its context is its own business")
				}
				var sim engine.SimConfig
				if s.Endless {
					sim.Output = 1 << 20
				}
				if s.Held() {
					sim.Decode = 5 * time.Millisecond
				}
				return simulated(t, kind, Config{Slots: s.Slots, QueueLimit: s.Queue}, sim)
			})
		})
	}
}

// What comes is what the engine behind says itself, and all that a prompt says gets
// there.
func TestSaysWhatTheServerSays(t *testing.T) {
	for _, kind := range []Kind{OpenAI, Ollama} {
		t.Run(string(kind), func(t *testing.T) {
			s := simulated(t, kind, Config{}, engine.SimConfig{})
			id := status(s).ID
			hot := ask(s, "What is a river?")
			hot.Temperature, hot.TopP, hot.TopK, hot.Seed = 1, 0.9, 40, 7
			said := map[string]bool{}
			for name, p := range map[string]*engine.Prompt{
				"cold": ask(s, "What is a river?"),
				"hot":  hot,
				"raw":  {Model: id, Raw: "Once upon a time"},
			} {
				want, meant, err := answerOf(s.Behind, p)
				if err != nil {
					t.Fatal(err)
				}
				got, u, err := answerOf(s, p)
				if err != nil || got.Text != want.Text || u.PromptTokens != meant.PromptTokens || u.Finish != meant.Finish {
					t.Errorf("%s: %q, %+v, want %q, %+v, %v", name, got.Text, u, want.Text, meant, err)
				}
				said[got.Text] = true
			}
			if len(said) != 3 {
				t.Errorf("temperature, seed or the text did not arrive: %v", said)
			}
			if st := status(s); id.String() != "sim" || st.Speed.PrefillNS < 20_000 {
				t.Errorf("status %+v", st)
			}
			r := &engine.EmbedRequest{Model: id, Input: []string{"a river", "a stone", "light"}}
			want, err := s.Behind.Embed(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Embed(t.Context(), r)
			if err != nil || len(got.Vectors) != 3 || got.PromptTokens != want.PromptTokens {
				t.Fatalf("%+v, %v", got, err)
			}
			for i := range want.Vectors {
				for j, x := range want.Vectors[i] {
					if d := got.Vectors[i][j] - x; d > 1e-6 || d < -1e-6 {
						t.Fatalf("vector %d: %v, want %v", i, got.Vectors[i], want.Vectors[i])
					}
				}
			}
			p := ask(s, "x")
			p.Grammar = "root ::= [a-z]"
			if got, _, err := answerOf(s, p); !errors.Is(err, engine.ErrCannot) || got.Text != "" {
				t.Errorf("a grammar alone: %q, %v, want ErrCannot", got.Text, err)
			}
		})
	}
}
