package seed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"omx/bench/measure"
	"omx/node/catalog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Every row runs, every variant gives right answers, every form is whole.
func TestRun(t *testing.T) {
	var progress bytes.Buffer
	res, err := Run(context.Background(), Options{Duration: 2 * time.Millisecond, Repeats: 1, Short: true}, &progress)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, s := range sections() {
		rows += len(s.rows)
	}
	rows *= len(slices.Compact([]int{1, runtime.NumCPU()}))
	if found := res.found(); len(found) != rows || len(res.Series) != 3*rows {
		t.Fatalf("%d rows and %d series of %d rows", len(found), len(res.Series), rows)
	}
	for _, s := range res.Series {
		if s.Samples[0].Wall <= 0 {
			t.Errorf("%s, %s: %+v", s.Name, s.Variant, s.Samples[0])
		}
	}
	if len(res.Facts) < 4 || len(res.EndToEnd.Events) != 3 || len(res.EndToEnd.Request) != 5 || len(res.EndToEnd.Peers) != 2 {
		t.Errorf("facts %+v, end to end %+v", res.Facts, res.EndToEnd)
	}
	for _, f := range res.Facts { // that it is right does not depend on how long one measures
		if f.Omx > f.Most || f.Naive < 0 || f.Report < 0 {
			t.Errorf("%+v", f)
		}
	}
	for _, list := range [][]measure.Series{res.EndToEnd.Request, res.EndToEnd.Peers} {
		for _, s := range list {
			if s.Samples[0].Wall <= 0 {
				t.Errorf("%s, %s: %+v", s.Name, s.Variant, s.Samples)
			}
		}
	}
	if r := res.EndToEnd.Reading; r.Oldest <= 0 || r.Known == "" {
		t.Errorf("reading: %+v", r)
	}
	if progress.Len() == 0 {
		t.Error("no progress shown")
	}

	var table, markdown, gobench, data bytes.Buffer
	if err := errors.Join(res.WriteTable(&table), res.WriteMarkdown(&markdown), res.WriteGobench(&gobench), res.WriteJSON(&data)); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(table.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, want := range []string{"End to end", "after a later one", "connected for each", "how old, at most", "≤ 40 ns", "Not measured", "61,053", "47,992/s", "iteration counts", "For a user"} {
		for name, text := range map[string]string{"table": table.String(), "markdown": markdown.String()} {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q", name, want)
			}
		}
	}
	lines := 3*rows + len(res.EndToEnd.Request) + len(res.EndToEnd.Peers)
	if n := strings.Count(gobench.String(), "\nBenchmarkSeed/"); n != lines {
		t.Errorf("%d benchmark lines, want %d", n, lines)
	}
	var back struct {
		Facts    []Fact
		EndToEnd *EndToEnd `json:"end_to_end"`
		Rows     []struct {
			Name     string
			Variants []struct {
				Variant string
				Samples []measure.Sample
			}
		}
	}
	if err := json.Unmarshal(data.Bytes(), &back); err != nil || len(back.Rows) != rows || len(back.Rows[0].Variants) != 3 || len(back.Rows[0].Variants[0].Samples) != 1 || len(back.Facts) != len(res.Facts) || back.EndToEnd == nil {
		t.Errorf("JSON: %v, %d rows", err, len(back.Rows))
	}
}

func TestFilter(t *testing.T) {
	opt := Options{Duration: time.Millisecond, Repeats: 1, Procs: []int{1, 2}, Filter: regexp.MustCompile(`^peers/count/[0-9]`)}
	res, err := Run(context.Background(), opt, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if found := res.found(); len(found) != 4 || found[0].label() != "peers/count/0-1" || found[1].label() != "peers/count/0-2" {
		t.Errorf("%d rows", len(found))
	}
	opt.Filter = regexp.MustCompile(`nothing`)
	if _, err := Run(context.Background(), opt, io.Discard); err == nil {
		t.Error("a filter that matches nothing was accepted")
	}
}

// The designs that are compared do what they are said to do.
func TestDesigns(t *testing.T) {
	b, calls := newReportBus(), make(chan bool)
	release := make(chan struct{})
	b.on(topic, func(*busEvent) { <-release; calls <- true })
	for range reportSlots {
		b.emit(topic, peer, nil)
	}
	held := make(chan struct{})
	go func() { b.emit(topic, peer, nil); close(held) }() // no slot is free: the emitter works itself
	select {
	case <-held:
		t.Error("the emitter was not held")
	case <-time.After(20 * time.Millisecond):
	}
	close(release)
	for range reportSlots + 1 {
		<-calls
	}
	<-held

	p := newReportPool(2)
	p.add("a")
	p.add("b")
	if p.canAccept("c") || !p.canAccept("a") {
		t.Error("the bound is not kept")
	}
	p.remove("a")
	if !p.canAccept("c") || p.use("a") || !p.use("b") || p.has("a") || !p.has("b") || len(p.conns) != 2 {
		t.Error("a removed connection counts, or its record is gone")
	}

	s := newPeerSet(names(10))
	if s.naiveCount() != 10 || len(s.peers()) != 10 || !s.naiveHas(names(10)[9]) || s.naiveHas("z") {
		t.Error("wrong peers")
	}
}

// What is said of the node's pool beside its figures.
func TestPoolKeepsItsBound(t *testing.T) {
	const bound = 100
	p, err := newNodePool(bound)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, e := range p.entries { // all in use: none may make room
		if err := e.Acquire(); err != nil {
			t.Fatal(err)
		}
	}
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 50 {
				id, err := catalog.ParseNodeID(fmt.Sprintf("peer%dx%d", w, i))
				if err != nil {
					t.Error(err)
					return
				}
				if p.Remove(p.ids[(w*50+i)%bound]) {
					admitted.Add(-1)
				}
				if _, err := p.Put(id, &standIn{}, true); err == nil {
					admitted.Add(1)
				}
				if n := p.Count(); n > bound {
					t.Errorf("%d connections, the bound is %d", n, bound)
				}
			}
		})
	}
	wg.Wait()
	if n := p.Count(); n != bound+int(admitted.Load()) {
		t.Errorf("%d connections, want %d", n, bound+int(admitted.Load()))
	}
	for w := range 4 {
		for i := range 50 {
			id, err := catalog.ParseNodeID(fmt.Sprintf("peer%dx%d", w, i))
			if err != nil {
				t.Fatal(err)
			}
			p.Remove(id)
		}
	}
	if n := p.Count(); n != 0 {
		t.Errorf("%d records left of connections that have gone", n)
	}
}
