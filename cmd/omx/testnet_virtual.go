package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"omx/testnet/virtual"
)

type testnetVirtualCmd struct {
	Nodes    int           `default:"5" help:"How many nodes."`
	Holders  int           `default:"-1" help:"How many have the model (default: all but the first)."`
	Degree   int           `default:"-1" help:"How many others each node is listed with; 0 all (default: all up to 32 nodes, then 8)."`
	RTT      time.Duration `name:"rtt" default:"50ms" help:"Round trip between two nodes."`
	Loss     share         `default:"0" help:"Share of packets that are lost: 1% or 0.01."`
	Faults   int           `default:"3" help:"How many things go wrong, drawn from the seed."`
	Requests int           `default:"40" help:"How many requests clients send meanwhile."`
	Seed     uint64        `default:"1" help:"Decides what is drawn and what the network does."`
	Verbose  bool          `short:"v" help:"Show each request."`
}

// share is a part of 1 on the command line.
type share float64

func (s *share) UnmarshalText(text []byte) error {
	number, percent := strings.CutSuffix(strings.TrimSpace(string(text)), "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) {
		return fmt.Errorf("%q is no share; write it as 1%% or 0.01", text)
	}
	*s = share(v)
	return nil
}

func (c *testnetVirtualCmd) Run(e *env) error {
	if c.Holders < 0 {
		c.Holders = max(c.Nodes-1, 1)
	}
	if c.Degree < 0 {
		c.Degree = 0
		if c.Nodes > 32 {
			c.Degree = 8
		}
	}
	if c.Nodes < 2 || c.Nodes > virtual.MaxNodes || c.Holders < 1 || c.Holders > c.Nodes || c.Faults < 0 || c.Faults > maxDrawn || c.Requests < 0 || c.Requests > maxDrawn || c.RTT < 0 {
		return usageError{fmt.Errorf("play %d faults and %d requests on %d nodes, %d with the model: 2 to %d nodes, at least one with the model, at most %d of the others", c.Faults, c.Requests, c.Nodes, c.Holders, virtual.MaxNodes, maxDrawn)}
	}
	s := &virtual.Scenario{Seed: c.Seed, Nodes: c.Nodes, Holders: c.Holders, RTT: c.RTT, Loss: float64(c.Loss)}
	s.Draw(c.Faults, c.Requests)
	dir, err := virtual.TempDir()
	if err != nil {
		return fmt.Errorf("create a folder for the nodes: %w", err)
	}
	var report *virtual.Report
	began := time.Now()
	virtual.Run(func(ctx context.Context) {
		report, err = virtual.Play(ctx, s, virtual.Spec{Dir: dir, Degree: c.Degree})
	}, func() int {
		_ = os.RemoveAll(dir) // below the folder for what may be lost
		if err != nil {
			e.say("omx: %v", err)
			return 1
		}
		c.tell(e, s, report, time.Since(began))
		if len(report.Broken) > 0 {
			return 1
		}
		return 0
	})
	return nil
}

// maxDrawn faults or requests are drawn: each is a goroutine.
const maxDrawn = 100_000

// tell says what happened, in 80 columns.
func (c *testnetVirtualCmd) tell(e *env, s *virtual.Scenario, r *virtual.Report, took time.Duration) {
	line := func(format string, args ...any) {
		fmt.Fprintln(e.stdout, cut(fmt.Sprintf(format, args...), 80))
	}
	for text := range strings.Lines(r.Timeline(c.Verbose)) {
		line("%s", strings.TrimRight(text, "\n"))
	}
	var first, gaps []time.Duration
	left, failed := 0, 0
	for _, a := range r.Answers {
		switch {
		case a == nil || a.Left:
			left++
		case a.Err != nil:
			failed++
		default:
			first = append(first, a.Result.TTFT)
			gap, _ := a.Gap()
			gaps = append(gaps, gap)
		}
	}
	line("")
	line("seed %d: %d nodes, %d with the model, RTT %v, loss %g %%", s.Seed, s.Nodes, s.Holders, s.RTT, 100*s.Loss)
	line("%-22s %d answered, %d failed, %d had no client left", "requests", len(first), failed, left)
	line("%-22s %s", "first token", spread(first))
	line("%-22s %s", "longest gap in each", spread(gaps))
	line("%-22s %v after the last fault", "views agreed", round(r.Settled))
	if r.Gone > 0 {
		line("%-22s %v after they vanished, at most", "the dead were gone", round(r.Gone))
	}
	line("%-22s %d packets, %.1f MB; %d lost, %d cut", "network", r.Net.Sent, float64(r.Net.SentBytes)/1e6, r.Net.Lost, r.Net.Cut)
	line("%-22s %v of virtual time in %v", "time", round(r.Took), round(took))
	for _, w := range r.Broken {
		line("WRONG: %s", w)
	}
	if len(r.Broken) == 0 {
		line("every request ended once, in the model's own words")
	}
}

// cut keeps a line to so many characters.
func cut(line string, most int) string {
	if r := []rune(line); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return line
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

func spread(all []time.Duration) string {
	if len(all) == 0 {
		return "none"
	}
	slices.Sort(all)
	return fmt.Sprintf("median %v, most %v", round(all[len(all)/2]), round(all[len(all)-1]))
}
