package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"omx/testnet/hosts"
)

type testnetCmd struct {
	Up      testnetUpCmd      `cmd:"" help:"Start real nodes on this machine, connected, until Ctrl-C."`
	Virtual testnetVirtualCmd `cmd:"" help:"Let things go wrong in a fleet of nodes in virtual time."`
	Members testnetMembersCmd `cmd:"" help:"Measure what the members of one mesh send, in virtual time."`
}

type testnetUpCmd struct {
	Nodes       int    `default:"3" help:"How many nodes."`
	Holders     int    `default:"-1" help:"How many hold the demonstration model (default: all but the first)."`
	Ask         string `help:"Ask this through the first node, and say who answered and why." placeholder:"QUESTION"`
	Once        bool   `help:"Stop after the answer."`
	Dir         string `help:"Folder for the nodes' state, kept (default: a temporary one)." type:"path"`
	EngineDir   string `help:"Folder with the engine libraries." env:"OMX_ENGINE_DIR" type:"path"`
	RoutePolicy string `help:"Routing policy (.wasm) of every node." type:"path" placeholder:"FILE"`
	AdmitPolicy string `help:"Admission policy (.wasm) of every node." type:"path" placeholder:"FILE"`
	Verbose     bool   `short:"v" help:"Show what the nodes log."`
}

func (c *testnetUpCmd) Run(e *env) (err error) {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	cfg := hosts.Config{Exe: exe, Dir: c.Dir, Nodes: c.Nodes, Holders: c.Holders}
	if cfg.Holders < 0 {
		cfg.Holders = max(c.Nodes-1, 1)
	}
	if cfg.Dir == "" {
		if cfg.Dir, err = os.MkdirTemp("", "omx-testnet-"); err != nil {
			return fmt.Errorf("create testnet folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(cfg.Dir)) }()
	}
	for flag, value := range map[string]string{"--engine-dir": c.EngineDir, "--route-policy": c.RoutePolicy, "--admit-policy": c.AdmitPolicy} {
		if value != "" {
			cfg.Args = append(cfg.Args, flag, value)
		}
	}
	if c.Verbose {
		cfg.Talk, cfg.Args = e.stderr, append(cfg.Args, "--verbose")
	}

	began := time.Now()
	e.say("starting %d nodes on this machine, %d of them with the model %s", c.Nodes, cfg.Holders, demoModel)
	net, err := hosts.Up(e.ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, net.Down()) }()
	for _, h := range net.Hosts {
		e.say("  %s  %s  …%s", h.Name, h.API, h.ID[max(0, len(h.ID)-8):])
	}
	first := &target{API: net.Hosts[0].API}
	if err := awaitHolders(e.ctx, first, cfg.Holders); err != nil {
		return err
	}
	e.say("connected in %.1f s", time.Since(began).Seconds())

	if c.Ask != "" {
		e.say("\nasking %s, through %s: %s", demoModel, net.Hosts[0].Name, c.Ask)
		q := &question{Model: demoModel, Prompt: c.Ask, MaxTokens: 128}
		if err := q.ask(e, first, func(text string) { fmt.Fprint(e.stdout, text) }); err != nil {
			return err
		}
		fmt.Fprintln(e.stdout)
		e.say("\n%s", q.summary())
		if err := explain(e, first, q.Decision); err != nil {
			return err
		}
	}
	if c.Once {
		return nil
	}
	e.say("\nthe mesh is up; try, in another terminal:")
	e.say("  omx run --api %s --explain %s \"Who are you?\"", first.API, demoModel)
	e.say("  omx nodes --api %s", first.API)
	e.say("  curl %s/v1/models", first.API)
	e.say("Ctrl-C stops it")
	return watch(e, net)
}

const demoModel = "omx-demo"

// watch reports nodes that end until the user has enough.
func watch(e *env, net *hosts.Net) error {
	ended := make(chan *hosts.Host)
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	for _, h := range net.Hosts {
		go func() {
			select {
			case <-h.Exited():
				select {
				case ended <- h:
				case <-ctx.Done():
				}
			case <-ctx.Done():
			}
		}()
	}
	for range net.Hosts {
		select {
		case h := <-ended:
			e.say("%s (process %d) has ended; the others go on", h.Name, h.PID)
		case <-e.ctx.Done():
			e.say("stopping %d nodes", len(net.Hosts))
			return nil
		}
	}
	return errors.New("all nodes have ended")
}

// awaitHolders returns when a node knows as many loaded copies of the
// demonstration model as there should be.
func awaitHolders(ctx context.Context, t *target, want int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("the nodes did not find each other and load the model within 30 s"))
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		ready, failed, err := holders(ctx, t)
		if err == nil && failed != "" {
			return fmt.Errorf("a node cannot serve the model: %s", failed)
		}
		if err == nil && ready >= want {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
