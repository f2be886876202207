package node

import (
	"cmp"
	"slices"
	"sync"

	"omx/node/catalog"
	"omx/node/decide"
	"omx/node/engine"
)

// What this node's slots remember of prompts is told to others, so that a prompt that
// begins alike finds its way to where it need not be read again.

const (
	// blockBytes of a conversation make a block: about 64 tokens, below which reading
	// again costs less than going elsewhere.
	blockBytes  = 256
	blockTokens = blockBytes / 4
	// maxBlocks of a prompt are told: 4 Ki tokens. What begins alike for so long is
	// mostly the same conversation.
	maxBlocks = 64
	// maxRemembered is how many hashes one node tells of all its models: 5 KiB of its
	// record.
	maxRemembered = 1024
)

// chain are the hashes of a prompt's blocks.
type chain struct {
	n     int
	block [maxBlocks]uint32
}

func (c *chain) list() []uint32 { return c.block[:c.n] }

// of makes the chain of a prompt, keyed by the tenant's scope.
func (c *chain) of(p *engine.Prompt) {
	c.n = 0
	h := fnvStart
	for key := p.Scope; key != 0; key >>= 8 {
		h = (h ^ key&0xff) * fnvPrime
	}
	left := blockBytes
	add := func(text string) {
		for i := 0; i < len(text) && c.n < maxBlocks; i++ {
			h = (h ^ uint64(text[i])) * fnvPrime
			if left--; left == 0 {
				c.block[c.n] = uint32(h ^ h>>32)
				c.n++
				left = blockBytes
			}
		}
	}
	add(p.Raw)
	for i := range p.Messages {
		add(p.Messages[i].Role)
		add("\x00")
		add(p.Messages[i].Content)
		add("\x00")
	}
}

// remembered is what slots hold, as far as it can be known from outside: as many
// prompts for each model as it has slots. A prompt takes the place of the one that it
// begins like, or of the one that was used least recently, as in the worker.
type remembered struct {
	mu     sync.Mutex
	models map[catalog.ModelID]*slots
}

type slots struct {
	held []held
	used uint64
}

type held struct {
	chain
	used uint64
}

// put notes that a model has read a prompt, in one of so many slots.
func (r *remembered) put(m catalog.ModelID, c *chain, n int) {
	if c.n == 0 || n < 1 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.models == nil {
		r.models = map[catalog.ModelID]*slots{}
	}
	s := r.models[m]
	if s == nil {
		s = &slots{}
		r.models[m] = s
	}
	s.used++
	at, most := 0, 0
	for i := range s.held {
		if same := s.held[i].common(c); same > most || most == 0 && s.held[i].used < s.held[at].used {
			at, most = i, same
		}
	}
	if most == 0 && len(s.held) < n {
		at, s.held = len(s.held), append(s.held, held{})
	}
	s.held[at] = held{*c, s.used}
}

func (c *chain) common(o *chain) (n int) {
	for n < c.n && n < o.n && c.block[n] == o.block[n] {
		n++
	}
	return n
}

// forget notes that a model has been unloaded.
func (r *remembered) forget(m catalog.ModelID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.models, m)
}

// of lists what a model's slots hold: at most so many, those used last first.
func (r *remembered) of(m catalog.ModelID, most int) catalog.Prefixes {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.models[m]
	if s == nil {
		return nil
	}
	var all []uint32
	byUse := slices.Clone(s.held)
	slices.SortFunc(byUse, func(a, b held) int { return cmp.Compare(b.used, a.used) })
	for i := range byUse {
		all = append(all, byUse[i].list()...)
	}
	return catalog.NewPrefixes(all[:min(len(all), most)])
}

// blocks tells a decision what the request's prompt begins with.
func (c *chain) blocks(r *decide.Request) { r.Blocks, r.BlockTokens = c.list(), blockTokens }
