package upstream

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"omx/node/catalog"
)

// watch asks the server about its models until ctx ends.
func (u *Upstream) watch(ctx context.Context) {
	backoff := min(firstBackoff, u.cfg.Timeouts.Every)
	for {
		wait := u.cfg.Timeouts.Every
		if err := u.check(ctx); err != nil {
			wait, backoff = backoff, min(2*backoff, maxBackoff)
		} else {
			backoff = min(firstBackoff, u.cfg.Timeouts.Every)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-u.doubt:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// check asks once and keeps what it learns.
func (u *Upstream) check(ctx context.Context) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, u.cfg.Timeouts.Check)
	defer cancel()
	api, list, err := u.ask(ctx)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && u.heard.Load() > began.UnixNano() {
		return nil // it is busy answering, and some servers do one thing at a time
	}
	if u.run.Err() != nil {
		return nil // closed meanwhile
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	was := u.down
	if err != nil {
		u.down = shortly(err, u.cfg.base)
		if was == nil || was.Error() != u.down.Error() {
			u.cfg.Log.Warn("upstream cannot be used", "why", u.down)
		}
		return err
	}
	u.api, u.down = api, nil
	u.take(list)
	if u.cfg.Slots == 0 {
		slots := 0
		for _, f := range list {
			slots = max(slots, f.slots)
		}
		u.gate.Resize(min(cmp.Or(slots, defaultSlots), maxSlots))
	}
	if was != nil {
		u.cfg.Log.Info("upstream answers", "upstream", u.cfg.base, "models", len(u.models))
	}
	return nil
}

// ask finds out which API the server has, unless it has been up all the time,
// and which models.
func (u *Upstream) ask(ctx context.Context) (server, []found, error) {
	if err := u.caller.readKey(); err != nil {
		return nil, nil, err
	}
	u.mu.Lock()
	api := u.api
	if u.down != nil {
		api = nil
	}
	u.mu.Unlock()
	if api == nil {
		var err error
		if api, err = u.which(ctx); err != nil {
			return nil, nil, err
		}
	}
	list, err := api.list(ctx)
	return api, list, err
}

func (u *Upstream) which(ctx context.Context) (server, error) {
	kind := u.cfg.Kind
	if kind == Auto {
		// Ollama has a part of OpenAI's API, too, and says who it is in words.
		text, err := u.caller.text(ctx, "/")
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(text, "Ollama is running") {
			kind = Ollama
		}
	}
	if kind == Ollama {
		return &ollama{caller: u.caller}, nil
	}
	return &openAI{caller: u.caller}, nil
}

// take keeps what the server has. A model that stays keeps its speed.
func (u *Upstream) take(list []found) {
	speeds := map[catalog.ModelID]*speed{}
	for _, m := range u.models {
		speeds[m.id] = m.speed
	}
	byName := map[string]found{}
	for _, f := range list {
		byName[f.name] = f
	}
	u.models = u.models[:0:0]
	keep := func(id catalog.ModelID, f found, missing bool) {
		if speeds[id] == nil {
			speeds[id] = new(speed)
		}
		u.models = append(u.models, model{id: id, missing: missing, found: f, speed: speeds[id]})
	}
	if len(u.cfg.names) > 0 {
		for _, n := range u.cfg.names {
			f, ok := byName[n.theirs]
			if !ok { // Ollama's names may be asked for without this
				f, ok = byName[n.theirs+latest]
			}
			if !ok {
				f.name = n.theirs
			}
			keep(n.id, f, !ok)
		}
		return
	}
	slices.SortFunc(list, func(a, b found) int { return strings.Compare(a.name, b.name) })
	taken := map[catalog.ModelID]bool{}
	for _, f := range list {
		id, err := catalog.ParseModelID(u.cfg.Prefix + plain(f.name))
		switch {
		case err != nil:
			u.skip(f.name, "its name cannot be used; give it another there (llama-server: --alias, vLLM: --served-model-name)")
		case taken[id]:
			u.skip(f.name, "another has this name")
		case len(u.models) == maxModels:
			u.skip(f.name, "there are too many; name those to use")
		default:
			taken[id] = true
			keep(id, f, false)
		}
	}
}

// latest ends names at Ollama that were given none, and clients leave it out.
const latest = ":latest"

// plain is the name that clients know a model by. Where it was given none,
// llama-server and vLLM have its path instead, which says nothing elsewhere.
func plain(name string) string {
	windows := len(name) > 2 && name[1] == ':' && name[2] == '\\'
	if windows || name != "" && strings.ContainsRune("/.\\~", rune(name[0])) {
		name = strings.TrimRight(name, `/\`)
		name = strings.TrimSuffix(name[strings.LastIndexAny(name, `/\`)+1:], ".gguf")
	}
	return strings.TrimSuffix(name, latest)
}

// skip tells once that a model is not used.
func (u *Upstream) skip(name, why string) {
	if !u.skipped[name] && len(u.skipped) < maxSkipped {
		u.skipped[name] = true
		u.cfg.Log.Warn("a model of the upstream is not used", "upstream", u.cfg.base, "model", clean(name), "why", why)
	}
}
