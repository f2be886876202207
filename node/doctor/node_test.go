package doctor

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"omx/node"
	"omx/node/api"
	"omx/node/engine"
	"omx/node/nodetest"
)

func TestAnswers(t *testing.T) {
	data := t.TempDir()
	cfg := at(data)
	look := func() []Finding { return answers(t.Context(), patientOf(t, cfg)) }
	expect(t, look(), "advice: none answers at "+nobody+" >> omx serve --data "+data)

	n := started(t, node.Config{Data: data})
	port := n.URL()[len("http://127.0.0.1:"):]
	expect(t, look(), fmt.Sprintf("advice: process %d has the folder, with its API elsewhere >> omx doctor --data %s --api http://127.0.0.1:%s", os.Getpid(), data, port))
	cfg.API = n.URL()
	expect(t, look(), "ok: here, version test, up ")
	cfg.Version = "newer"
	expect(t, look(), fmt.Sprintf("advice: but this program is newer >> kill %d   # then start it again", os.Getpid()))
	cfg.Version = "test"
	n.Drain(true)
	expect(t, look(), "ok: here", "advice: it is drained >> omx drain --off --api "+n.URL())

	other := started(t, node.Config{Data: t.TempDir()})
	cfg.API = other.URL()
	expect(t, look(), "advice: has another data folder than "+data+" >> omx doctor --data DIR")
}

// What answers is no node, or does not answer at all.
func TestSilence(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	cfg := at(t.TempDir())
	cfg.API = web.URL
	is := fmt.Sprintf("problem: %s: it answered 404; it is doctor.test, process %d", web.URL, os.Getpid())
	expect(t, answers(t.Context(), patientOf(t, cfg)), is+" >> omx serve --listen 127.0.0.1:0 --data "+cfg.Data)

	stopping := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"status":"closing","name":"here","version":"test"}`))
	}))
	defer stopping.Close()
	cfg.API = stopping.URL
	expect(t, answers(t.Context(), patientOf(t, cfg)), "advice: the node is stopping >> omx doctor --api "+cfg.API)

	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	cfg.API = "http://" + mute.Addr().String()
	if err := cfg.setDefaults(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	p := examine(ctx, cfg)
	p.user = os.Getpid() // it has the folder, and hangs
	expect(t, answers(t.Context(), p), fmt.Sprintf("problem: %s: no answer within 2s; it is doctor.test, process %d >> kill %d ", cfg.API, p.user, p.user))
	p.API = "http://192.0.2.1:11435"
	expect(t, answers(t.Context(), p), "problem: http://192.0.2.1:11435: no answer >> ssh 192.0.2.1 omx doctor")
}

// A model that a real node cannot load, and one that it has set aside.
func TestServedModels(t *testing.T) {
	cfg := at(t.TempDir())
	n := started(t, node.Config{Data: cfg.Data, Demo: true, EngineDirs: []string{"/nowhere"}, Exe: os.Args[0]})
	cfg.API = n.URL()
	var got []Finding
	nodetest.Eventually(t, "the model's fault is told", func() bool {
		got = servedModels(t.Context(), patientOf(t, cfg))
		return len(got) == 2
	})
	expect(t, got, "problem: omx-demo: no engine libraries in /nowhere >> omx engine install", "ok: 1 model here, 0 loaded; ")

	p := &patient{Config: at("/data"), user: 7}
	expect(t, []Finding{p.unfit("m", "model cannot be used here: "+engine.SetAside+", after 3 crashes"), p.unfit("m", "no room")},
		"problem: m: model cannot be used here: set aside >> kill 7   # then", "problem: m: no room >> omx models show m --api "+nobody)
}

// How a node's policies have done.
func TestDecisions(t *testing.T) {
	p := &patient{Config: at("/data"), node: &running{self: &api.NodeView{}}}
	for _, v := range []api.PolicyView{
		{Kind: "route", Active: api.PolicyStat{Name: "near", Digest: "ab", Decisions: 9}},
		{Kind: "route", Active: api.PolicyStat{Name: "near", Digest: "ab", Decisions: 9, Faults: 2}, Builtin: 2},
		{Kind: "admit", Active: api.PolicyStat{Name: "free-slot", Digest: "ab"}, SetAside: "mine.wasm"},
		{Kind: "admit", Active: api.PolicyStat{Name: "builtin"}},
		{Kind: "replicate", Active: api.PolicyStat{Name: "none"}},
	} {
		p.node.policies = append(p.node.policies, v)
	}
	next := " >> omx policy status --api " + nobody
	expect(t, decisions(t.Context(), p), "ok: route by near, 9 so far", "advice: route: near failed 2 of 9; the built-in rule took 2"+next,
		"problem: admit: mine.wasm failed too often and was set aside; free-slot decides"+next, "problem: admit: no policy decides"+next, "ok: replicate by none")
}

func TestPeers(t *testing.T) {
	ms := func(v float64) *float64 { return &v }
	a, b := api.NodeView{Name: "a", State: "up", RTTMillis: ms(1)}, api.NodeView{Name: "b", State: "up", RTTMillis: ms(30)}
	sick, off := api.NodeView{Name: "c", State: "suspect"}, api.NodeView{ID: "12D3KooWidentity", State: "down"}
	ping := " >> omx ping "
	for _, tt := range []struct {
		others []api.NodeView
		want   string
	}{
		{nil, "ok: none known"},
		{[]api.NodeView{a, b}, "ok: 2 up, round trips 30.0 ms, at most 30.0"},
		{[]api.NodeView{a, b, off}, "advice: 2 of 3 up, identity down, round trips" + ping + "identity"},
		{[]api.NodeView{a, off, sick}, "advice: 1 of 3 up, c suspect, round trips" + ping + "c"},
		{[]api.NodeView{off, sick}, "problem: none of 2 is up: c, identity" + ping + "c"},
	} {
		p := &patient{Config: at("/data"), node: &running{self: &api.NodeView{}, others: tt.others}}
		expect(t, peers(t.Context(), p), tt.want)
	}
}
