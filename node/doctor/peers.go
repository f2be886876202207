package doctor

import (
	"context"
	"fmt"
	"slices"

	"omx/node/api"
)

// peers looks at how the running node sees the others.
func peers(_ context.Context, p *patient) []Finding {
	if p.node == nil || p.node.self == nil {
		return nil
	}
	times, away, suspect := []float64{}, []string{}, []string{}
	for _, n := range p.node.others {
		switch {
		case n.State == "down":
			away = append(away, called(&n))
		case n.State == "suspect":
			suspect = append(suspect, called(&n))
		case n.RTTMillis != nil:
			times = append(times, *n.RTTMillis)
		}
	}
	all := len(p.node.others)
	up := all - len(away) - len(suspect)
	slices.Sort(times)
	facts := map[string]any{"known": all, "up": up, "suspect": suspect, "down": away, "rtt_ms": times}
	trips := ""
	if n := len(times); n > 0 {
		trips = fmt.Sprintf(", round trips %.1f ms, at most %.1f", times[n/2], times[n-1])
	}
	switch {
	case all == 0:
		return []Finding{ok(facts, "none known")}
	case up == 0:
		first := append(suspect, away...)
		return []Finding{problem(p.atNode("omx ping "+quote(first[0])), facts, "none of %d is up: %s", all, several(first))}
	case len(suspect) > 0:
		return []Finding{advice(p.atNode("omx ping "+quote(suspect[0])), facts, "%d of %d up, %s suspect%s", up, all, several(suspect), trips)}
	case len(away) > 0:
		return []Finding{advice(p.atNode("omx ping "+quote(away[0])), facts, "%d of %d up, %s down%s", up, all, several(away), trips)}
	}
	return []Finding{ok(facts, "%d up%s", up, trips)}
}

// called is what a node can be named by: its name, or the end of its identity.
func called(n *api.NodeView) string {
	if n.Name != "" {
		return n.Name
	}
	return n.ID[max(0, len(n.ID)-8):]
}
