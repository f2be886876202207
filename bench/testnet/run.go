package testnet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"omx/node/decide"
	"omx/policies"
	"omx/testnet/sim"
	"omx/wasm"
)

// Progress is how far a comparison is.
type Progress struct {
	Policy   string
	Seed     uint64
	Run      int // of Runs, from 1
	Runs     int
	Ended    int // requests of this run
	Requests int
}

// Result is a comparison. Its JSON is the same for the same options: only the
// wall time, which is not in it, differs.
type Result struct {
	Scenario    sim.Scenario `json:"scenario"` // of the first seed
	Seeds       []uint64     `json:"seeds"`
	Policies    []Outcome    `json:"policies"`
	NotModelled []string     `json:"not_modelled"`
}

// Outcome is what came of one policy.
type Outcome struct {
	Name   string        `json:"name"`
	Digest string        `json:"digest"` // SHA-256 of the module, hex
	Runs   []*sim.Result `json:"runs"`   // by seed
	Mean   Figures       `json:"mean"`   // over the runs
	Versus Versus        `json:"versus"` // the first policy
	Wall   time.Duration `json:"-"`      // of all its runs, on this machine
}

// Figures are the main figures of a run. Times are seconds, shares 0 to 1.
type Figures struct {
	TTFT50  float64 `json:"ttft_p50_s"`
	TTFT90  float64 `json:"ttft_p90_s"`
	TTFT99  float64 `json:"ttft_p99_s"`
	E2E50   float64 `json:"e2e_p50_s"`
	E2E90   float64 `json:"e2e_p90_s"`
	Goodput float64 `json:"goodput"` // requests within the SLO over requests offered
	Refused float64 `json:"refused"` // of the requests offered
	Remote  float64 `json:"remote"`  // of the served, by another node than the entry node
	Fuel    float64 `json:"fuel"`    // per decision of the policy
}

// Versus compares the goodput of a policy with the first one's, seed by seed.
type Versus struct {
	Better int     `json:"better"` // seeds on which it is higher
	Worse  int     `json:"worse"`
	Points float64 `json:"points"` // mean difference, in percentage points
}

// notModelled is what a reader must know before believing a figure.
var notModelled = []string{
	"Device speeds are figures published by others, for 8B models in 4 bits; the batching curve is one machine's.",
	"Nodes do not fail, throttle, lie or load models; nothing is cached between prompts.",
	"Clients never give up and never come back after a refusal; arrivals are Poisson, lengths log-normal.",
	"While a prompt is read its node makes no tokens; a node knows its own load exactly, that of others by heartbeat.",
	"The time a policy takes to decide is not charged; its fuel is counted.",
}

// Run plays the scenario for each policy and seed, one after the other.
// progress, if not nil, is called now and then from the same goroutine.
func Run(ctx context.Context, o Options, progress func(Progress)) (*Result, error) {
	s, err := o.scenario()
	if err != nil {
		return nil, fmt.Errorf("compare policies: %w", err)
	}
	r := &Result{Scenario: s, Seeds: o.seeds(), NotModelled: notModelled}
	for i, p := range o.Policies {
		digest := sha256.Sum256(p.Code)
		out := Outcome{Name: p.Name, Digest: hex.EncodeToString(digest[:])}
		for j, seed := range r.Seeds {
			s.Seed = seed
			at := Progress{Policy: p.Name, Seed: seed, Run: i*len(r.Seeds) + j + 1, Runs: len(o.Policies) * len(r.Seeds), Requests: s.Requests}
			began := time.Now()
			result, err := runOne(ctx, s, p, func(ended int) {
				if at.Ended = ended; progress != nil {
					progress(at)
				}
			})
			if err != nil {
				return nil, fmt.Errorf("compare policies: %s: %w", p.Name, err)
			}
			out.Wall += time.Since(began)
			out.Runs = append(out.Runs, result)
		}
		out.Mean = mean(out.Runs)
		r.Policies = append(r.Policies, out)
		last := &r.Policies[i]
		last.Versus = versus(last.Runs, r.Policies[0].Runs)
	}
	return r, nil
}

// under is what a node runs that tries a policy: the defaults decide the kinds
// that it does not.
func under(p NamedPolicy) (list []sim.Policy) {
	for _, name := range []string{policies.DefaultAdmit, policies.DefaultRoute} {
		if code, ok := policies.Builtin(name); ok {
			list = append(list, sim.Policy{Name: name, Code: code})
		}
	}
	return append(list, sim.Policy{Name: p.Name, Code: p.Code})
}

func runOne(ctx context.Context, s sim.Scenario, p NamedPolicy, progress func(int)) (_ *sim.Result, err error) {
	host, err := wasm.NewHost(ctx, wasm.Config{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, host.Close(context.WithoutCancel(ctx))) }()
	r, err := sim.Run(ctx, s, under(p), decide.HostLoader(host, wasm.Limits{}, nil), progress)
	if err == nil && len(r.Violations) > 0 {
		err = fmt.Errorf("seed %d: the simulator broke its own rules, its figures are void: %v", s.Seed, r.Violations)
	}
	return r, err
}

func mean(runs []*sim.Result) (m Figures) {
	n := float64(len(runs))
	for _, r := range runs {
		m.TTFT50 += r.TTFT.P50 / 1000 / n
		m.TTFT90 += r.TTFT.P90 / 1000 / n
		m.TTFT99 += r.TTFT.P99 / 1000 / n
		m.E2E50 += r.E2E.P50 / 1000 / n
		m.E2E90 += r.E2E.P90 / 1000 / n
		m.Goodput += r.Goodput / n
		m.Refused += float64(r.Offered-r.Served) / float64(r.Offered) / n
		m.Remote += r.Remote / n
		m.Fuel += r.Fuel / n
	}
	return m
}

func versus(runs, base []*sim.Result) (v Versus) {
	for i, r := range runs {
		d := r.Goodput - base[i].Goodput
		v.Points += 100 * d / float64(len(runs))
		if d > 0 {
			v.Better++
		} else if d < 0 {
			v.Worse++
		}
	}
	return v
}
