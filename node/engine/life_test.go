package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"omx/node/catalog"
)

// newIdle has a model that is loaded when it is asked for.
func newIdle(t *testing.T, edit func(*LocalConfig)) *Local {
	return newLocal(t, func(c *LocalConfig) {
		c.Models[0].Preload = false
		if edit != nil {
			edit(c)
		}
	})
}

func workerOf(t *testing.T, l *Local, i int) *process {
	t.Helper()
	l.mu.RLock()
	m := l.models[i]
	l.mu.RUnlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.proc
}

func TestLoadedWhenAsked(t *testing.T) {
	l := newIdle(t, nil)
	eventually(t, "the header is read", func() bool { return status(l).Bytes > 0 })
	if st := status(l); st.State != catalog.OnDisk || st.Err != "" || !st.Expires.IsZero() || workerOf(t, l, 0) != nil {
		t.Errorf("before: %+v", st)
	}
	text, u, err := answer(l, ask(l, "Who are you?"))
	if err != nil || text != exact[0].answer || u.QueueWait <= 0 {
		t.Errorf("%q, %+v, %v", text, u, err)
	}
	if st := status(l); st.State != catalog.Loaded || time.Until(st.Expires) < 4*time.Minute || st.Progress < 900 {
		t.Errorf("after: %+v", st)
	}
}

func TestUnloadedWhenIdle(t *testing.T) {
	l := newIdle(t, func(c *LocalConfig) { c.KeepAlive = 50 * time.Millisecond })
	for range 2 {
		if _, _, err := answer(l, ask(l, "Hello")); err != nil {
			t.Fatal(err)
		}
		p := workerOf(t, l, 0)
		eventually(t, "it is unloaded", func() bool { return status(l).State == catalog.OnDisk })
		if p != nil {
			<-p.ended
		}
	}
}

func TestLoadKeepAndUnload(t *testing.T) {
	l := newIdle(t, nil)
	id := status(l).ID
	long := time.Hour
	if err := l.Load(t.Context(), id, &long); err != nil || status(l).State != catalog.Loaded || time.Until(status(l).Expires) < 50*time.Minute {
		t.Fatal(err, status(l))
	}
	forever := time.Duration(-1)
	if err := l.Load(t.Context(), id, &forever); err != nil || !status(l).Expires.IsZero() {
		t.Fatal(err, status(l))
	}
	release := hold(t, l)
	if err := l.Unload(id); err != nil {
		t.Fatal(err)
	}
	if st := status(l); st.State != catalog.Loaded {
		t.Errorf("unloaded while somebody is in: %+v", st)
	}
	release()
	eventually(t, "it is unloaded", func() bool { return status(l).State == catalog.OnDisk })
	if err := l.Keep(id, 20*time.Millisecond); err != nil {
		t.Error(err)
	}
	if _, _, err := answer(l, ask(l, "Hello")); err != nil {
		t.Error(err)
	}
	eventually(t, "it is unloaded again", func() bool { return status(l).State == catalog.OnDisk })
	other := model(t, "other")
	for _, err := range []error{l.Load(t.Context(), other, nil), l.Unload(other), l.Keep(other, 0)} {
		if !errors.Is(err, ErrNoModel) {
			t.Error(err)
		}
	}
}

