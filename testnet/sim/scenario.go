package sim

import (
	"errors"
	"fmt"
	"math"

	"omx/node/catalog"
)

// Scenario is everything a run depends on beside the policies. Start from
// Default.
type Scenario struct {
	Seed     uint64 `json:"seed"`
	Nodes    int    `json:"nodes"`    // 1 to 1000
	Sites    int    `json:"sites"`    // 1 to 64, at most as many as nodes
	Requests int    `json:"requests"` // 1 to 1,000,000

	// Load is the offered load as a share of what the fleet could serve if every
	// node were busy all the time; above 0, at most 10. It is used if Rate is 0.
	Load float64 `json:"load"`
	// Rate is requests per second, open loop; 0 takes Load.
	Rate float64 `json:"rate"`

	SiteSkew float64       `json:"site_skew"` // exponent of the Zipf law over sites that clients follow; 0: all alike
	Devices  []DeviceShare `json:"devices"`
	Models   []Model       `json:"models"`
	Prompt   Lengths       `json:"prompt_tokens"`
	Output   Lengths       `json:"output_tokens"`

	Heartbeat catalog.Micros `json:"heartbeat_us"` // between two records of a node
	Queue     int            `json:"queue"`        // requests that may wait on a node, whatever its admission says; 0 to 4096
	SLO       SLO            `json:"slo"`
}

// SLO is what a request must meet to count as good.
type SLO struct {
	TTFT catalog.Micros `json:"ttft_us"` // from the intended arrival to the first token at the entry node
	TPOT catalog.Micros `json:"tpot_us"` // mean time between later tokens
}

// Lengths is a log-normal distribution of token counts, cut off at Min and Max.
type Lengths struct {
	Median float64 `json:"median"`
	Sigma  float64 `json:"sigma"` // of the logarithm
	Min    int     `json:"min"`
	Max    int     `json:"max"`
}

// Model is one model of the fleet, of 7 to 8 billion weights.
type Model struct {
	Name   string  `json:"name"`
	Share  float64 `json:"share"`  // of the requests, relative to the other models
	Placed float64 `json:"placed"` // share of the nodes that hold it, above 0; at least one node does
}

// DeviceShare is how much of the fleet is of one kind.
type DeviceShare struct {
	Device Device  `json:"device"`
	Share  float64 `json:"share"` // relative to the others
}

// Default is a fleet of mixed edge machines at five sites, chatting.
func Default() Scenario {
	return Scenario{
		Seed: 1, Nodes: 50, Sites: 5, Requests: 10_000, Load: 0.6, SiteSkew: 1,
		Devices: []DeviceShare{{IntelN100, 1}, {MacBookAirM1, 1}, {MacMiniM4, 3}, {MacM1Max, 2}, {RTX4070Laptop, 2}, {RTX3090, 1}},
		Models:  []Model{{"chat-8b", 6, 0.7}, {"code-8b", 3, 0.4}, {"summary-8b", 1, 0.2}},
		// Short chats, assumed: public traces (Azure 2023 conversations: median
		// prompt 1020 tokens, answer 129) have longer prompts than small machines
		// are used for.
		Prompt:    Lengths{Median: 220, Sigma: 0.9, Min: 8, Max: 4096},
		Output:    Lengths{Median: 120, Sigma: 0.8, Min: 1, Max: 1024},
		Heartbeat: second,
		Queue:     64,
		SLO:       SLO{TTFT: 2 * second, TPOT: 150 * milli},
	}
}

// Validate names every field out of its range.
func (s *Scenario) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("scenario: "+format, args...))
		}
	}
	check(s.Nodes >= 1 && s.Nodes <= maxNodes, "%d nodes, must be 1 to %d", s.Nodes, maxNodes)
	check(s.Sites >= 1 && s.Sites <= min(maxSites, max(s.Nodes, 1)), "%d sites, must be 1 to %d and no more than nodes", s.Sites, maxSites)
	check(s.Requests >= 1 && s.Requests <= maxRequests, "%d requests, must be 1 to %d", s.Requests, maxRequests)
	check(s.Rate != 0 || inRange(s.Load, 1e-3, 10), "load is %g, must be 0.001 to 10", s.Load)
	check(s.Rate == 0 || inRange(s.Rate, 1e-3, 1e6), "rate is %g a second, must be 0.001 to 1,000,000, or 0 to take the load", s.Rate)
	check(inRange(s.SiteSkew, 0, 10), "site skew is %g, must be 0 to 10", s.SiteSkew)
	check(s.Heartbeat >= 10*milli && s.Heartbeat <= 3600*second, "heartbeat is %d µs, must be 10 ms to 1 h", s.Heartbeat)
	check(s.Queue >= 0 && s.Queue <= maxQueue, "queue is %d, must be 0 to %d", s.Queue, maxQueue)
	check(s.SLO.TTFT > 0 && s.SLO.TPOT > 0, "both parts of the SLO must be above 0")
	errs = append(errs, s.Prompt.validate("prompt"), s.Output.validate("output"))
	check(len(s.Devices) > 0, "no devices")
	for _, d := range s.Devices {
		errs = append(errs, d.Device.validate())
		check(inRange(d.Share, 1e-6, 1e6), "share of device %s is %g", d.Device.Name, d.Share)
	}
	check(len(s.Models) > 0 && len(s.Models) <= maxModels, "%d models, must be 1 to %d", len(s.Models), maxModels)
	for i, m := range s.Models {
		_, err := catalog.ParseModelID(m.Name)
		errs = append(errs, err)
		check(inRange(m.Share, 1e-6, 1e6), "share of model %s is %g", m.Name, m.Share)
		check(m.Placed > 0 && m.Placed <= 1, "model %s is placed on a share of %g of the nodes, must be above 0 and at most 1", m.Name, m.Placed)
		for _, o := range s.Models[:i] {
			check(o.Name != m.Name, "model %s twice", m.Name)
		}
	}
	return errors.Join(errs...)
}

func (l Lengths) validate(what string) error {
	if l.Min < 1 || l.Max < l.Min || l.Max > maxTokens || !inRange(l.Median, 1, maxTokens) || !inRange(l.Sigma, 0, 5) {
		return fmt.Errorf("scenario: %s lengths %+v: need 1 ≤ min ≤ max ≤ %d, a median in that range, sigma 0 to 5", what, l, maxTokens)
	}
	return nil
}

func inRange(x, lo, hi float64) bool { return !math.IsNaN(x) && x >= lo && x <= hi }
