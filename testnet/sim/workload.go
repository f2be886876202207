package sim

import (
	"math"
	"math/rand/v2"

	"omx/node/catalog"
)

// request is one request of the workload, the same whatever the policies.
type request struct {
	at     catalog.Micros // intended arrival
	entry  int32          // node its client is at
	model  int32
	prompt int32 // tokens
	output int32 // tokens the answer will have; no policy sees it
}

// newWorkload draws the requests: lengths first, as their means say how many a
// second a load is.
func newWorkload(s *Scenario, t *topology, devices []*Device) (requests []request, rate float64) {
	requests = make([]request, s.Requests)
	prompts, outputs := stream(s.Seed, forPrompts), stream(s.Seed, forOutputs)
	var prompt, output float64
	for i := range requests {
		q := &requests[i]
		q.prompt, q.output = s.Prompt.draw(prompts), s.Output.draw(outputs)
		prompt += float64(q.prompt) / float64(s.Requests)
		output += float64(q.output) / float64(s.Requests)
	}
	if rate = s.Rate; rate == 0 {
		for _, d := range devices {
			rate += s.Load * d.capacity(prompt, output)
		}
	}

	members := make([][]int32, s.Sites)
	for n, site := range t.site {
		members[site] = append(members[site], int32(n))
	}
	weights := make([]float64, s.Sites)
	for i := range weights {
		weights[i] = math.Pow(float64(i+1), -s.SiteSkew)
	}
	sites, models := newChooser(weights), modelChooser(s)
	arrivals, entries, kinds := stream(s.Seed, forArrivals), stream(s.Seed, forEntries), stream(s.Seed, forModels)
	now := float64(start)
	for i := range requests {
		now += arrivals.ExpFloat64() / rate * 1e6
		site := members[sites.draw(entries)]
		requests[i].at = catalog.Micros(now)
		requests[i].entry = site[entries.IntN(len(site))]
		requests[i].model = int32(models.draw(kinds))
	}
	return requests, rate
}

func modelChooser(s *Scenario) chooser {
	weights := make([]float64, len(s.Models))
	for i := range weights {
		weights[i] = s.Models[i].Share
	}
	return newChooser(weights)
}

func (l Lengths) draw(r *rand.Rand) int32 {
	x := l.Median * math.Exp(l.Sigma*r.NormFloat64())
	return int32(min(max(x, float64(l.Min)), float64(l.Max)))
}
