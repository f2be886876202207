package engine

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"omx/node/engine/frame"
	"omx/node/nodetest"
)

func TestInbox(t *testing.T) {
	b := newInbox(true)
	b.put([]byte("a"), 1)
	b.put([]byte("b"), 2)
	if got, r, err := b.next(t.Context()); got.Text != "ab" || got.N != 3 || got.Thought || r != nil || err != nil {
		t.Errorf("first %+v %v %v", got, r, err)
	}
	likely := []frame.Logprob{{Logprob: -1}}
	b.putRich(&frame.Detail{Text: "hm", Thought: true}, 1)
	b.putRich(&frame.Detail{Text: ", yes", Thought: true}, 1)
	b.put([]byte("c"), 1)
	b.put([]byte("d"), 1)
	b.putRich(&frame.Detail{Text: "e", Logprobs: likely}, 1)
	b.put([]byte("f"), 1)
	b.end(&frame.Result{Output: 3}, nil)
	b.end(nil, errors.New("too late"))
	for _, want := range []Token{{Text: "hm, yes", N: 2, Thought: true}, {Text: "cd", N: 2}, {Text: "e", N: 1, Logprobs: likely}, {Text: "f", N: 1}} {
		if got, r, err := b.next(t.Context()); !reflect.DeepEqual(got, want) || r != nil || err != nil {
			t.Errorf("%+v, want %+v; %v %v", got, want, r, err)
		}
	}
	if got, r, err := b.next(t.Context()); got.Text != "" || r == nil || r.Output != 3 || err != nil {
		t.Errorf("then %+v %v %v", got, r, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := newInbox(true).next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// What the worker does before it is known here to have the job is not waiting.
func TestWaitForASlot(t *testing.T) {
	nodetest.Bubble(t, func(t *testing.T) {
		began := time.Now()
		time.Sleep(time.Second)
		b := newInbox(true)
		time.Sleep(time.Second)
		if got := b.waited(began); got != time.Second {
			t.Errorf("waited %v for a slot that was free after 1s", got)
		}
		if got := (*inbox)(nil).waited(began); got != 2*time.Second {
			t.Errorf("waited %v without a slot, of 2s", got)
		}
	})
}

func TestInboxIsBounded(t *testing.T) {
	b := newInbox(true)
	piece := []byte(strings.Repeat("x", 1<<20))
	for b.put(piece, 1) {
	}
	if n := len(b.parts[0].text); n > maxPending {
		t.Errorf("%d bytes are kept", n)
	}
	_, _, _ = b.next(t.Context())
	if _, _, err := b.next(t.Context()); !errors.Is(err, errSlowReader) {
		t.Errorf("error %v", err)
	}
}

func TestTail(t *testing.T) {
	stack := "panic: why\n\ngoroutine 1 [running]:\n" + strings.Repeat("main.f()\n\t/x.go:1\n", 1000)
	tests := []struct {
		name, want string
		writes     []string
	}{
		{"nothing", "", nil},
		{"no stacks", ": bad | panic: why", []string{"bad\n" + stack, "main.main()\n"}},
		{"no stacks byte by byte", ": panic: why", strings.Split(stack, "")},
		{"lines", ": a | b", []string{"a\n\n", "b\n"}},
		{"the last six", ": 3 | 4 | 5 | 6 | 7 | 8", []string{"1\n2\n3\n4\n5\n6\n7\n8\n"}},
		{"control characters", ": a [31m b", []string{"a\x1b[31m\tb"}},
		{"cut at the start", ": " + strings.Repeat("x", maxStderr), []string{strings.Repeat("y", 100) + strings.Repeat("x", maxStderr)}},
		{"many writes", ": " + strings.Repeat("x", maxStderr), []string{strings.Repeat("y", 100), strings.Repeat("x", maxStderr)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var x tail
			for _, w := range tt.writes {
				if n, err := x.Write([]byte(w)); n != len(w) || err != nil {
					t.Errorf("Write = %d, %v", n, err)
				}
			}
			if got := x.lastLines(); got != tt.want {
				t.Errorf("got %.60q, want %.60q", got, tt.want)
			}
		})
	}
}
