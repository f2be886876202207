package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"time"

	"omx/node/api"
	"omx/node/catalog"
	"omx/node/engine"
	"omx/policies/abi"
)

// running is what a node says of itself and of others.
type running struct {
	health
	self     *api.NodeView // nil if it asks for a key
	others   []api.NodeView
	models   []api.ModelView
	policies []api.PolicyView
	mesh     *api.MeshView // nil: it is in none
}

// health is what a node tells everybody.
type health struct {
	Status  string `json:"status"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Uptime  int64  `json:"uptime_s"`
}

// reach asks a node all that is looked at. The error says why there is no answer; one
// that wants a key has told its health alone.
func reach(ctx context.Context, c *Config) (*running, error) {
	n := &running{}
	ask := newAsker(c.Key, true)
	if err := ask.get(ctx, c.API, "/healthz", &n.health); errors.Is(err, errStatus(http.StatusServiceUnavailable)) {
		return nil, errStopping
	} else if err != nil {
		return nil, err
	}
	if n.Status == "" || n.Version == "" {
		return nil, errOther
	}
	var nodes []api.NodeView
	if err := ask.get(ctx, c.API, "/omx/v1/nodes", &nodes); err != nil {
		return n, err
	}
	for i := range nodes {
		if nodes[i].Self {
			n.self = &nodes[i]
		} else {
			n.others = append(n.others, nodes[i])
		}
	}
	for path, into := range map[string]any{"/omx/v1/models": &n.models, "/omx/v1/policies": &n.policies} {
		if err := ask.get(ctx, c.API, path, into); err != nil {
			return n, err
		}
	}
	var m api.MeshView
	if ask.get(ctx, c.API, "/omx/v1/mesh", &m) == nil { // else it is in none
		n.mesh = &m
	}
	return n, nil
}

// errStopping says that a node is about to end.
var errStopping = errors.New("the node is stopping")

// own tells whether the node that answers has the data folder that is looked at.
func (p *patient) own() bool {
	return p.node != nil && p.node.self != nil && p.id != "" && p.node.self.ID == p.id
}

// answers looks whether there is a node, and whether it is the one that is meant.
func answers(_ context.Context, p *patient) []Finding {
	n := p.node
	if n == nil {
		return []Finding{p.silent()}
	}
	facts := map[string]any{"api": p.API, "name": n.Name, "version": n.Version, "uptime_s": n.Uptime}
	is := fmt.Sprintf("%s, version %s, up %s", n.Name, n.Version, span(time.Duration(n.Uptime)*time.Second))
	var all []Finding
	say := func(f Finding) { all = append(all, f) }
	switch {
	case isRefused(p.silence):
		say(advice("OMX_KEY=KEY "+p.atNode("omx doctor"), facts, "%s: it asks for a key, so no more was looked at", is))
	case p.silence != nil:
		say(problem(p.atNode("omx nodes"), facts, "%s: %v", is, p.silence))
	case p.id != "" && n.self != nil && n.self.ID != p.id:
		say(advice("omx doctor --data DIR   # its data folder", facts, "%s, at %s has another data folder than %s", n.Name, p.API, p.Data))
	case n.Version != p.Version:
		say(advice(p.restart(), facts, "%s, but this program is %s", is, p.Version))
	default:
		say(ok(facts, "%s, at %s", is, p.API))
	}
	if n.self != nil && n.self.State == "draining" {
		say(advice(p.atNode("omx drain --off"), nil, "it is drained: others take its requests"))
	}
	return all
}

// restart is how to have a node begin anew: what it was started with, who started it
// knows.
func (p *patient) restart() string {
	if p.user != 0 {
		return fmt.Sprintf("kill %d", p.user) + startAgain
	}
	return p.atNode("omx drain") + "   # then stop it, and start it again as before"
}

const startAgain = "   # then start it again as before"

// silent says why no node answers.
func (p *patient) silent() Finding {
	facts := map[string]any{"api": p.API, "error": p.silence.Error()}
	if host := hostOf(p.API); !p.here(host) {
		return problem("ssh "+quote(host)+" omx doctor", facts, "%s: %v", p.API, p.silence)
	}
	switch {
	case errors.Is(p.silence, errStopping):
		return advice(p.atNode("omx doctor"), facts, "%s: %v", p.API, p.silence)
	case !errors.Is(p.silence, syscall.ECONNREFUSED):
		return p.strange(facts)
	case p.user == 0:
		return advice(p.onFolder("omx serve"), facts, "none answers at %s", p.API)
	}
	facts["process"] = p.user
	for _, port := range listensOn(p.user) {
		return advice(fmt.Sprintf("omx doctor --data %s --api http://127.0.0.1:%d", quote(p.Data), port), facts, "process %d has the folder, with its API elsewhere", p.user)
	}
	return problem(fmt.Sprintf("ps -fp %d", p.user), facts, "process %d has the folder, but takes no requests", p.user)
}

// strange is something that listens where the API should be, and does not answer as a
// node does.
func (p *patient) strange(facts map[string]any) Finding {
	who, told := holderOf("tcp", portOf(p.API))
	if !told {
		return problem("curl -v "+quote(p.API+"/healthz"), facts, "%s: %v", p.API, p.silence)
	}
	facts["program"], facts["process"] = who.name, who.pid
	next := p.onFolder("omx serve --listen 127.0.0.1:0")
	if who.pid == p.user || who.name == "omx" {
		next = fmt.Sprintf("kill %d", who.pid) + startAgain
	}
	return problem(next, facts, "%s: %v; it is %s, process %d", p.API, p.silence, who.name, who.pid)
}

// servedModels looks at the running node's own models.
func servedModels(_ context.Context, p *patient) (all []Finding) {
	if p.node == nil || p.node.self == nil {
		return nil
	}
	have, loaded := 0, 0
	for i := range p.node.models {
		m := &p.node.models[i]
		own, is, fault := false, "", ""
		for _, h := range m.Holders {
			if h.Node == p.node.self.ID {
				own, is = true, h.State
				fault += h.Error
			}
		}
		switch {
		case !own:
			continue
		case fault != "":
			all = append(all, p.unfit(m.ID, fault))
		case is == catalog.Loaded.String():
			loaded++
		}
		have++
	}
	facts := map[string]any{"models": have, "loaded": loaded}
	return append(all, ok(facts, "%s here, %d loaded; %d in all the mesh", plural(have, "model"), loaded, len(p.node.models)))
}

// unfit says why a model of the node is not served.
func (p *patient) unfit(model, why string) Finding {
	text, next := split(errors.New(why))
	if next == "" && strings.Contains(why, engine.SetAside) {
		next = p.restart()
	}
	return problem(cmp.Or(next, p.atNode("omx models show "+quote(model))), map[string]any{"model": model, "error": why}, "%s: %s", model, text)
}

// decisions looks at what the running node's policies have come to.
func decisions(_ context.Context, p *patient) (all []Finding) {
	if p.node == nil || p.node.self == nil {
		return nil
	}
	next := p.atNode("omx policy status")
	for _, v := range p.node.policies {
		facts := map[string]any{"kind": v.Kind, "policy": v.Active.Name, "decisions": v.Active.Decisions, "faults": v.Active.Faults, "builtin": v.Builtin, "set_aside": v.SetAside}
		switch {
		case v.SetAside != "":
			all = append(all, problem(next, facts, "%s: %s failed too often and was set aside; %s decides", v.Kind, v.SetAside, v.Active.Name))
		case v.Active.Digest == "" && v.Kind == abi.Replicate.String():
			all = append(all, ok(facts, "%s by none: models stay where they are", v.Kind))
		case v.Active.Digest == "":
			all = append(all, problem(next, facts, "%s: no policy decides, but the built-in rule", v.Kind))
		case v.Builtin > 0 || v.Active.Faults > 0:
			all = append(all, advice(next, facts, "%s: %s failed %d of %d; the built-in rule took %d", v.Kind, v.Active.Name, v.Active.Faults, v.Active.Decisions, v.Builtin))
		default:
			all = append(all, ok(facts, "%s by %s, %d so far", v.Kind, v.Active.Name, v.Active.Decisions))
		}
	}
	return all
}