func TestAddAndRemove(t *testing.T) {
	l := newIdle(t, nil)
	path := demoModel(t)
	two := ModelFile{ID: model(t, "two"), Path: path, Preload: true}
	for range 2 { // the second changes nothing
		if err := l.Add(two); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(l.Models()); n != 2 {
		t.Fatalf("%d models", n)
	}
	if text, _, err := answer(l, &Prompt{Model: two.ID, Messages: []Message{{Role: "user", Content: "Who are you?"}}, MaxTokens: 64}); err != nil || text != exact[0].answer {
		t.Errorf("%q, %v", text, err)
	}
	p := workerOf(t, l, 1)
	two.Path = endlessModel(t)
	if err := l.Add(two); err != nil { // another file
		t.Fatal(err)
	}
	<-p.ended
	began := make(chan struct{})
	ended := make(chan error)
	go func() {
		var once sync.Once
		_, err := l.Generate(context.Background(), &Prompt{Model: two.ID, Messages: []Message{{Role: "user", Content: "Hello"}}}, func(Token) error {
			once.Do(func() { close(began) })
			return nil
		})
		ended <- err
	}()
	<-began
	if !l.Remove(two.ID) || l.Remove(two.ID) || len(l.Models()) != 1 {
		t.Error("not removed")
	}
	if err := <-ended; !errors.Is(err, ErrLost) {
		t.Errorf("its request: %v", err)
	}
	if err := l.Add(ModelFile{}); err == nil {
		t.Error("a model without a name")
	}
	l.Close()
	if err := l.Add(two); !errors.Is(err, ErrLost) {
		t.Error(err)
	}
}

// Models make room for one another, the least recently used first; pinned ones do
// not, and what does not fit is refused with the figures.
func TestMemoryBudget(t *testing.T) {
	var names []catalog.ModelID
	l := newLocal(t, func(c *LocalConfig) {
		first := c.Models[0]
		first.Preload = false
		c.Models = nil
		for i := range 3 {
			first.ID = model(t, fmt.Sprint("m", i))
			names = append(names, first.ID)
			c.Models = append(c.Models, first)
		}
		c.Models[0].Pin = true
		c.Memory = 1 // set below, when the need is known
	})
	eventually(t, "headers are read", func() bool { return l.Models()[2].Memory > 0 && l.Models()[0].Memory > 0 })
	one := l.Models()[0].Memory
	l.memory.limit = 2*one + one/2 // of no use yet: nothing is loaded
	ask := func(i int) error {
		_, err := l.Generate(t.Context(), &Prompt{Model: names[i], Messages: []Message{{Role: "user", Content: "Hello"}}, MaxTokens: 4}, func(Token) error { return nil })
		return err
	}
	loaded := func() (s string) {
		for _, m := range l.Models() {
			if m.State == catalog.Loaded {
				s += m.ID.String()
			}
		}
		return s
	}
	for _, step := range []struct {
		ask  int
		want string
	}{{0, "m0"}, {1, "m0m1"}, {2, "m0m2"}, {1, "m0m1"}, {0, "m0m1"}} {
		if err := ask(step.ask); err != nil {
			t.Fatal(err)
		}
		if got := loaded(); got != step.want {
			t.Errorf("after m%d: %s, want %s", step.ask, got, step.want)
		}
	}
	// One that is in use makes room when its requests have ended.
	release := func() error { return nil }
	{
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		began := make(chan struct{})
		var once sync.Once
		go func() {
			_, err := l.Generate(ctx, &Prompt{Model: names[1], Messages: []Message{{Role: "user", Content: "Hello"}}}, func(Token) error {
				once.Do(func() { close(began) })
				<-ctx.Done()
				return ctx.Err()
			})
			done <- err
		}()
		<-began
		release = func() error { cancel(); return <-done }
	}
	waits := make(chan error, 1)
	go func() { waits <- ask(2) }()
	eventually(t, "m2 is to be loaded", func() bool { return l.Models()[2].State == catalog.Loading })
	if got := loaded(); got != "m0m1" {
		t.Errorf("loaded %s", got)
	}
	release()
	if err := <-waits; err != nil {
		t.Error(err)
	}
	l.memory.mu.Lock()
	l.memory.limit = one + one/2
	l.memory.mu.Unlock()
	if err := ask(1); !errors.Is(err, ErrNoMemory) || !strings.Contains(err.Error(), sizeText(one)) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
	if st := l.Models()[1]; st.State != catalog.OnDisk || st.Err != "" {
		t.Errorf("it could be loaded later: %+v", st)
	}
}

// A worker that hangs is ended; who waits for its answer hears of it, and the next
// request is answered.
func TestHangingWorkerIsEnded(t *testing.T) {
	l := newLocal(t, func(c *LocalConfig) { c.Models[0].Path = endlessModel(t); c.HangTimeout = 300 * time.Millisecond })
	if _, _, err := answer(l, ask(l, "Hello")); err != nil {
		t.Fatal(err)
	}
	n := 0
	p := ask(l, "Hello")
	p.MaxTokens = 1500
	began := time.Now()
	_, err := l.Generate(t.Context(), p, func(Token) error {
		if n++; n == 3 {
			return syscall.Kill(workerOf(t, l, 0).cmd.Process.Pid, syscall.SIGSTOP)
		}
		return nil
	})
	if !errors.Is(err, ErrLost) || time.Since(began) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	if _, _, err := answer(l, ask(l, "Hello")); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// The digest is found once, or taken as it is given.
func TestDigest(t *testing.T) {
	l := newIdle(t, nil)
	eventually(t, "the digest is there", func() bool { return status(l).Digest != "" })
	path := demoModel(t)
	data, err := os.ReadFile(path)
	if sum := sha256.Sum256(data); err != nil || status(l).Digest != hex.EncodeToString(sum[:]) {
		t.Errorf("%s, %v", status(l).Digest, err)
	}
	given := newIdle(t, func(c *LocalConfig) { c.Models[0].Digest = "abc" })
	eventually(t, "it is opened", func() bool { return status(given).Bytes > 0 })
	if d := status(given).Digest; d != "abc" {
		t.Error(d)
	}
}

// What was read before a model was unloaded is there when it is loaded again.
func TestConversationsOutliveUnloading(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	l := newIdle(t, func(c *LocalConfig) { c.StateDir = dir })
	p := ask(l, strings.Repeat("A river runs to the sea, and the sea keeps it. ", 20)+"What is a river?")
	p.Scope = 7
	want, first, err := answer(l, p)
	if err != nil || first.CachedTokens != 0 {
		t.Fatal(err, first)
	}
	worker := workerOf(t, l, 0)
	if err := l.Unload(p.Model); err != nil {
		t.Fatal(err)
	}
	<-worker.ended
	got, again, err := answer(l, p)
	if err != nil || got != want || again.CachedTokens < again.PromptTokens-2 {
		t.Errorf("%q, want %q; %+v, %v", got, want, again, err)
	}
	l.Close()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}
