package mesh

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"omx/bench/measure"
)

func (r *Result) series(variant string) *measure.Series {
	return find(r.Request, nameRequest, variant)
}

func find(all []measure.Series, name, variant string) *measure.Series {
	for i := range all {
		if all[i].Name == name && all[i].Variant == variant {
			return &all[i]
		}
	}
	return &measure.Series{}
}

// overBare is how many times bare QUIC's median a variant's is.
func (r *Result) overBare(variant string) float64 {
	bare := r.series(Bare).Summary().P50.Median
	if bare <= 0 {
		return 0
	}
	return r.series(variant).Summary().P50.Median / bare
}

// Check returns an error where a request failed, or takes too many times what it
// takes over bare QUIC in the same run. Rates are the machine's and not checked.
func (r *Result) Check() error {
	var errs []error
	miss := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, s := range slices.Concat(r.Request, r.Sockets) {
		if s.Note != "" {
			miss("%s by %s: %s", s.Name, s.Variant, s.Note)
		}
	}
	if over := r.overBare(Kept); over > mostOverBare {
		miss("a request takes %s of bare QUIC's time, the goal is %s", measure.Times(over), measure.Times(mostOverBare))
	}
	if len(errs) > 0 && r.Machine.Busy() {
		miss("the machine was busy with other work (load %s): measure again when it is quiet", r.Machine.Load)
	}
	return errors.Join(errs...)
}

func (r *Result) tables() []*measure.Table {
	requests := &measure.Table{Head: []string{"a request of 256 bytes and its answer", "p50", "p99", "requests/s", "cpu", "B/op", "allocs/op", "to bare QUIC"}}
	for _, v := range []string{DialEach, StreamEach, Bare, Fresh, Kept} {
		s := r.series(v).Summary()
		over := ""
		if v != Bare {
			over = measure.Times(r.overBare(v))
		}
		requests.Rows = append(requests.Rows, []string{v, measure.Nanos(s.P50.Median), measure.Nanos(s.P99.Median), measure.Count(measure.Rate(s.Wall.Median)),
			measure.Nanos(s.CPU.Median), measure.PerOp(s.Bytes.Median), measure.PerOp(s.Allocs.Median), over})
	}
	tokens := &measure.Table{Head: []string{"tokens", "offered/s", "tokens/s", "frame delay p50", "p90", "p99"}}
	for _, t := range r.Tokens {
		offered, name := "as many as go", fmt.Sprintf("%d streams", t.Streams)
		if t.Offered > 0 {
			offered = measure.Count(t.Offered)
		}
		if t.Streams == 1 {
			name = "1 stream"
		}
		tokens.Rows = append(tokens.Rows, []string{name, offered, measure.Count(t.Rate), measure.Nanos(float64(t.Delay.P50)), measure.Nanos(float64(t.Delay.P90)), measure.Nanos(float64(t.Delay.P99))})
	}
	return []*measure.Table{requests, tokens, r.Hop.table(), socketTable(r.Sockets)}
}

const howMade = `Two ends in one process, over real QUIC on loopback: what a network adds is not
here, and both ends share the processors; processor time and allocations are those
of both. Where as many tokens are sent as go, their delay is that of a full queue.
omx's sockets receive datagrams joined by the kernel where it is Linux; elsewhere they
are the system's.`

// WriteTable writes what a terminal shows.
func (r *Result) WriteTable(w io.Writer) error {
	return measure.WriteText(w, r.Machine, howMade, r.tables())
}

// WriteMarkdown writes tables for a document.
func (r *Result) WriteMarkdown(w io.Writer) error {
	return measure.WriteMarkdown(w, howMade, r.tables())
}
