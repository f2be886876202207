package seed

import (
	"fmt"
	"strings"

	"omx/bench/measure"
)

// factTable is what the designs get right and wrong, section by section.
func factTable(all []Fact) *measure.Table {
	t := &measure.Table{Head: []string{"what goes wrong", "naive", "report", "omx", "goal"}}
	figure := func(v float64, unit string) string {
		text := measure.Count(v)
		if v < 100 {
			text = fmt.Sprintf("%.3g", v)
		}
		return strings.TrimSpace(text + " " + unit)
	}
	for _, f := range all {
		t.Rows = append(t.Rows, []string{f.Title, figure(f.Naive, f.Unit), figure(f.Report, f.Unit), figure(f.Omx, f.Unit), "≤ " + figure(f.Most, "")})
	}
	return t
}

// part is one of the four things, end to end.
type part struct {
	title, meaning string
	table          *measure.Table
}

func (e *EndToEnd) parts() []part {
	delivery := &measure.Table{Head: []string{"variant", "p50", "p99"}}
	for _, l := range e.Events {
		delivery.Rows = append(delivery.Rows, []string{l.Variant, measure.Nanos(l.P50), measure.Nanos(l.P99)})
	}
	request := &measure.Table{Head: []string{"way", "p50", "p99", "cpu", "B/op", "allocs"}}
	for i := range e.Request {
		s := e.Request[i].Summary()
		request.Rows = append(request.Rows, []string{e.Request[i].Variant, measure.Nanos(s.P50.Median), measure.Nanos(s.P99.Median),
			measure.Nanos(s.CPU.Median), measure.PerOp(s.Bytes.Median), measure.PerOp(s.Allocs.Median)})
	}
	r := e.Reading
	resource := &measure.Table{Head: []string{"what a decision reads", "value"}, Rows: [][]string{
		{"known here", strings.ReplaceAll(r.Known, ",", " ")},
		{"processor time in use", fmt.Sprintf("%.1f %%", r.CPU)},
		{"memory: may be used, free of it", mib(r.MemTotal) + ", " + mib(r.MemAvailable)},
		{"disk: free", mib(r.DiskFree)},
		{"GPU", r.GPU},
	}}
	peers := &measure.Table{Head: []string{"asked of a live mesh", "time/op", "p99", "B/op", "allocs/op"}}
	for i := range e.Peers {
		s := e.Peers[i].Summary()
		peers.Rows = append(peers.Rows, []string{e.Peers[i].Variant, measure.Nanos(s.Wall.Median), measure.Nanos(s.P99.Median), measure.PerOp(s.Bytes.Median), measure.PerOp(s.Allocs.Median)})
	}
	return []part{
		{"An event", "how long after something has happened whoever listens knows of it, with nothing else to do. A goroutine that starts for each event is there as soon as one that wakes.", delivery},
		{"A request to a peer", fmt.Sprintf("1 KiB there and 1 KiB back between two hosts in this process. To connect for each takes %s as long as the kept stream does, by the medians; the goal is %s.",
			measure.Times(e.dialRatio()), measure.Times(dialFloor)), request},
		{"A resource reading", "the figures are the machine's own, of a control group where one sets limits.", resource},
		{"Peers", "one stays connected, another connects and leaves every 20 ms.", peers},
	}
}

func mib(bytes uint64) string { return measure.Count(float64(bytes>>20)) + " MiB" }

// notMeasured is what no figure here says.
const notMeasured = `Not measured: peers over a real network, other processors than this machine's, ` +
	`more of them than it has, and power.`
