package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// newTiny starts an engine with a model of random weights.
func newTiny(t *testing.T, arch string, layers, context int) *Local {
	return newLocal(t, func(c *LocalConfig) {
		c.Models[0].Path, c.ContextTokens, c.Slots = tinyModel(t, arch, layers), context, 512/context
	})
}

// letters is a prompt that such a model goes on from with letters for ever.
func letters(e Engine, raw string) *Prompt {
	return &Prompt{Model: status(e).ID, Raw: raw, Grammar: "root ::= [a-z] root"}
}

// memory is what a slot should hold, a byte for each token.
type memory struct {
	held               string
	keep, room, shifts int
}

func (m *memory) read(all string) {
	for i := range all {
		if len(m.held) == m.room {
			m.held = m.held[:m.keep] + m.held[m.keep+(m.room-m.keep)/2:]
			m.shifts++
		}
		m.held += all[i : i+1]
	}
}

// A model of one layer remembers each token by itself. So what it says after a shift is
// what it says to a prompt of the tokens that are left.
func TestShiftIsExact(t *testing.T) {
	const room, limit, start = 64, 200, "it is so"
	l, wide := newTiny(t, "llama", 1, room), newTiny(t, "llama", 1, 2*room)
	for _, keep := range []int{0, 5, -1} {
		p := letters(l, start)
		p.Shift, p.NumKeep, p.MaxTokens = true, keep, limit
		got, u, err := answer(l, p)
		if err != nil || len(got) != limit || u.Shifts == 0 {
			t.Fatalf("%q, %+v, %v", got, u, err)
		}
		if keep < 0 {
			keep = len(start)
		}
		m := memory{held: start, keep: keep, room: room}
		for i := range got {
			p := letters(wide, m.held)
			p.MaxTokens = 1
			if next, _, err := answer(wide, p); err != nil || next != got[i:i+1] {
				t.Errorf("keeping %d, after %d shifts: %q follows %q, want %q, %v", keep, m.shifts, got[i:i+1], m.held, next, err)
			}
			if i < limit-1 { // the last is not read
				m.read(got[i : i+1])
			}
		}
		if m.shifts != u.Shifts {
			t.Errorf("keeping %d: %d shifts, want %d", keep, u.Shifts, m.shifts)
		}
	}
}

// What another slot says is not changed by a shift in the middle of it: to a prompt of
// its own, and to one that begins like that of the answer that shifts.
func TestShiftLeavesOthersAlone(t *testing.T) {
	const room = 512
	l := newLocal(t, func(c *LocalConfig) { c.Models[0].Path, c.ContextTokens, c.Slots = endlessModel(t), room, 2 })
	long := strings.Repeat("A river runs to the sea. ", 38) // beyond the half that is forgotten, too
	for question, shared := range map[string]int{"Who are you?": 0, long + "What is a house?": 300} {
		other := ask(l, question)
		other.MaxTokens = 130
		want, u, err := answer(l, other)
		if err != nil || u.OutputTokens != other.MaxTokens {
			t.Fatalf("%q: %+v, %v", want, u, err)
		}
		met := false
		for tries := 0; !met && tries < 20; tries++ {
			other.Scope = uint64(tries + 1) // nothing is left of the last try
			met = beside(t, l, other, long+"What is a bed?", func(text string, u Usage) bool {
				if text != want {
					t.Errorf("beside one that shifts: %q\nalone: %q", text, want)
				}
				return u.CachedTokens >= shared
			})
		}
		if !met {
			t.Errorf("%q: no shift fell into the answer", question)
		}
	}
}

