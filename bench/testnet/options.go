package testnet

import (
	"errors"
	"fmt"

	"omx/testnet/sim"
)

// NamedPolicy is a module to compare. Kinds it does not decide are decided by
// the default policies.
type NamedPolicy struct {
	Name string // as the report calls it; 1 to 64 characters, no two alike
	Code []byte
}

// Limits on a comparison.
const (
	maxPolicies = 32
	maxSeeds    = 100
	maxName     = 64
	maxNodes    = 500 // each has its own instance of the policy, and a host has room for 1024
)

// Options says what to run. The zero value of a field takes the default.
type Options struct {
	Nodes    int     // of the fleet; default 50, 1 to 500
	Sites    int     // they are at; default 5, or as many as nodes
	Requests int     // per run; default 10,000, 1 to 1,000,000
	Seed     uint64  // of the first run; the others count up from it
	Seeds    int     // runs per policy; default 3, 1 to 100. All policies get the same seeds
	Load     float64 // offered, as a share of what the fleet could serve; default 0.6, above 0 to 10
	Rate     float64 // requests per second; 0 takes Load

	Policies []NamedPolicy // 1 to 32; the first is what the others are compared with
}

// scenario checks the options and turns them into the scenario of a first run.
func (o *Options) scenario() (sim.Scenario, error) {
	s := sim.Default()
	s.Seed, s.Rate = o.Seed, o.Rate
	set := func(to *int, v int) {
		if v != 0 {
			*to = v
		}
	}
	set(&s.Nodes, o.Nodes)
	set(&s.Requests, o.Requests)
	s.Sites = min(s.Sites, max(s.Nodes, 1))
	set(&s.Sites, o.Sites)
	if o.Load != 0 {
		s.Load = o.Load
	}
	errs := []error{s.Validate()}
	if s.Nodes > maxNodes {
		errs = append(errs, fmt.Errorf("%d nodes, at most %d", s.Nodes, maxNodes))
	}
	if o.Seeds < 0 || o.Seeds > maxSeeds {
		errs = append(errs, fmt.Errorf("%d seeds, must be 1 to %d", o.Seeds, maxSeeds))
	}
	if len(o.Policies) == 0 || len(o.Policies) > maxPolicies {
		errs = append(errs, fmt.Errorf("%d policies, must be 1 to %d: name at least one", len(o.Policies), maxPolicies))
	}
	names := map[string]bool{}
	for _, p := range o.Policies {
		if p.Name == "" || len(p.Name) > maxName || names[p.Name] {
			errs = append(errs, fmt.Errorf("policy name %.64q is empty, too long or there twice", p.Name))
		}
		names[p.Name] = true
	}
	return s, errors.Join(errs...)
}

func (o *Options) seeds() []uint64 {
	n := o.Seeds
	if n == 0 {
		n = 3
	}
	out := make([]uint64, n)
	for i := range out {
		out[i] = o.Seed + uint64(i)
	}
	return out
}
