package worker

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/hybridgroup/yzma/pkg/llama"

	"omx/node/engine/frame"
)

// What slots remember goes to files when the model is unloaded, and comes back with
// it: a conversation that goes on need not be read again.

// stateName is of a slot's file; the second number is whose it is.
const stateName = "%d-%d.state"

// saveState writes what the slots remember. Those used last go first, while there is
// room.
func (l *loop) saveState(c command) {
	var r frame.Result
	left := c.save.Most
	byUse := slices.Clone(l.slots)
	slices.SortFunc(byUse, func(a, b slot) int { return cmp.Compare(b.since, a.since) })
	for i := range byUse {
		s := &byUse[i]
		if len(s.held) < minShared || s.busy() {
			continue
		}
		size := l.model.stateSize(s.index)
		if size > left {
			continue
		}
		if err := l.model.save(s.index, filepath.Join(c.save.Dir, fmt.Sprintf(stateName, s.index, s.scope)), s.held); err != nil {
			r.Failure = frame.Failure{Code: frame.Cannot, Message: err.Error()}
			break
		}
		left -= size
		r.Cached += len(s.held)
	}
	l.send(frame.End, c.request, r)
}

// restore takes what an earlier worker has saved. The files are moved away first: if
// one of them ends this process, the next does without.
func (l *loop) restore(dir string) {
	taken := dir + ".taken"
	if dir == "" || os.RemoveAll(taken) != nil || os.Rename(dir, taken) != nil {
		return
	}
	defer os.RemoveAll(taken)
	entries, err := os.ReadDir(taken)
	if err != nil {
		return
	}
	for _, e := range entries {
		var index int
		var scope uint64
		if n, err := fmt.Sscanf(e.Name(), stateName, &index, &scope); n != 2 || err != nil || index < 0 || index >= len(l.slots) {
			continue
		}
		held, err := l.model.load(index, filepath.Join(taken, e.Name()))
		if err != nil {
			l.model.forget(index, 0)
			continue
		}
		l.arrived++
		l.slots[index] = slot{index: index, held: held, scope: scope, since: l.arrived}
	}
}

func (m *loaded) stateSize(slot int) int64 {
	return int64(llama.StateSeqGetSize(m.ctx, llama.SeqId(slot)))
}

func (m *loaded) save(slot int, path string, held []token) error {
	out := make([]llama.Token, len(held))
	for i, t := range held {
		out[i] = llama.Token(t)
	}
	if llama.StateSeqSaveFile(m.ctx, path, llama.SeqId(slot), out) == 0 {
		return fmt.Errorf("write %s: the disk may be full", path)
	}
	return nil
}

func (m *loaded) load(slot int, path string) ([]token, error) {
	held, n := make([]llama.Token, m.room), uint64(0)
	if llama.StateSeqLoadFile(m.ctx, path, llama.SeqId(slot), held, uint64(len(held)), &n) == 0 || n > uint64(len(held)) {
		return nil, fmt.Errorf("%s cannot be read", path)
	}
	return tokens(held[:n]), nil
}