// beside has a prompt answered while the answer to a question shifts, and tells whether
// it began before the first shift, ended after that, and see is content with it.
func beside(t *testing.T, l *Local, other *Prompt, question string, see func(string, Usage) bool) bool {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var said atomic.Int64
	begun, done := make(chan struct{}), make(chan error, 1)
	p := ask(l, question)
	p.MaxTokens, p.Shift, p.NumKeep, p.Scope = 0, true, 4, other.Scope
	read, err := l.Count(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	room := int64(status(l).Context - read) // until it shifts
	soon := room - int64(other.MaxTokens)/2
	go func() {
		_, err := l.Generate(ctx, p, func(tok Token) error {
			if n := said.Add(int64(tok.N)); n >= soon && n-int64(tok.N) < soon {
				close(begun)
			}
			return nil
		})
		done <- err
	}()
	select {
	case <-begun:
	case err := <-done:
		t.Fatal("it ended before the other began: ", err)
	}
	early := said.Load() < room
	text, u, err := answer(l, other)
	late := said.Load() > room
	if err != nil || len(done) > 0 {
		t.Fatal("one ended too soon: ", err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	return see(text, u) && early && late
}

// After a shift a slot serves the next request as if it had never been used, also one
// of the very tokens that it held, and also when they have been on the disk.
func TestShiftThenReuse(t *testing.T) {
	for _, arch := range []string{"llama", "gemma2"} {
		for _, keep := range []int{0, 70, 90} {
			t.Run(fmt.Sprint(arch, " keeps ", keep), func(t *testing.T) {
				start := func() *Local {
					return newIdle(t, func(c *LocalConfig) {
						c.Models[0].Path, c.ContextTokens, c.Slots = tinyModel(t, arch, 2), 128, 4
						c.StateDir = filepath.Join(t.TempDir(), "state")
					})
				}
				fresh, l := start(), start()
				long := strings.Repeat("abcdefghij", 9)
				shift := func(scope uint64) string {
					p := letters(l, long)
					p.Shift, p.NumKeep, p.MaxTokens, p.Scope = true, keep, 300, scope
					text, u, err := answer(l, p)
					if err != nil || u.Shifts == 0 {
						t.Fatalf("%+v, %v", u, err)
					}
					m := memory{held: long, keep: keep, room: 128}
					m.read(text[:299])
					return m.held[:min(len(m.held), 127)]
				}
				check := func(scope uint64, raw string) {
					p := letters(l, raw)
					p.MaxTokens, p.Scope = 30, scope
					want, _, err := answer(fresh, p)
					if err != nil {
						t.Fatal(err)
					}
					got, u, err := answer(l, p)
					if err != nil || got != want {
						t.Errorf("%q, want %q, %d reused, %v", got, want, u.CachedTokens, err)
					}
					intact := min(keep, len(raw)-1)
					if arch == "gemma2" {
						intact = 0 // of what is out of a window
					}
					if u.CachedTokens != intact {
						t.Errorf("%d tokens reused, want %d", u.CachedTokens, intact)
					}
				}
				held := shift(1)
				check(1, held)
				shift(2)
				check(2, long)
				held = shift(3)
				worker := workerOf(t, l, 0)
				if err := l.Unload(status(l).ID); err != nil {
					t.Fatal(err)
				}
				<-worker.ended
				check(3, held)
			})
		}
	}
}

// Memory that cannot shift is said not to; without that, these models answer.
func TestCannotShift(t *testing.T) {
	for _, arch := range []string{"mamba", "qwen2vl"} {
		l := newTiny(t, arch, 2, 128)
		p := letters(l, "it is so")
		if text, u, err := answer(l, p); err != nil || u.Finish != FinishLength || len(text) != 120 {
			t.Errorf("%s: %q, %+v, %v", arch, text, u, err)
		}
		p.Shift = true
		if text, _, err := answer(l, p); !errors.Is(err, ErrCannot) || !strings.Contains(err.Error(), "(shift, context_shift)") || text != "" {
			t.Errorf("%s: %q, %v, want ErrCannot", arch, text, err)
		}
	}
}

// An answer without an end has its slot for ten contexts.
func TestShiftEnds(t *testing.T) {
	l := newTiny(t, "llama", 1, 64)
	for _, most := range []int{0, math.MaxInt} {
		p := letters(l, "it is so")
		p.Shift, p.MaxTokens = true, most
		if text, u, err := answer(l, p); err != nil || len(text) != ShiftContexts*64 || u.Finish != FinishLength {
			t.Errorf("%d bytes, %+v, %v", len(text), u, err)
		}
	}
	p := letters(l, strings.Repeat("x", 60))
	p.Shift, p.NumKeep = true, -1
	if _, _, err := answer(l, p); !errors.Is(err, ErrBadPrompt) || !strings.Contains(err.Error(), "can keep 48 of a context of 64") {
		t.Errorf("nothing is left to shift: %v", err)
	}
	p.Raw += "xxxx"
	if _, _, err := answer(l, p); !errors.Is(err, ErrTooLong) {
		t.Errorf("a prompt longer than the context: %v", err)
	}
}
