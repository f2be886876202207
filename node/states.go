package node

import (
	"sync"

	"omx/node/catalog"
	"omx/node/engine"
)

// states remembers in which state the models of this node were, to tell when one
// is in another.
type states struct {
	mu   sync.Mutex
	last map[catalog.ModelID]phase
}

type phase struct {
	state    catalog.State
	progress int // per mille, in steps
}

// progressStep is by how much a model must have been loaded further for that to be an
// event, per mille.
const progressStep = 100

// changed calls tell for each model that is in another state than before.
func (s *states) changed(models []engine.Status, tell func(*engine.Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := make(map[catalog.ModelID]phase, len(models))
	for i := range models {
		m := &models[i]
		is := phase{state: m.State}
		if m.State == catalog.Loading {
			is.progress = m.Progress / progressStep
		}
		now[m.ID] = is
		if was, known := s.last[m.ID]; known && was != is || !known && is.state != catalog.OnDisk {
			tell(m)
		}
	}
	s.last = now
}
