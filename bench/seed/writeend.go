package seed

import (
	"fmt"
	"strings"
	"time"

	"omx/bench/measure"
	"omx/node/monitor"
)

// factTable is what the designs get right and wrong, section by section.
func factTable(all []Fact) *measure.Table {
	t := &measure.Table{Head: []string{"what goes wrong", "naive", "report", "omx", "goal"}}
	figure := func(v float64) string {
		if v < 100 {
			return strings.TrimSuffix(fmt.Sprintf("%.2f", v), ".00")
		}
		return measure.Count(v)
	}
	for _, f := range all {
		most := figure(f.Most)
		if f.Most > 0 {
			most = "≤ " + most
		}
		t.Rows = append(t.Rows, []string{f.Title, figure(f.Naive), figure(f.Report), figure(f.Omx), most})
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
		{"how old, at most", fmt.Sprintf("%v, sampled each %v", r.Oldest.Round(time.Millisecond), r.Every)},
		{"disk and totals", fmt.Sprintf("sampled each %v", monitor.DefaultFull)},
		{"known here", strings.ReplaceAll(r.Known, ",", " ")},
		{"processor time in use", fmt.Sprintf("%.1f %%, by this program %.1f %% of one", r.CPU, r.Self)},
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
		{"A request to a peer", fmt.Sprintf("1 KiB there and 1 KiB back between two hosts in this process, the wait before an answer can begin. To connect for each, as the naive design does, takes %s as long as the kept stream of omx by the medians; the goal is %s. A new stream for each on a kept connection is the report's design.",
			measure.Times(e.dialRatio()), measure.Count(dialFloor)+"x"), request},
		{"A resource reading", "a decision is made on the machine's own figures, a control group's where one sets limits, and is told how old they are.", resource},
		{"Peers", "whoever asks how many peers there are, or for one, neither waits nor is told wrong while peers come and go: here one stays, and another connects for 20 ms and is gone for 20 ms.", peers},
	}
}

func mib(bytes uint64) string { return measure.Count(float64(bytes>>20)) + " MiB" }

// notMeasured is what no figure here says.
const notMeasured = `Not measured: peers over a real network, other processors than this machine's (ARM among them), ` +
	`more of them than it has, and power.`
