package enginetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"omx/node/engine"
	"omx/node/nodetest"
)

const (
	// freeWithin is how long a slot may stay taken after a request was given up.
	freeWithin = 100 * time.Millisecond
	// leftWithin is the same for a server behind, which has to notice first.
	leftWithin = time.Second
)

// endless is a question whose answer goes on to the end of the context.
func endless(s Subject) *engine.Prompt {
	p := Ask(s, "Hello")
	p.MaxTokens = 0
	return p
}

func running(e engine.Engine) uint32 { return Status(e).Load.Running }

// hold keeps a slot busy until the returned function is called; it waits until
// the slot is taken, and afterwards until the request has ended.
func hold(t *testing.T, s Subject) (release func() error) {
	t.Helper()
	before := running(s.works())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := s.Generate(ctx, endless(s), func(engine.Token) error { return nil })
		done <- err
	}()
	nodetest.Eventually(t, "a slot is taken", func() bool { return running(s.works()) > before })
	return func() error { cancel(); return <-done }
}

// isFree fails if a slot is taken for long after a moment.
func isFree(t *testing.T, s Subject, since time.Time) {
	t.Helper()
	nodetest.Eventually(t, "the slot is free", func() bool { return running(s) == 0 })
	here := time.Since(since)
	t.Logf("the slot was free after %v", here.Round(time.Microsecond))
	if here > freeWithin {
		t.Errorf("the slot was free after %v", here)
	}
	if s.Behind == nil {
		return
	}
	nodetest.Eventually(t, "the slot behind is free", func() bool { return running(s.Behind) == 0 })
	there := time.Since(since)
	t.Logf("the one behind was free after %v", there.Round(time.Microsecond))
	if there > leftWithin {
		t.Errorf("the one behind was free after %v", there)
	}
}

func testReaderGivesUp(t *testing.T, s Subject) {
	boom := errors.New("boom")
	n := 0
	var gone time.Time
	_, err := s.Generate(t.Context(), endless(s), func(engine.Token) error {
		if n++; n < 3 {
			return nil
		}
		gone = time.Now()
		return boom
	})
	if !errors.Is(err, boom) || n != 3 {
		t.Errorf("error %v after %d tokens", err, n)
	}
	isFree(t, s, gone)
}

func testContextEnds(t *testing.T, s Subject) {
	release := hold(t, s)
	began := time.Now()
	if err := release(); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	isFree(t, s, began)
}

func testContextEndsInQueue(t *testing.T, s Subject) {
	release := hold(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := s.Generate(ctx, Ask(s, "x"), func(engine.Token) error { return nil })
		done <- err
	}()
	nodetest.Eventually(t, "one waits", func() bool { return Status(s).Load.Queued == 1 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if l := Status(s).Load; l.Queued != 0 || l.Running != 1 {
		t.Errorf("load %+v", l)
	}
	release()
}

func testFirstCome(t *testing.T, s Subject) {
	release := hold(t, s)
	var mu sync.Mutex
	var order []int
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			p := Ask(s, "x")
			p.MaxTokens = 2
			seen := false
			_, err := s.Generate(t.Context(), p, func(engine.Token) error {
				mu.Lock()
				defer mu.Unlock()
				if !seen {
					order = append(order, i)
				}
				seen = true
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		nodetest.Eventually(t, "it waits", func() bool { return Status(s).Load.Queued == uint32(i+1) })
	}
	if _, _, err := Answer(s, Ask(s, "x")); !errors.Is(err, engine.ErrBusy) {
		t.Errorf("with a full queue: %v, want ErrBusy", err)
	}
	release()
	wg.Wait()
	if fmt.Sprint(order) != "[0 1 2]" {
		t.Errorf("served in the order %v", order)
	}
}

func testSlots(t *testing.T, s Subject) {
	var release []func() error
	for range 4 {
		release = append(release, hold(t, s))
	}
	if l := Status(s).Load; l.Running != 4 || l.Queued != 0 {
		t.Errorf("load %+v", l)
	}
	for _, r := range release {
		if err := r(); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	}
}

func testMany(t *testing.T, s Subject) {
	want, _, err := Answer(s, Ask(s, "Who are you?"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if got, _, err := Answer(s, Ask(s, "Who are you?")); err != nil || got.Text != want.Text {
				t.Errorf("%q, %v", got.Text, err)
			}
		})
	}
	wg.Wait()
}

func testClose(t *testing.T, s Subject) {
	done := make(chan error, 2)
	for range 2 { // one runs, one waits
		go func() {
			_, err := s.Generate(context.Background(), endless(s), func(engine.Token) error { return nil })
			done <- err
		}()
	}
	nodetest.Eventually(t, "one runs and one waits", func() bool { l := Status(s).Load; return l.Running == 1 && l.Queued == 1 })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-done; !errors.Is(err, engine.ErrLost) {
			t.Errorf("error %v, want ErrLost", err)
		}
	}
	if _, _, err := Answer(s, Ask(s, "x")); !errors.Is(err, engine.ErrLost) {
		t.Errorf("after Close: %v, want ErrLost", err)
	}
	if s.Behind != nil {
		nodetest.Eventually(t, "the server behind is left", func() bool { return running(s.Behind) == 0 })
	}
	if err := s.Close(); err != nil {
		t.Error("second Close:", err)
	}
}
