package virtual

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"omx/node/nodetest"
)

// soak plays long: make soak.
var soak = os.Getenv("OMX_SOAK") != ""

func residentKB(t *testing.T) int {
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Log(err)
		return 0
	}
	var all, resident int
	if _, err := fmt.Sscan(string(b), &all, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * os.Getpagesize() / 1024
}

// Many nodes at once, each with its neighbours in a ring and as many requests as
// nodes, each answered by a neighbour.
func TestScale(t *testing.T) {
	type size struct {
		nodes, degree int
		most          time.Duration // of wall time, on a quiet machine
	}
	sizes := []size{{many, 2, 5 * time.Second}}
	if soak {
		sizes = append(sizes, size{200, 8, 5 * time.Second}, size{1000, 2, 15 * time.Second})
	}
	for _, c := range sizes {
		dir, err := TempDir()
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		p, err := NewPolicies()
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		empty, began := residentKB(t), time.Now()
		var full int
		nodetest.Bubble(t, func(t *testing.T) {
			f, err := Start(t.Context(), Spec{Nodes: c.nodes, Holders: c.nodes / 2, Degree: c.degree, Dir: dir, Policies: p})
			if err != nil {
				t.Fatal(err)
			}
			up := f.Now()
			answers := make([]*Answer, c.nodes)
			var all sync.WaitGroup
			for i := range answers {
				via := i &^ 1 // those without the model
				all.Go(func() { answers[i] = f.Ask(t.Context(), via, Question{Prompt: "hello " + strconv.Itoa(i)}) })
			}
			all.Wait()
			for i, a := range answers {
				// There and back, to the millisecond: time is exact.
				if took := a.Ended - a.Asked; a.Err != nil || a.Result.OutputTokens == 0 || took < 50*time.Millisecond || took > 51*time.Millisecond {
					t.Errorf("request %d: %v, %d tokens after %v", i, a.Err, a.Result.OutputTokens, took)
				}
			}
			full = residentKB(t)
			t.Logf("%d nodes of degree %d: all see their neighbours after %v, answered by %v; %d packets", c.nodes, c.degree, up, f.Now(), f.Net.Total().Sent)
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
		took := time.Since(began)
		t.Logf("%d nodes of degree %d: %v of wall time, %d KB a node", c.nodes, c.degree, took.Round(time.Millisecond), (full-empty)/c.nodes)
		if soak && took > c.most {
			t.Errorf("%d nodes took %v, at most %v on a quiet machine", c.nodes, took, c.most)
		}
	}
}

func TestSpec(t *testing.T) {
	nodetest.Bubble(t, func(t *testing.T) {
		for _, s := range []Spec{{Nodes: -1, Dir: "x"}, {Nodes: MaxNodes + 1, Dir: "x"}, {Nodes: 2, Holders: 3, Dir: "x"}, {Nodes: 2}} {
			if _, err := Start(t.Context(), s); err == nil || !strings.Contains(err.Error(), "start fleet") {
				t.Errorf("%+v: %v", s, err)
			}
		}
	})
}

func TestNeighbours(t *testing.T) {
	for _, c := range []struct{ i, n, degree, want int }{{0, 1, 0, 0}, {0, 5, 0, 4}, {2, 5, 2, 2}, {0, 200, 8, 8}, {0, 2, 8, 1}, {1, 3, 2, 2}} {
		if got := neighbours(c.i, c.n, c.degree); len(got) != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
