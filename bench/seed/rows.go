package seed

import (
	"omx/bench/measure"
	"omx/node/monitor"
)

// section is one benchmark of the report: what it printed, and what that means.
type section struct {
	name, title string
	printedRate float64 // "ops/sec"
	printedNs   float64 // its ns/op, which is right; its text says ms where it should say µs
	meaning     string  // for a user
	rows        []row
}

type row struct {
	name, title         string
	workers             int
	naive, report, omx  startFunc
	floor               float64 // omx is to be at least so many times as quick as report; 0: no goal
	most                float64 // nanoseconds an operation of omx is to take; shown and never checked, for machines differ
	mayAllocate, legacy bool
}

const (
	variantNaive  = "naive"
	variantReport = "report"
	variantOmx    = "omx"
)

func (r row) cases() []measure.Case {
	return []measure.Case{
		{Name: r.name, Variant: variantNaive, Workers: r.workers, Start: r.naive},
		{Name: r.name, Variant: variantReport, Workers: r.workers, Start: r.report},
		{Name: r.name, Variant: variantOmx, Workers: r.workers, Start: r.omx},
	}
}

func sections() []section {
	return []section{
		{
			name: "events", title: "Event emission",
			printedRate: 61053, printedNs: 20837,
			meaning: "a request is never held up by whoever listens to what happens; a slow listener falls behind alone, in order, " +
				"with its losses counted (its handler calls do not overlap: 1,000 of 10 ms take it 10 s).",
			rows: []row{
				{name: "events/one-emitter", title: "trivial handler, one emitter, all delivered", workers: 1, floor: 4,
					naive: older(0, naiveEmit), report: older(0, reportEmit), omx: omxEmit},
				{name: "events/all-cores", title: "trivial handler, an emitter per core, all delivered", floor: 2,
					naive: older(0, naiveEmit), report: older(0, reportEmit), omx: omxEmit},
				{name: "events/burst", title: "burst of 1,000 events, 10 ms handler: emitter held for", workers: 1, floor: 1000,
					naive: olderBurst(naiveEmit), report: olderBurst(reportEmit), omx: omxBurst},
				{name: "events/legacy", title: "legacy: as the report ran it, handler sleeps 1 ms", workers: legacyEmitters, legacy: true, floor: 1,
					naive: older(legacyHandler, naiveEmit), report: older(legacyHandler, reportEmit), omx: omxLegacy},
			},
		},
		{
			name: "pool", title: "Connection pool operations",
			printedRate: 996633, printedNs: 1337,
			meaning: "finding and holding the connection to a peer costs a request well under a microsecond, " +
				"however many peers there are; no slot is ever promised twice, and what has gone leaves no record.",
			rows: []row{
				// The report's operation asks, adds and removes, since nothing in its
				// design keeps a connection; omx keeps it, and a request takes and
				// returns it. The rows that follow compare like with like.
				{name: "pool/use/100", title: "pool op: report's own, omx get and release; 100 peers", floor: 6,
					naive: naiveAdmit(100), report: reportAdmit(100), omx: omxUse(100)},
				{name: "pool/use/1000", title: "pool op: report's own, omx get and release; 1,000 peers", floor: 50,
					naive: naiveAdmit(1000), report: reportAdmit(1000), omx: omxUse(1000)},
				{name: "pool/admit/100", title: "same work: a connection comes and goes, 100 peers", mayAllocate: true,
					naive: naiveAdmit(100), report: reportAdmit(100), omx: omxAdmit(100)},
				{name: "pool/admit/1000", title: "same work: a connection comes and goes, 1,000 peers", mayAllocate: true,
					naive: naiveAdmit(1000), report: reportAdmit(1000), omx: omxAdmit(1000)},
				{name: "pool/handle/100", title: "acquire and release by handle, 100 peers", floor: 8,
					naive: naiveUse(100), report: reportUse(100), omx: omxHandle(100)},
			},
		},
		{
			name: "monitor", title: "Resource monitoring",
			printedRate: 17676, printedNs: 75834,
			meaning: "a decision can look at the machine's load each time it is made, the load is the machine's real one, " +
				"and watching it never stops the program.",
			rows: []row{
				{name: "monitor/read", title: "read: omx the published figures, others sample", workers: 1, floor: 1000,
					naive: naiveUpdate, report: reportUpdate, omx: omxMonitor(func(m *monitor.Monitor) { m.Read() })},
				{name: "monitor/light", title: "light sample, each second", workers: 1, floor: 10,
					naive: naiveUpdate, report: reportUpdate, omx: omxMonitor((*monitor.Monitor).Light)},
				{name: "monitor/full", title: "full sample, each minute", workers: 1, floor: 2,
					naive: naiveUpdate, report: reportUpdate, omx: omxMonitor((*monitor.Monitor).Full)},
			},
		},
		{
			name: "peers", title: "Peer operations",
			printedRate: 12615662, printedNs: 106.1,
			meaning: "asking how many peers there are, or whether one is there, costs the same few nanoseconds " +
				"in a mesh of any size.",
			rows: []row{
				{name: "peers/count/0", title: "count, no peers (as the report measured)",
					naive: naiveCount(0), report: reportCount(0), omx: omxCount(0)},
				{name: "peers/count/100", title: "count, 100 peers connected", floor: 500,
					naive: naiveCount(100), report: reportCount(100), omx: omxCount(100)},
				{name: "peers/count/churn", title: "count, 100 peers of which one comes or goes each ms", floor: 500,
					naive: naiveCountChurn(100), report: reportCountChurn(100), omx: omxCountChurn(100)},
				{name: "peers/lookup/100", title: "lookup, 100 peers connected", most: 40,
					naive: naiveHas(100), report: reportHas(100), omx: omxHas(100)},
				{name: "peers/lookup/churn", title: "lookup, 100 peers of which one comes or goes each ms", most: 40,
					naive: naiveHasChurn(100), report: reportHasChurn(100), omx: omxHasChurn(100)},
			},
		},
	}
}

// about is what the figures of the report were.
const about = `The report's "ops/sec" are iteration counts of its benchmarks, not rates; the rates below are 1e9/ns-per-op. ` +
	`Its latencies are given in ms but were µs. Its monitor makes up processor, disk and network figures. ` +
	`Its peer count was taken with no peers, and its "before" figures were estimated, not measured. ` +
	`In the tables by design peers are stand-ins: what is measured is the table, not QUIC; the real thing is under end to end.`
