package main

import (
	"fmt"
	"slices"
	"time"

	"omx/node/api"
)

type pingCmd struct {
	target
	Node  string `arg:"" help:"Node: its name, its identity, or the end of that."`
	Count int    `short:"c" help:"How many times." default:"4"`
	JSON  bool   `help:"Print JSON."`
}

// pingEvery is the time between two pings: people read along.
const pingEvery = 200 * time.Millisecond

func (c *pingCmd) Run(e *env) error {
	if c.Count < 1 || c.Count > 10_000 {
		return usageError{fmt.Errorf("--count must be between 1 and 10000, not %d", c.Count)}
	}
	var times []float64
	for i := range c.Count {
		if i > 0 {
			select {
			case <-time.After(pingEvery):
			case <-e.ctx.Done():
				return e.ctx.Err()
			}
		}
		var v api.PingView
		if err := c.instruct(e, "/omx/v1/ping", map[string]string{"node": c.Node}, &v); err != nil {
			return err
		}
		times = append(times, v.RTTMillis)
		if !c.JSON {
			fmt.Fprintf(e.stdout, "%s (…%s): %.2f ms\n", v.Name, v.ID[max(0, len(v.ID)-8):], v.RTTMillis)
		}
	}
	if c.JSON {
		return writeJSON(e, times)
	}
	slices.Sort(times)
	e.say("%d answers: least %.2f ms, median %.2f, most %.2f; through both programs, not only the network", len(times), times[0], times[len(times)/2], times[len(times)-1])
	return nil
}

type drainCmd struct {
	target
	Off  bool          `help:"Take requests again."`
	Wait time.Duration `help:"How long to wait until nothing runs here any more." default:"1m"`
	JSON bool          `help:"Print JSON."`
}

// Run waits until the node has nothing to do any more, so that it can be stopped.
func (c *drainCmd) Run(e *env) error {
	deadline := time.Now().Add(c.Wait)
	for said := false; ; said = true {
		var v api.DrainView
		if err := c.instruct(e, "/omx/v1/drain", map[string]bool{"on": !c.Off}, &v); err != nil {
			return err
		}
		switch {
		case c.Off || v.Running == 0:
			if c.JSON {
				return writeJSON(e, v)
			}
			if c.Off {
				e.say("the node takes requests again")
			} else {
				e.say("nothing runs here any more; the node can be stopped, or: omx drain --off")
			}
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%d requests still run here after %v; the node takes no new ones", v.Running, c.Wait)
		case !said:
			e.say("the node takes no new requests; %d still run", v.Running)
		}
		select {
		case <-time.After(pingEvery):
		case <-e.ctx.Done():
			return e.ctx.Err()
		}
	}
}
