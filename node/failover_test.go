package node

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"omx/node/api"
	"omx/node/catalog"
	"omx/node/engine"
	"omx/node/mesh"
	"omx/node/nodetest"
)

// plugged is a node's configuration with a cable, which is out while the flag is set.
func plugged(cfg Config, lag time.Duration) (Config, *atomic.Bool) {
	out := new(atomic.Bool)
	cfg.listenUDP = nodetest.Lossy(lag, func(net.Addr) bool { return out.Load() })
	return cfg, out
}

// holders are a gateway and n nodes that answer alike, with a cable for each.
func holders(t *testing.T, n int, sim engine.SimConfig, gateway Config, lag time.Duration) ([]*Node, []*atomic.Bool) {
	t.Helper()
	gateway, _ = plugged(gateway, lag)
	cfgs, cables := []Config{gateway}, []*atomic.Bool{new(atomic.Bool)}
	for range n {
		cfg, out := plugged(Config{Engine: newSim(t, sim)}, lag)
		cfgs, cables = append(cfgs, cfg), append(cables, out)
	}
	return connect(t, n, cfgs...), cables
}

// oracle is what an undisturbed engine answers.
func oracle(t *testing.T, sim engine.SimConfig, c *api.Chat) (string, engine.Usage) {
	t.Helper()
	sim.Prefill, sim.Decode = 0, 0
	p, err := prompt(c)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	u, err := newSim(t, sim).Generate(t.Context(), &p, func(tok engine.Token) error { text.WriteString(tok.Text); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return text.String(), u
}

// watchful is a client that does something at a token, and knows the longest gap.
type watchful struct {
	reader
	at     int
	do     func(r *watchful)
	latest time.Time
	gap    time.Duration
}

func (r *watchful) Token(t api.Token) error {
	if now := time.Now(); r.tokens > 0 {
		r.gap = max(r.gap, now.Sub(r.latest))
	}
	r.latest = time.Now()
	before := r.tokens
	err := r.reader.Token(t)
	if before < r.at && r.tokens >= r.at {
		r.do(r)
	}
	return err
}

func serving(t testing.TB, nodes []*Node, r *reader) int {
	i := slices.IndexFunc(nodes, func(n *Node) bool { return n.id == r.meta.Node })
	if i < 0 {
		t.Error("nobody serves")
	}
	return max(i, 0)
}

// A node that vanishes in the middle of its answer is followed by another that goes
// on: the client sees one answer, whole.
func TestAnswerGoesOnElsewhere(t *testing.T) {
	sim := engine.SimConfig{Decode: 2 * time.Millisecond, Output: 200}
	nodes, cables := holders(t, 3, sim, Config{}, 0)
	c := chat(t, "m")
	c.MaxTokens, c.Stop = 0, []string{"never said"}
	want, u := oracle(t, sim, c)
	lost := 0
	unplug := func(r *watchful) {
		cables[serving(t, nodes, &r.reader)].Store(true)
		lost++
	}
	r := &watchful{at: 60, do: unplug}
	res, err := nodes[0].Chat(t.Context(), c, r)
	if err != nil || lost != 1 {
		t.Fatalf("%d lost, %v", lost, err)
	}
	if r.text.String() != want || r.tokens != u.OutputTokens || r.begun != 1 {
		t.Errorf("begun %d times, %d tokens\n%q\nwant %d\n%q", r.begun, r.tokens, r.text.String(), u.OutputTokens, want)
	}
	if res.Resumed != 1 || res.OutputTokens != u.OutputTokens || res.PromptTokens != u.PromptTokens || res.Finish != string(u.Finish) {
		t.Errorf("%+v, want %+v", res, u)
	}
	if d, ok := nodes[0].Decision(1); !ok || d.Resumed != 1 || d.Tries != 2 || d.Tokens != u.OutputTokens || d.Node == r.meta.Node.String() {
		t.Errorf("decision %+v", d)
	}
	t.Logf("the longest gap was %v", r.gap.Round(time.Millisecond))
}

// The longest gap is short where round trips take 50 ms: the nodes are connected. A
// peer counts as gone by its silence only much later. TestSilentDeath of the virtual
// testnet has the exact time, which no busy machine lengthens.
func TestGapOverDistance(t *testing.T) {
	sim := engine.SimConfig{Decode: 10 * time.Millisecond, Output: 60}
	nodes, cables := holders(t, 6, sim, Config{PeerTimeout: 20 * time.Second}, 25*time.Millisecond)
	var gaps []time.Duration
	for i := range 5 {
		c := chat(t, "m")
		c.MaxTokens, c.Messages[0].Content = 0, strings.Repeat("x", i)
		want, _ := oracle(t, sim, c)
		r := &watchful{at: 30, do: func(r *watchful) { cables[serving(t, nodes, &r.reader)].Store(true) }}
		res, err := nodes[0].Chat(t.Context(), c, r)
		if err != nil || r.text.String() != want || res.Resumed != 1 {
			t.Fatalf("%v, %+v", err, res)
		}
		gaps = append(gaps, r.gap.Round(time.Millisecond))
	}
	t.Logf("longest gap of each answer: %v", gaps)
	if slices.Sort(gaps); gaps[len(gaps)/2] > 5*time.Second {
		t.Errorf("in the median the longest gap was %v", gaps[len(gaps)/2])
	}
}

// So it is with many at once, and with a second node that goes as well: each ends
// once, with all of its text.
func TestManyAnswersGoOn(t *testing.T) {
	sim := engine.SimConfig{Decode: 3 * time.Millisecond, Output: 120, Slots: 64}
	nodes, cables := holders(t, 4, sim, Config{}, 0)
	var begun, ended, resumed atomic.Int64
	var wg sync.WaitGroup
	var one, two sync.Once
	for i := range 48 {
		wg.Go(func() {
			c := chat(t, "m")
			hot := float32(1)
			c.Messages[0].Content = strings.Repeat("x", i)
			if i%2 == 0 {
				c.Temperature, c.Seed = &hot, new(uint32)
				*c.Seed = uint32(i + 1)
			}
			c.MaxTokens = 60 + i
			c.Stop = []string{"keeps runs a", " river river river"}
			want, u := oracle(t, sim, c)
			r := &watchful{at: 20, do: func(r *watchful) {
				if n := begun.Add(1); n == 30 {
					one.Do(func() { cables[serving(t, nodes, &r.reader)].Store(true) })
				} else if n == 40 {
					two.Do(func() { cables[1+serving(t, nodes, &r.reader)%4].Store(true) })
				}
			}}
			res, err := nodes[0].Chat(t.Context(), c, r)
			ended.Add(1)
			resumed.Add(int64(res.Resumed))
			if err != nil || r.text.String() != want || res.OutputTokens != u.OutputTokens || r.begun != 1 || res.Finish != string(u.Finish) {
				t.Errorf("request %d: begun %d times, %v, %+v, want %+v\n%q\nwant\n%q", i, r.begun, err, res, u, r.text.String(), want)
			}
		})
	}
	wg.Wait()
	if ended.Load() != 48 || resumed.Load() == 0 {
		t.Errorf("%d ended, %d went on elsewhere", ended.Load(), resumed.Load())
	}
	t.Logf("%d of 48 went on elsewhere", resumed.Load())
}

// shaky is an engine that loses requests after some tokens, as long as it is told to.
type shaky struct {
	*engine.Sim
	after  int
	losing *atomic.Int64
}

func (s shaky) Generate(ctx context.Context, p *engine.Prompt, emit func(engine.Token) error) (engine.Usage, error) {
	n := 0
	u, err := s.Sim.Generate(ctx, p, func(tok engine.Token) error {
		if n += tok.N; n > s.after && s.losing.Add(-1) >= 0 {
			return engine.ErrLost
		}
		return emit(tok)
	})
	return u, err
}

// An answer may be lost more than once; engines of this node and of others are alike.
func TestAnswerIsLostTwice(t *testing.T) {
	sim := engine.SimConfig{Output: 80}
	losing := new(atomic.Int64)
	cfg := func() Config { return Config{Engine: shaky{newSim(t, sim), 7, losing}} }
	nodes := connect(t, 3, cfg(), cfg(), cfg())
	for _, n := range nodes {
		losing.Store(2)
		c := chat(t, "m")
		c.MaxTokens = 0
		want, u := oracle(t, sim, c)
		var r reader
		res, err := n.Chat(t.Context(), c, &r)
		if err != nil || r.text.String() != want || r.begun != 1 || res.Resumed != 2 || res.OutputTokens != u.OutputTokens || r.tokens != u.OutputTokens {
			t.Errorf("at %s: %v, begun %d times, %+v\n%q\nwant\n%q", n.cfg.Name, err, r.begun, res, r.text.String(), want)
		}
		for _, n := range nodes { // who is suspect speaks
			eventually(t, "nobody is suspect", func() bool {
				return !slices.ContainsFunc(n.Nodes(), func(v api.NodeView) bool { return v.State == "suspect" })
			})
		}
	}

	// With nobody left there is one error, and it says so.
	losing.Store(100)
	c := chat(t, "m")
	c.MaxTokens = 0
	var r reader
	var known *api.Error
	if _, err := nodes[0].Chat(t.Context(), c, &r); !errors.As(err, &known) || known.Code != "answer_interrupted" || known.Status != http.StatusBadGateway || !strings.Contains(known.Message, "after 21 tokens") || r.tokens != 21 {
		t.Errorf("%v after %d tokens", err, r.tokens)
	}
	want, _ := oracle(t, sim, c)
	if r.begun != 1 || r.text.Len() == 0 || !strings.HasPrefix(want, r.text.String()) {
		t.Errorf("begun %d times: %q is no beginning of %q", r.begun, r.text.String(), want)
	}
	d, ok := nodes[0].Decision(nodes[0].record.Last())
	if !ok || d.Error == "" {
		t.Errorf("decision %+v", d)
	}
}

// What cannot be gone on with from its text alone ends with an error, even where
// others could answer.
func TestWhatCannotGoOnEnds(t *testing.T) {
	losing := new(atomic.Int64)
	cfg := func() Config {
		return Config{Engine: called{shaky{newSim(t, engine.SimConfig{Output: 80}), 7, losing}}}
	}
	nodes := connect(t, 2, Config{}, cfg(), cfg())
	losing.Store(1)
	var known *api.Error
	var r reader
	if _, err := nodes[0].Chat(t.Context(), chat(t, "m"), &r); !errors.As(err, &known) || known.Code != "answer_interrupted" || r.begun != 1 {
		t.Errorf("%v, begun %d times", err, r.begun)
	}
}

// called says that a call came before each token.
type called struct{ engine.Engine }

func (e called) Generate(ctx context.Context, p *engine.Prompt, emit func(engine.Token) error) (engine.Usage, error) {
	return e.Engine.Generate(ctx, p, func(t engine.Token) error { t.Called = true; return emit(t) })
}

// A client that goes away is not answered any further.
func TestNobodyGoesOnForNobody(t *testing.T) {
	sim := engine.SimConfig{Decode: time.Millisecond, Output: 80}
	nodes, _ := holders(t, 2, sim, Config{}, 0)
	left := errors.New("left")
	r := &leaving{err: left}
	if _, err := nodes[0].Chat(t.Context(), chat(t, "m"), r); err == nil || r.tokens != 1 {
		t.Errorf("%v after %d tokens", err, r.tokens)
	}
	if d, ok := nodes[0].Decision(1); !ok || d.Tries != 1 || d.Resumed != 0 {
		t.Errorf("decision %+v", d)
	}
	if slices.ContainsFunc(nodes[0].Nodes(), func(v api.NodeView) bool { return v.State == "suspect" }) {
		t.Error("the node that answered is suspect")
	}
}

type leaving struct {
	err    error
	tokens int
}

func (*leaving) Begin(api.Meta) error    { return nil }
func (l *leaving) Token(api.Token) error { l.tokens++; return l.err }

// With nobody to go on, a node that was out of reach for a moment is waited for.
func TestMomentWithoutNetwork(t *testing.T) {
	sim := engine.SimConfig{Decode: 2 * time.Millisecond, Output: 200}
	nodes, cables := holders(t, 1, sim, Config{PeerTimeout: 20 * time.Second}, 0)
	c := chat(t, "m")
	c.MaxTokens = 0
	want, _ := oracle(t, sim, c)
	r := &watchful{at: 20, do: func(*watchful) {
		cables[1].Store(true)
		go func() {
			for !nodes[0].table.Snapshot().Holders(model(t, "m"))[0].Suspect {
				time.Sleep(time.Millisecond)
			}
			cables[1].Store(false)
		}()
	}}
	res, err := nodes[0].Chat(t.Context(), c, r)
	if err != nil || r.text.String() != want || res.Resumed != 0 {
		t.Errorf("%v, %+v\n%q\nwant\n%q", err, res, r.text.String(), want)
	}
	eventually(t, "it is no longer suspect", func() bool { return !nodes[0].table.Snapshot().Holders(model(t, "m"))[0].Suspect })
}

// A node that reads a long prompt is not taken for dead.
func TestSlowModelIsNotDead(t *testing.T) {
	sim := engine.SimConfig{Prefill: 100 * time.Millisecond, Decode: 200 * time.Millisecond, Output: 3}
	nodes, _ := holders(t, 2, sim, Config{}, 0)
	var r reader
	res, err := nodes[0].Chat(t.Context(), chat(t, "m"), &r)
	d, ok := nodes[0].Decision(1)
	if err != nil || res.Resumed != 0 || !ok || d.Tries != 1 {
		t.Errorf("%v, %+v, %+v", err, res, d)
	}
}

// A streamed answer that changed nodes says so behind it, in every shape the same way.
func TestResumedTrailer(t *testing.T) {
	losing := new(atomic.Int64)
	cfg := func() Config { return Config{Engine: shaky{newSim(t, engine.SimConfig{Output: 30}), 7, losing}} }
	nodes := connect(t, 2, Config{}, cfg(), cfg())
	for _, stream := range []string{"true", "false"} {
		losing.Store(1)
		resp := nodetest.Open(t.Context(), t, "POST", nodes[0].URL()+"/v1/chat/completions",
			`{"model":"m","stream":`+stream+`,"messages":[{"role":"user","content":"hello"}]}`, "Content-Type", "application/json")
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resumed := resp.Trailer.Get("X-Omx-Resumed") + resp.Header.Get("X-Omx-Resumed"); err != nil || resumed != "1" || strings.Contains(string(body), "error") {
			t.Errorf("stream %s: resumed %q, %v\n%s", stream, resumed, err, body)
		}
		eventually(t, "nobody is suspect", func() bool {
			return !slices.ContainsFunc(nodes[0].Nodes(), func(v api.NodeView) bool { return v.State == "suspect" })
		})
	}
}

// A client's cancellation frees the slot of another node long before the answer's
// end. TestCancelFreesSlot of the virtual testnet has the exact time.
func TestCancelAcrossTheMesh(t *testing.T) {
	sim := newSim(t, engine.SimConfig{Decode: 5 * time.Millisecond, Output: 4000})
	n := connect(t, 1, Config{}, Config{Engine: sim})[0]
	var took []time.Duration
	for range 21 {
		ctx, cancel := context.WithCancel(t.Context())
		var left time.Time
		c := chat(t, "m")
		c.MaxTokens = 0
		if _, err := n.Chat(ctx, c, &reader{stop: sync.OnceFunc(func() { left = time.Now(); cancel() })}); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		eventually(t, "the slot is free", func() bool { return sim.Models()[0].Load.Running == 0 })
		took = append(took, time.Since(left))
	}
	slices.Sort(took)
	t.Logf("median %v, longest %v", took[len(took)/2], took[len(took)-1])
	if took[len(took)/2] > 2*time.Second {
		t.Errorf("in the median the slot was free after %v", took[len(took)/2])
	}
}

// A request is passed on once and no further.
func TestHops(t *testing.T) {
	nodes := connect(t, 1, Config{}, Config{Engine: newSim(t, engine.SimConfig{})})
	for hops := range uint32(4) {
		w := wireRequest{Prompt: engine.Prompt{Model: model(t, "m"), Messages: []engine.Message{{Role: "user", Content: "hello"}}}}
		w.Hops = hops - 1 // askPeer counts one more
		_, err := nodes[0].askPeer(t.Context(), nodes[1].id, &w, &peerless{})
		var refused *mesh.RefusedError
		if is := errors.As(err, &refused) && refused.Code == mesh.CodeBadRequest; is == (hops == maxHops) {
			t.Errorf("%d hops: %v", hops, err)
		}
	}
}

// scopes notes for whom it is asked.
type scopes struct {
	engine.Engine
	seen chan [2]uint64
}

func (e scopes) Generate(ctx context.Context, p *engine.Prompt, emit func(engine.Token) error) (engine.Usage, error) {
	e.seen <- [2]uint64{p.Scope, p.Claim.Tenant}
	return e.Engine.Generate(ctx, p, emit)
}

// For whom another node is asked, its queue and its cache know from the ticket alone.
func TestTenantOfTicket(t *testing.T) {
	e := scopes{newSim(t, engine.SimConfig{Output: 2}), make(chan [2]uint64, 1)}
	nodes := connect(t, 1, Config{}, Config{Engine: e})
	c := chat(t, "m")
	c.Tenant, _ = catalog.ParseTenant("till-7")
	if _, err := nodes[0].Chat(t.Context(), c, &reader{}); err != nil {
		t.Fatal(err)
	}
	if got, want := <-e.seen, c.Tenant.Handle(); got != [2]uint64{want, want} {
		t.Errorf("asked for %v, want %d", got, want)
	}
	w := wireRequest{Tenant: 7, Prompt: engine.Prompt{Model: model(t, "m"), Scope: 8, Messages: []engine.Message{{Role: "user", Content: "hello"}}}}
	if _, err := nodes[0].askPeer(t.Context(), nodes[1].id, &w, &peerless{}); err != nil {
		t.Fatal(err)
	}
	if got := <-e.seen; got != [2]uint64{7, 7} {
		t.Errorf("asked for %v with a ticket for 7", got)
	}
}

type peerless struct{}

func (peerless) token(engine.Token) error { return nil }
func (peerless) vector([]float32) error   { return nil }
