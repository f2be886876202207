package sim

import (
	"fmt"
	"math"

	"github.com/montanaflynn/stats"

	"omx/node/catalog"
)

// Result is what came of a run. Times are milliseconds of simulated time.
type Result struct {
	Fingerprint string  `json:"fingerprint"` // of all that happened: the same for the same scenario and policies
	Workload    string  `json:"workload"`    // fingerprint of the requests alone: the same for every policy
	Rate        float64 `json:"rate"`        // requests offered per second
	Seconds     float64 `json:"seconds"`     // simulated, from the first moment to the last end
	Events      int     `json:"events"`

	// Every offered request is in exactly one of these.
	Offered    int `json:"offered"`
	Served     int `json:"served"`
	Shed       int `json:"shed"`       // by its entry node's admission
	Unroutable int `json:"unroutable"` // the routing policy gave no node
	Exhausted  int `json:"exhausted"`  // every picked node refused

	// Distributions over the served requests. A policy that refuses more has
	// fewer slow ones to show: read them beside Goodput.
	TTFT Spread `json:"ttft_ms"` // from the intended arrival to the first token at the entry node
	TPOT Spread `json:"tpot_ms"` // mean time between later tokens, answers of two tokens and more
	E2E  Spread `json:"e2e_ms"`  // from the intended arrival to the last token

	Good     int     `json:"good"`      // requests that met the SLO
	Goodput  float64 `json:"goodput"`   // Good over Offered
	GoodRate float64 `json:"good_rate"` // Good per second
	Remote   float64 `json:"remote"`    // share of the served that another node than the entry node served
	Fairness float64 `json:"fairness"`  // Jain's index over the sites' goodput: 1 all alike, 1/n one has all

	Decisions int      `json:"decisions"`
	Builtin   int      `json:"builtin"` // decisions taken by the built-in rule
	Faults    int      `json:"faults"`  // decisions the policy failed
	Fuel      float64  `json:"fuel"`    // mean per decision of a policy
	Refusals  int      `json:"refusals"`
	Notes     []string `json:"notes,omitempty"` // what happened to a policy
	// Violations are faults of the simulator: a run with one is void.
	Violations []string `json:"violations,omitempty"`
}

// Spread describes a distribution.
type Spread struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	Mean float64 `json:"mean"`
}

// tally counts during the run.
type tally struct {
	events, decisions, builtin, faults, refusals int
	fuel                                         uint64
	notes                                        []string
}

func (t *tally) policyFault(err error) {
	if len(t.notes) < maxReasons {
		t.notes = append(t.notes, err.Error())
	}
}

func (w *world) summary() (*Result, error) {
	t := &w.result
	r := &Result{
		Fingerprint: w.print.String(), Workload: workloadPrint(w.requests), Rate: round(w.rate), Seconds: round(float64(w.now-start) / 1e6), Events: t.events,
		Offered: len(w.requests), Decisions: t.decisions, Builtin: t.builtin, Faults: t.faults, Refusals: t.refusals,
		Notes: t.notes, Violations: w.check.list(),
	}
	if by := t.decisions - t.builtin; by > 0 {
		r.Fuel = round(float64(t.fuel) / float64(by))
	}
	var ttft, tpot, e2e stats.Float64Data
	offered, good := make([]float64, w.scenario.Sites), make([]float64, w.scenario.Sites)
	remote := 0
	for i := range w.flights {
		f, q := &w.flights[i], &w.requests[i]
		site := w.topology.site[q.entry]
		offered[site]++
		switch f.end {
		case shed:
			r.Shed++
		case unroutable:
			r.Unroutable++
		case exhausted:
			r.Exhausted++
		case served:
			r.Served++
			ttft, e2e = append(ttft, millis(f.first-q.at)), append(e2e, millis(f.done-q.at))
			gap := catalog.Micros(0)
			if q.output >= 2 {
				gap = (f.done - f.first) / catalog.Micros(q.output-1)
				tpot = append(tpot, millis(gap))
			}
			if f.by != q.entry {
				remote++
			}
			if f.first-q.at <= w.scenario.SLO.TTFT && gap <= w.scenario.SLO.TPOT {
				r.Good++
				good[site]++
			}
		}
	}
	r.Goodput = round(float64(r.Good) / float64(r.Offered))
	r.GoodRate = round(float64(r.Good) / max(r.Seconds, 1e-3))
	r.Remote = round(float64(remote) / float64(max(r.Served, 1)))
	r.Fairness = round(jain(good, offered))
	for _, d := range []struct {
		to   *Spread
		data stats.Float64Data
	}{{&r.TTFT, ttft}, {&r.TPOT, tpot}, {&r.E2E, e2e}} {
		var err error
		if *d.to, err = spread(d.data); err != nil {
			return nil, fmt.Errorf("summarize run: %w", err)
		}
	}
	return r, nil
}

func spread(data stats.Float64Data) (s Spread, err error) {
	if len(data) == 0 {
		return s, nil
	}
	for _, q := range []struct {
		to      *float64
		percent float64
	}{{&s.P50, 50}, {&s.P90, 90}, {&s.P99, 99}} {
		if *q.to, err = stats.Percentile(data, q.percent); err != nil {
			return s, err
		}
		*q.to = round(*q.to)
	}
	mean, err := stats.Mean(data)
	s.Mean = round(mean)
	return s, err
}

// jain is Jain's fairness index of good/offered over the sites with requests.
func jain(good, offered []float64) float64 {
	var sum, squares, n float64
	for i := range good {
		if offered[i] > 0 {
			x := good[i] / offered[i]
			sum, squares, n = sum+x, squares+x*x, n+1
		}
	}
	if squares == 0 {
		return 0
	}
	return sum * sum / (n * squares)
}

func millis(d catalog.Micros) float64 { return float64(d) / 1000 }

// round keeps four digits behind the point: no model is better than that.
func round(x float64) float64 { return math.Round(x*1e4) / 1e4 }
