package engine

import (
	"fmt"
	"sync"
)

// budget is the memory that models may take, all together. What a model needs is
// estimated before it is loaded: a machine that runs out of memory kills whatever it
// likes, and the weights, which are mapped from their files, do not show in what it
// says is free.
type budget struct {
	mu    sync.Mutex
	limit int64 // bytes; 0 none
	taken map[*served]int64
	freed chan struct{} // closed, and made anew, when some is given back
}

func newBudget(limit int64) *budget {
	return &budget{limit: limit, taken: map[*served]int64{}, freed: make(chan struct{})}
}

// take reserves memory for a model. If there is not enough, it names the models whose
// end would make room, the least recently used first, and how long to wait for news.
func (b *budget) take(s *served, need int64) (ok bool, evict []*served, news <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.taken, s)
	over := b.sum() + need - b.limit
	if b.limit == 0 || over <= 0 {
		b.taken[s] = need
		return true, nil, nil
	}
	for over > 0 {
		var oldest *served
		for other := range b.taken {
			if !other.isPinned() && !contains(evict, other) && (oldest == nil || other.gate.lastUsed().Before(oldest.gate.lastUsed())) {
				oldest = other
			}
		}
		if oldest == nil {
			return false, nil, b.freed
		}
		evict = append(evict, oldest)
		over -= b.taken[oldest]
	}
	return false, evict, b.freed
}

func contains(list []*served, s *served) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// give ends what take reserved.
func (b *budget) give(s *served) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, had := b.taken[s]; had {
		delete(b.taken, s)
		close(b.freed)
		b.freed = make(chan struct{})
	}
}

func (b *budget) sum() (n int64) {
	for _, m := range b.taken {
		n += m
	}
	return n
}

// refusal says why a model cannot be loaded, with the figures.
func (b *budget) refusal(need int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Errorf("%w: it needs %s, models may take %s together and others that cannot give way have %s; unload or unpin one, give requests less context, or allow more with --memory",
		ErrNoMemory, sizeText(need), sizeText(b.limit), sizeText(b.sum()))
}

// sizeText is a number of bytes as people read it.
func sizeText(n int64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
}
