package measure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/montanaflynn/stats"
)

// Config says how long and how often.
type Config struct {
	Duration time.Duration // timed section of one measurement; 1 ms to 1 min; 0 means 250 ms
	Repeats  int           // measurements of each case, 1 to 1000; 0 means 5
	Procs    []int         // GOMAXPROCS to measure at, each 1 to 1024; empty means all processors
}

const (
	defaultDuration = 250 * time.Millisecond
	defaultRepeats  = 5 // an odd number has a median that was measured
	maxRepeats      = 1000
	maxProcs        = 1024

	// latencyEvery: one call in so many is timed.
	latencyEvery = 32
	// maxLatencies bounds the calls timed by one worker, in 512 KiB.
	maxLatencies = 1 << 16
	// chunkTime is about how long Op is called for at a time: long against
	// reading the clock, short against a measurement.
	chunkTime = 50 * time.Microsecond
	maxChunk  = 1 << 16
)

func (c *Config) setDefaults() {
	if c.Duration == 0 {
		c.Duration = defaultDuration
	}
	if c.Repeats == 0 {
		c.Repeats = defaultRepeats
	}
	if len(c.Procs) == 0 {
		c.Procs = []int{runtime.NumCPU()}
	}
}

// Validate lists every field out of range.
func (c Config) Validate() error {
	c.setDefaults()
	var errs []error
	if c.Duration < time.Millisecond || c.Duration > time.Minute {
		errs = append(errs, fmt.Errorf("duration %v: choose 1ms to 1m", c.Duration))
	}
	if c.Repeats < 1 || c.Repeats > maxRepeats {
		errs = append(errs, fmt.Errorf("%d repeats: choose 1 to %d", c.Repeats, maxRepeats))
	}
	for i, p := range c.Procs {
		if slices.Contains(c.Procs[:i], p) {
			errs = append(errs, fmt.Errorf("%d processors named twice", p))
		}
		if p < 1 || p > maxProcs {
			errs = append(errs, fmt.Errorf("%d processors: choose 1 to %d", p, maxProcs))
		}
	}
	return errors.Join(errs...)
}

// Cases measures every case once, then every case again, until each has been
// measured Repeats times. It sets GOMAXPROCS meanwhile: nothing else of weight
// should run in the process. When ctx ends it stops between two measurements.
func Cases(ctx context.Context, cases []Case, cfg Config, progress io.Writer) ([]Series, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure measurement: %w", err)
	}
	cfg.setDefaults()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var all []Series
	for _, procs := range cfg.Procs {
		for _, c := range cases {
			workers := c.Workers
			if workers == 0 {
				workers = procs
			}
			all = append(all, Series{Name: c.Name, Variant: c.Variant, Procs: procs, Workers: workers})
		}
	}
	clock := clockCost()
	for rep := range cfg.Repeats {
		fmt.Fprintf(progress, "repeat %d of %d: %d measurements\n", rep+1, cfg.Repeats, len(all))
		for i := range all {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			s, c := &all[i], cases[i%len(cases)]
			runtime.GOMAXPROCS(s.Procs)
			sample, note, err := one(c, s.Workers, cfg.Duration, clock)
			if err != nil {
				return nil, fmt.Errorf("measure %s, %s: %w", c.Name, c.Variant, err)
			}
			s.Samples = append(s.Samples, sample)
			s.Note = note
		}
	}
	return all, nil
}

func one(c Case, workers int, d time.Duration, clock float64) (sample Sample, note string, err error) {
	run, err := c.Start(workers)
	if err != nil {
		return Sample{}, "", err
	}
	if run.Close != nil {
		defer func() { note = run.Close() }()
	}
	runtime.GC() // nobody pays for another's garbage
	var t Timer
	if run.Once != nil {
		run.Once(&t)
		return t.sample, "", nil
	}
	team := make([]Worker, workers)
	for i := range team {
		team[i] = Worker{Index: i, Workers: workers}
	}
	throughput(run, team, d/10) // warm up
	t.Start()
	t.Stop(throughput(run, team, d))
	p50, p99, err := latency(run, team, d/4, clock)
	sample = t.sample
	sample.P50, sample.P99 = p50, p99
	return sample, "", err
}

// throughput has every worker work for d and returns how often they did.
func throughput(run *Run, team []Worker, d time.Duration) int64 {
	counts := make([]int64, len(team))
	var wg sync.WaitGroup
	begin := time.Now()
	for i := range team {
		wg.Go(func() {
			n := int64(0)
			for chunk, at := 1, time.Duration(0); at < d; {
				run.Op(&team[i], chunk)
				n += int64(chunk)
				now := time.Since(begin)
				if now-at < chunkTime && chunk < maxChunk {
					chunk *= 2
				}
				at = now
			}
			counts[i] = n
		})
	}
	wg.Wait()
	if run.Drain != nil {
		run.Drain()
	}
	total := int64(0)
	for _, n := range counts {
		total += n
	}
	return total
}

// latency has every worker work for d, timing one call in latencyEvery, less
// what reading the clock costs. It is a section of its own so that reading the
// clock is in no other figure.
func latency(run *Run, team []Worker, d time.Duration, clock float64) (p50, p99 float64, err error) {
	taken := make([][]float64, len(team))
	var wg sync.WaitGroup
	begin := time.Now()
	for i := range team {
		wg.Go(func() {
			list := make([]float64, 0, 1024)
			for at := time.Duration(0); at < d && len(list) < maxLatencies; {
				before := time.Since(begin)
				run.Op(&team[i], 1)
				at = time.Since(begin)
				list = append(list, max(0, float64(at-before)-clock))
				if at-before < chunkTime { // else every call is timed: there will be few
					run.Op(&team[i], latencyEvery-1)
				}
			}
			taken[i] = list
		})
	}
	wg.Wait()
	if run.Drain != nil {
		run.Drain()
	}
	var all stats.Float64Data
	for _, list := range taken {
		all = append(all, list...)
	}
	if p50, err = stats.PercentileNearestRank(all, 50); err == nil {
		p99, err = stats.PercentileNearestRank(all, 99)
	}
	return p50, p99, err
}

// clockCost is how far two readings of the clock are apart, usually.
func clockCost() float64 {
	var apart stats.Float64Data
	for begin := time.Now(); len(apart) < 1000; {
		before := time.Since(begin)
		apart = append(apart, float64(time.Since(begin)-before))
	}
	return summarize(apart).Median
}
