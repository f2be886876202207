package seed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/montanaflynn/stats"

	"omx/bench/measure"
	"omx/bench/mesh"
	"omx/node/events"
	"omx/node/monitor"
)

// EndToEnd is what becomes of the four things for somebody who waits for them.
type EndToEnd struct {
	Events  []Latency        `json:"events"`  // from emitting to the handler, on another goroutine
	Request []measure.Series `json:"request"` // 1 KiB there and 1 KiB back over real QUIC
	Peers   []measure.Series `json:"peers"`   // asked of a live mesh
	Reading Reading          `json:"reading"`
}

// Latency of one variant, in nanoseconds.
type Latency struct {
	Variant string  `json:"variant"`
	P50     float64 `json:"p50_ns"`
	P99     float64 `json:"p99_ns"`
}

// Reading is what a decision finds when it looks at the machine.
type Reading struct {
	Every        time.Duration `json:"sampled_every_ns"`
	Oldest       time.Duration `json:"oldest_ns"` // found by many looks in a row
	Known        string        `json:"known"`
	CPU          float64       `json:"cpu_percent"`
	Self         float64       `json:"self_percent"` // of one processor, this program
	MemTotal     uint64        `json:"memory_bytes"` // of the machine, or of the control group if it allows less
	MemAvailable uint64        `json:"memory_available_bytes"`
	DiskFree     uint64        `json:"disk_free_bytes"`
	GPU          string        `json:"gpu"`
}

const (
	requestName  = "request/1KiB"
	requestBytes = 1 << 10
	// dialFloor is how many times longer the median request takes for which the node
	// connects.
	dialFloor = 40
)

// endToEnd takes about twenty seconds, one if short.
func endToEnd(ctx context.Context, short bool, progress io.Writer) (*EndToEnd, error) {
	cfg, count := measure.Config{Duration: 250 * time.Millisecond, Repeats: 5}, 5000
	if short {
		cfg, count = measure.Config{Duration: 10 * time.Millisecond, Repeats: 1}, 200
	}
	e := &EndToEnd{}
	var err error
	if e.Events, err = delivery(count); err != nil {
		return nil, fmt.Errorf("deliver events: %w", err)
	}
	anything := func(note string) bool { return note != "" } // these have nothing to note but failures
	if e.Request, err = strictly(ctx, mesh.Cases(ctx, requestName, requestBytes), cfg, progress, anything); err != nil {
		return nil, fmt.Errorf("ask over QUIC: %w", err)
	}
	if e.Peers, err = strictly(ctx, mesh.PeerCases(ctx), cfg, progress, anything); err != nil {
		return nil, fmt.Errorf("ask for peers: %w", err)
	}
	if e.Reading, err = reading(ctx, short); err != nil {
		return nil, fmt.Errorf("read resources: %w", err)
	}
	return e, nil
}

// delivery times events one by one, each when the one before has arrived.
func delivery(count int) ([]Latency, error) {
	got := make(chan time.Time, 1)
	measured := func(variant string, emit func()) (Latency, error) {
		var times stats.Float64Data
		for i := range count + count/10 { // the first tenth warms up
			for began := time.Now(); time.Since(began) < 20*time.Microsecond; { // events do not come back to back
				runtime.Gosched()
			}
			began := time.Now()
			emit()
			if at := <-got; i >= count/10 {
				times = append(times, float64(at.Sub(began)))
			}
		}
		p50, err50 := stats.Percentile(times, 50)
		p99, err99 := stats.Percentile(times, 99)
		return Latency{variant, p50, p99}, errors.Join(err50, err99)
	}
	var all []Latency
	for _, old := range []struct {
		variant string
		make    func(busHandler) emitFunc
	}{{variantNaive, naiveEmit}, {variantReport, reportEmit}} {
		emit := old.make(func(*busEvent) { got <- time.Now() })
		l, err := measured(old.variant, func() { emit(topic, peer, busData{1, 1, 2}) })
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	bus := events.New()
	if _, err := bus.Subscribe(events.Options{}, func(events.Event) { got <- time.Now() }); err != nil {
		return nil, err
	}
	l, err := measured(variantOmx, func() { bus.Emit(events.Event{Kind: events.PeerUp, Node: 7, Model: 1, A: 1, B: 2}) })
	return append(all, l), errors.Join(err, bus.Close(context.Background()))
}

// reading samples as the node does, or oftener if short, and looks all the time.
func reading(ctx context.Context, short bool) (Reading, error) {
	every, lookFor := monitor.DefaultLight, 2500*time.Millisecond
	if short {
		every, lookFor = 100*time.Millisecond, 350*time.Millisecond
	}
	m, err := monitor.New(monitor.Config{LightEvery: every})
	if err != nil {
		return Reading{}, err
	}
	defer m.Close()
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- m.Run(running) }()
	var oldest time.Duration
	for began := time.Now(); time.Since(began) < lookFor && ctx.Err() == nil; time.Sleep(time.Millisecond) {
		oldest = max(oldest, time.Since(time.UnixMicro(m.Read().At)))
	}
	stop()
	r := m.Read()
	return Reading{Every: every, Oldest: oldest, Known: r.Known.String(), CPU: r.CPU, Self: r.Self,
		MemTotal: r.MemTotal, MemAvailable: r.MemAvailable, DiskFree: r.DiskFree, GPU: "not read here"}, errors.Join(<-ended, ctx.Err())
}

func find(all []measure.Series, variant string) *measure.Series {
	for i := range all {
		if all[i].Variant == variant {
			return &all[i]
		}
	}
	return &measure.Series{}
}

// dialRatio is how many times longer a request takes for which the node connects
// than one over its kept stream, by their medians.
func (e *EndToEnd) dialRatio() float64 {
	kept := find(e.Request, mesh.Kept).Summary().P50.Median
	if kept <= 0 {
		return 0
	}
	return find(e.Request, mesh.DialEach).Summary().P50.Median / kept
}

func (e *EndToEnd) check() (errs []error) {
	if r := e.dialRatio(); r < dialFloor {
		errs = append(errs, fmt.Errorf("%s: a request for which the node connects takes %s as long as one over a kept stream, the goal is %s", requestName, measure.Times(r), measure.Times(dialFloor)))
	}
	for i := range e.Peers {
		if s := &e.Peers[i]; s.Summary().Allocs.Median > maxPeerAllocs {
			errs = append(errs, fmt.Errorf("%s by %s: allocates %.2f times per operation, the goal is 0", s.Name, s.Variant, s.Summary().Allocs.Median))
		}
	}
	return errs
}

// maxPeerAllocs is what connections that come and go beside it allocate, spread
// over operations of a few nanoseconds.
const maxPeerAllocs = 0.05
