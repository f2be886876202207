package virtual

import (
	"context"
	"fmt"
	"time"

	"omx/node/api"
)

// Differs says what a node sees that is not so, "" if it sees all its neighbours as
// they are: those that run as up and as holders of what they hold, the others not.
func (f *Fleet) Differs() string {
	running := make([]bool, len(f.hosts))
	for i := range f.hosts {
		running[i] = f.Node(i) != nil
	}
	for i := range f.hosts {
		if d := f.differs(i, running); d != "" {
			return d
		}
	}
	return ""
}

func (f *Fleet) differs(i int, running []bool) string {
	n := f.Node(i)
	if n == nil {
		return ""
	}
	up, holds := map[string]bool{}, holders(n.Models())
	for _, v := range n.Nodes() {
		up[v.ID] = v.State == "up"
	}
	for _, j := range append([]int{i}, f.hosts[i].peers...) {
		h := f.hosts[j]
		if up[h.id.String()] != running[j] {
			return fmt.Sprintf("%s sees %s up: %t", f.hosts[i].name, h.name, !running[j])
		}
		if want := running[j] && f.holds(j); holds[h.id.String()] != want {
			return fmt.Sprintf("%s sees %s as a candidate: %t", f.hosts[i].name, h.name, !want)
		}
	}
	return ""
}

// holders are the nodes that may be asked.
func holders(models []api.ModelView) map[string]bool {
	ids := map[string]bool{}
	for _, m := range models {
		for _, h := range m.Holders {
			if m.ID == model && h.Error == "" {
				ids[h.Node] = true
			}
		}
	}
	return ids
}

// Await returns how long it took until nothing differs, at most a while.
func (f *Fleet) Await(ctx context.Context, most time.Duration) (time.Duration, error) {
	began := f.Now()
	for {
		d := f.Differs()
		if d == "" {
			return f.Now() - began, nil
		}
		if f.Now()-began >= most {
			return f.Now() - began, fmt.Errorf("after %v, %s", most, d)
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return f.Now() - began, ctx.Err()
		}
	}
}

// Ghosts are the running nodes that take another one for a candidate.
func (f *Fleet) Ghosts(of int) (names []string) {
	id := f.hosts[of].id.String()
	for _, h := range f.hosts {
		h.mu.Lock()
		n := h.node
		h.mu.Unlock()
		if n != nil && holders(n.Models())[id] {
			names = append(names, h.name)
		}
	}
	return names
}
