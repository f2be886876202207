package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"omx/bench/api"
	"omx/bench/decision"
	"omx/bench/engine"
	"omx/bench/measure"
	"omx/bench/mesh"
	"omx/bench/policyhost"
	"omx/bench/seed"
	"omx/bench/store"
	"omx/bench/testnet"
	nodeengine "omx/node/engine"
	"omx/node/files"
)

// Options say what the report's suites are given.
type Options struct {
	Version    string          // of the program that measures
	EngineDirs []string        // searched in order for the engine libraries
	Testnet    testnet.Options // which policies to compare
	Short      bool            // a quick look, for tests
}

// section is one suite of the report.
type section struct {
	title, command, intro string
	run                   func(ctx context.Context, progress io.Writer) (func(io.Writer) error, error)
}

// Report runs every suite and writes what came of it to the file at path, whole
// or not at all.
func Report(ctx context.Context, path string, opt Options, progress io.Writer) error {
	// Told before the suites that come first have taken their minutes.
	if _, err := nodeengine.Find(opt.EngineDirs...); err != nil {
		return err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Benchmarks\n\nWritten by `make bench`; nothing in it is typed by hand.\n\n")
	fmt.Fprintf(&b, "| | |\n|---|---|\n| measured | %s |\n| version | %s |\n| machine | %s |\n\n", time.Now().UTC().Format(time.RFC3339), opt.Version, measure.Here())
	fmt.Fprint(&b, howToRead)
	for _, s := range opt.sections() {
		fmt.Fprintf(progress, "%s\n", s.title)
		write, err := s.run(ctx, progress)
		if err != nil {
			return fmt.Errorf("measure %s: %w", strings.ToLower(s.title), err)
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n```\n%s\n```\n\n", s.title, s.intro, s.command)
		if err := write(&b); err != nil {
			return fmt.Errorf("write %s: %w", strings.ToLower(s.title), err)
		}
	}
	if err := files.Write(path, 0o644, b.Bytes()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

const howToRead = `How to read it: variants of one piece of work are measured in turns within one
process, so their ratio holds even where other work disturbs the absolute times.
± is half the distance between the fastest and the slowest repeat, as a share of
the median. Simulations are exact: the same seed gives the same figures on every
machine.
`

func (o Options) sections() []section {
	cfg, seedOpt, net := measure.Config{}, seed.Options{}, o.Testnet
	if o.Short {
		cfg = measure.Config{Duration: 5 * time.Millisecond, Repeats: 3}
		seedOpt.Short, net.Requests = true, 500
	}
	return []section{
		{"Decisions", "omx bench decision", "What admission and routing cost a request: the whole decision as the node takes it, from the snapshot to the ordered picks.",
			func(ctx context.Context, p io.Writer) (func(io.Writer) error, error) {
				r, err := decision.Run(ctx, cfg, p)
				if err != nil {
					return nil, err
				}
				return r.WriteMarkdown, nil
			}},
		{"The policy host", "omx bench policy", "What the host of policies promises: metering that costs little, runaways that are stopped before anybody notices, modules that decide soon after they come, little memory, nothing left behind, and decisions that can be taken again from a record.",
			func(ctx context.Context, p io.Writer) (func(io.Writer) error, error) {
				r, err := policyhost.Run(ctx, policyhost.Options{Short: o.Short}, p)
				if err != nil {
					return nil, err
				}
				return r.WriteMarkdown, nil
			}},
		{"The API", "omx bench api", "Requests over HTTP to a node whose engine answers at once: what the node itself costs.",
			func(ctx context.Context, p io.Writer) (func(io.Writer) error, error) {
				r, err := api.Run(ctx, api.Options{Short: o.Short}, p)
				if err != nil {
					return nil, err
				}
				return r.WriteMarkdown, nil
			}},
		{"The engine", "omx bench engine", "A model served by a node beside the same model in the bare binding of llama.cpp, which decodes and does nothing else, and what becomes of a node whose worker is killed.",
			func(ctx context.Context, p io.Writer) (func(io.Writer) error, error) {
				r, err := engine.Run(ctx, engine.Options{EngineDirs: o.EngineDirs, Short: o.Short}, p)
				if err != nil {
					return nil, err
				}
				return r.WriteMarkdown, nil
			}},
		{"The mesh", "omx bench mesh", "A request over a kept stream beside the same over bare QUIC, what streams of tokens carry, what it adds to the time to first token that another node answers, with a simulated engine that answers at once, and what the mesh's sockets save over the system's.",
			func(ctx context.Context, p io.Writer) (func(io.Writer) error, error) {
				r, err := mesh.Run(ctx, mesh.Options{Short: o.Short}, p)
				if err != nil {
					return nil, err
				}
				return r.WriteMarkdown, nil
			}},
		{"The store", "omx bench store", "What a node keeps of its mesh: questions to the store beside the same to the snapshot that decisions read, saving and opening, and damaged files.",
			func(ctx context.Context, p io.Writer) (func(io.Writer) error, error) {
				r, err := store.Run(ctx, store.Options{Short: o.Short}, p)
				if err != nil {
					return nil, err
				}
				return r.WriteMarkdown, nil
			}},
		{"Policies on a simulated mesh", "omx bench testnet", "The same modules that a node loads, through the same decision code, on machines that do not exist.",
			func(ctx context.Context, p io.Writer) (func(io.Writer) error, error) {
				r, err := testnet.Run(ctx, net, nil)
				if err != nil {
					return nil, err
				}
				return r.WriteMarkdown, nil
			}},
		{"The node's parts, in three designs", "omx bench seed", "Event emission, connection pool, resource monitoring and peer operations of the performance report that omx started from.",
			func(ctx context.Context, p io.Writer) (func(io.Writer) error, error) {
				r, err := seed.Run(ctx, seedOpt, p)
				if err != nil {
					return nil, err
				}
				return r.WriteMarkdown, nil
			}},
	}
}
