package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"omx/node/api"
	"omx/node/catalog"
)

type nodesCmd struct {
	target
	JSON bool `help:"Print JSON."`
}

func (c *nodesCmd) Run(e *env) error {
	var nodes []api.NodeView
	if err := c.get(e.ctx, "/omx/v1/nodes", &nodes); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(e, nodes)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tID\tSTATE\tRTT\tMODELS")
	for _, n := range nodes {
		rtt := "-"
		if n.RTTMillis != nil {
			rtt = fmt.Sprintf("%.2f ms", *n.RTTMillis)
		}
		name, state := n.Name, n.State
		if n.Relay != "" {
			state += ", relayed"
		}
		if n.Through {
			state += ", through others"
		}
		if n.Self {
			name += " *"
		}
		fmt.Fprintf(w, "%s\t…%s\t%s\t%s\t%s\n", name, n.ID[max(0, len(n.ID)-8):], state, rtt, join(n.Models))
	}
	return w.Flush()
}

func join(list []string) string {
	text := "-"
	for i, s := range list {
		if i == 0 {
			text = s
			continue
		}
		text += ", " + s
	}
	return text
}

// holders counts the nodes on which the demonstration model is loaded; failed
// says why one of them cannot load it.
func holders(ctx context.Context, t *target) (ready int, failed string, err error) {
	var models []api.ModelView
	if err := t.get(ctx, "/omx/v1/models", &models); err != nil {
		return 0, "", err
	}
	for _, m := range models {
		if m.ID != demoModel {
			continue
		}
		for _, h := range m.Holders {
			if h.State == catalog.Loaded.String() {
				ready++
			}
			if h.Error != "" {
				failed = h.Error
			}
		}
	}
	return ready, failed, nil
}
