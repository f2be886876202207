package seed

import (
	"context"
	"errors"
	"sync/atomic"

	"omx/bench/measure"
)

type startFunc = func(workers int) (*measure.Run, error)

var errWrong = errors.New("the variant gave a wrong answer")

// eachOf measures op on n items in turn; each worker has its own share of them.
func eachOf(n int, op func(i int) bool, done func()) *measure.Run {
	return spans(n, func(i, end int) (wrong int) {
		for ; i < end; i++ {
			if !op(i) {
				wrong++
			}
		}
		return wrong
	}, done)
}

// spans is eachOf for work of a few nanoseconds: op does the items from i up to
// end, with no call in between. It returns how many answers were wrong.
func spans(n int, op func(i, end int) (wrong int), done func()) *measure.Run {
	var wrong atomic.Int64
	return &measure.Run{
		Op: func(w *measure.Worker, times int) {
			first, last := w.Index*n/w.Workers, (w.Index+1)*n/w.Workers
			i := max(w.Next, first)
			for times > 0 {
				if i == last {
					i = first
				}
				end := min(i+times, last)
				if bad := op(i, end); bad > 0 {
					wrong.Add(int64(bad))
				}
				times -= end - i
				i = end
			}
			w.Next = i
		},
		Close: func() string {
			if done != nil {
				done()
			}
			if wrong.Load() > 0 {
				return errWrong.Error()
			}
			return ""
		},
	}
}

// admit: a connection comes and goes.
func naiveAdmit(n int) startFunc {
	return func(int) (*measure.Run, error) {
		p, ids := &naivePool{}, names(n)
		for _, id := range ids {
			p.add(id)
		}
		return eachOf(n, func(i int) bool { p.remove(ids[i]); p.add(ids[i]); return true }, nil), nil
	}
}

// The report's own operation and its own sequence: may it come, come, go.
func reportAdmit(n int) startFunc {
	return func(int) (*measure.Run, error) {
		p, ids := newReportPool(n), names(n)
		return eachOf(n, func(i int) bool {
			ok := p.canAccept(ids[i])
			p.add(ids[i])
			p.remove(ids[i])
			return ok
		}, nil), nil
	}
}

func omxAdmit(n int) startFunc {
	return func(int) (*measure.Run, error) {
		p, err := newNodePool(n)
		if err != nil {
			return nil, err
		}
		return eachOf(n, func(i int) bool {
			ok := p.Remove(p.ids[i])
			_, err := p.Put(p.ids[i], p.conns[i], false)
			return ok && err == nil
		}, p.Close), nil
	}
}

// omxUse: what a request does: get the peer's connection, which would be dialled
// if it were not there, use it, give it back.
func omxUse(n int) startFunc {
	return func(int) (*measure.Run, error) {
		p, err := newNodePool(n)
		if err != nil {
			return nil, err
		}
		ctx := context.Background()
		return eachOf(n, func(i int) bool {
			e, err := p.Get(ctx, p.ids[i])
			if err != nil {
				return false
			}
			e.Release()
			return true
		}, p.Close), nil
	}
}

func naiveUse(n int) startFunc {
	return func(int) (*measure.Run, error) {
		p, ids := &naivePool{}, names(n)
		for _, id := range ids {
			p.add(id)
		}
		return eachOf(n, func(i int) bool { return p.use(ids[i]) }, nil), nil
	}
}

func reportUse(n int) startFunc {
	return func(int) (*measure.Run, error) {
		p, ids := newReportPool(n), names(n)
		for _, id := range ids {
			p.add(id)
		}
		return spans(n, func(i, end int) (wrong int) {
			for _, id := range ids[i:end] {
				if !p.use(id) {
					wrong++
				}
			}
			return wrong
		}, nil), nil
	}
}

// omxHandle: the caller has kept the entry, as a stream to a peer does.
func omxHandle(n int) startFunc {
	return func(int) (*measure.Run, error) {
		p, err := newNodePool(n)
		if err != nil {
			return nil, err
		}
		return spans(n, func(i, end int) (wrong int) {
			for _, e := range p.entries[i:end] {
				if e.Acquire() != nil {
					wrong++
					continue
				}
				e.Release()
			}
			return wrong
		}, p.Close), nil
	}
}

// count and lookup: of the peers connected.
func naiveCount(n int) startFunc {
	return func(int) (*measure.Run, error) {
		s := newPeerSet(names(n))
		return eachOf(1<<30, func(int) bool { return s.naiveCount() == n }, nil), nil
	}
}

func reportCount(n int) startFunc {
	return func(int) (*measure.Run, error) {
		s := newPeerSet(names(n))
		return eachOf(1<<30, func(int) bool { return len(s.peers()) == n }, nil), nil
	}
}

func omxCount(n int) startFunc {
	return func(int) (*measure.Run, error) {
		p, err := newNodePool(n)
		if err != nil {
			return nil, err
		}
		return spans(1<<30, func(i, end int) (wrong int) {
			for ; i < end; i++ {
				if p.Count() != n {
					wrong++
				}
			}
			return wrong
		}, p.Close), nil
	}
}

func naiveHas(n int) startFunc {
	return func(int) (*measure.Run, error) {
		ids := names(n)
		s := newPeerSet(ids)
		return eachOf(n, func(i int) bool { return s.naiveHas(ids[i]) }, nil), nil
	}
}

func reportHas(n int) startFunc {
	return func(int) (*measure.Run, error) {
		p, ids := newReportPool(n), names(n)
		for _, id := range ids {
			p.add(id)
		}
		return spans(n, func(i, end int) (wrong int) {
			for _, id := range ids[i:end] {
				if !p.has(id) {
					wrong++
				}
			}
			return wrong
		}, nil), nil
	}
}

func omxHas(n int) startFunc {
	return func(int) (*measure.Run, error) {
		p, err := newNodePool(n)
		if err != nil {
			return nil, err
		}
		return spans(n, func(i, end int) (wrong int) {
			for _, id := range p.ids[i:end] {
				if !p.Has(id) {
					wrong++
				}
			}
			return wrong
		}, p.Close), nil
	}
}
