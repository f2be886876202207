package virtual

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"omx/node/api"
	"omx/node/nodetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// count is how many seeds are played: OMX_SEEDS, or so many.
func count(t testing.TB, n int) int {
	if s := os.Getenv("OMX_SEEDS"); s != "" {
		k, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("OMX_SEEDS=%q: %v", s, err)
		}
		return k
	}
	return n
}

// Whatever happens to the network and the nodes, each request ends once, with the
// model's own words, and the nodes find one another again. OMX_SEED plays one seed
// and shows what happened; it is likely, not certain, to happen again.
func TestScenarios(t *testing.T) {
	first, n := uint64(1), count(t, seeds)
	one := os.Getenv("OMX_SEED")
	if one != "" {
		var err error
		if first, err = strconv.ParseUint(one, 10, 64); err != nil {
			t.Fatal(err)
		}
		n = 1
	}
	p, err := NewPolicies()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	var mu sync.Mutex
	var settled []time.Duration
	var gone time.Duration
	ends := map[string]int{}
	began := time.Now()
	t.Run("seeds", func(t *testing.T) {
		for seed := first; seed < first+uint64(n); seed++ {
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				nodetest.Bubble(t, func(t *testing.T) {
					s := Draw(seed)
					r, err := Play(t.Context(), s, Spec{Dir: dir, Policies: p})
					if err != nil {
						t.Fatalf("%v\n%v", err, s)
					}
					if len(r.Broken) > 0 {
						t.Errorf("%s\nplay it again with OMX_SEED=%d; goroutines run in any order, so it may go well\n%v\n%s",
							strings.Join(r.Broken, "\n"), seed, s, r.Timeline(true))
					} else if one != "" {
						t.Logf("%v\n%s", s, r.Timeline(true))
					}
					mu.Lock()
					defer mu.Unlock()
					settled = append(settled, r.Settled)
					gone = max(gone, r.Gone)
					for _, a := range r.Answers {
						ends[end(a)]++
					}
				})
			})
		}
	})
	slices.Sort(settled)
	t.Logf("%d seeds in %v of wall time; requests: %v", len(settled), time.Since(began).Round(time.Millisecond), ends)
	t.Logf("views agreed after %v (median), %v (most); the dead were candidates for at most %v",
		settled[len(settled)/2], settled[len(settled)-1], gone)
}

// end is how a request ended, in a word.
func end(a *Answer) string {
	var known *api.Error
	switch {
	case a == nil:
		return "not asked"
	case a.Left:
		return "left"
	case a.Err == nil:
		return "answered"
	case errors.As(a.Err, &known) && a.Begun > 0:
		return known.Code + " in mid-stream"
	case errors.As(a.Err, &known):
		return known.Code
	}
	return "untyped"
}
