package node

import (
	"errors"
	"fmt"
	"io"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"omx/node/decide"
	"omx/policies/abi"
)

// Metrics writes what is known of the policies and the mesh in the text format of
// Prometheus; it implements api.Operator.
func (n *Node) Metrics(w io.Writer) error {
	r := prometheus.NewRegistry()
	if err := errors.Join(r.Register(policyCollector{n}), r.Register(meshCollector{n}), r.Register(replicateCollector{n.replicator})); err != nil {
		return fmt.Errorf("gather metrics: %w", err)
	}
	families, err := r.Gather()
	if err != nil {
		return fmt.Errorf("gather metrics: %w", err)
	}
	e := expfmt.NewEncoder(w, expfmt.NewFormat(expfmt.TypeTextPlain))
	var errs []error
	for _, f := range families {
		errs = append(errs, e.Encode(f))
	}
	return errors.Join(errs...)
}

// policyCollector reads the figures when they are asked for: decisions only
// count.
type policyCollector struct{ n *Node }

var (
	policyLabels = []string{"kind", "role", "policy", "digest"}
	descStatus   = desc("decisions_total", "Decisions, by how they ended.", append(policyLabels, "status")...)
	descFaults   = desc("faults_total", "Decisions that the policy failed and the built-in rule took.", policyLabels...)
	descTraps    = desc("traps_total", "Times that an instance crashed or ran out of fuel.", policyLabels...)
	descDiscards = desc("discards_total", "Instances thrown away.", policyLabels...)
	descFuel     = desc("fuel", "Fuel of a decision.", policyLabels...)
	descSeconds  = desc("seconds", "Time of a decision; one in sixteen is timed.", policyLabels...)
	descMemory   = desc("memory_bytes", "Memory of the policy's instances.", policyLabels...)
	descGen      = desc("generation", "How often what decides was changed.", "kind")
	descShadow   = desc("shadow_total", "Decisions of the shadow beside the policy in charge.", "kind", "result")
	descRecords  = desc("records_total", "Decisions, outcomes and events taken for the journal.")
	descLost     = desc("records_lost_total", "Those of them that are not on disk: it was too slow, or failed.")
	descBuiltin  = desc("builtin_decisions_total", "Decisions that the built-in rule took.", "kind")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("omx_policy_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (policyCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descStatus, descFaults, descTraps, descDiscards, descFuel, descSeconds, descMemory, descGen, descShadow, descBuiltin, descRecords, descLost} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c policyCollector) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	for _, st := range c.n.policies.Status() {
		kind := st.Kind.String()
		for role, l := range map[string]*decide.Loaded{"active": &st.Active, "shadow": st.Shadow, "last_good": st.LastGood} {
			if l == nil || l.Digest == [32]byte{} {
				continue
			}
			labels := []string{kind, role, l.Name, fmt.Sprintf("%x", l.Digest)}
			for status, v := range l.Statuses {
				if v > 0 {
					counter(descStatus, v, append(labels, abi.Status(status).String())...)
				}
			}
			counter(descFaults, l.Faults, labels...)
			counter(descTraps, l.Traps, labels...)
			counter(descDiscards, l.Discards, labels...)
			ch <- histogram(descFuel, &l.Fuel, 1, labels)
			ch <- histogram(descSeconds, &l.Time, 1e-9, labels)
			ch <- prometheus.MustNewConstMetric(descMemory, prometheus.GaugeValue, float64(l.Bytes), labels...)
		}
		ch <- prometheus.MustNewConstMetric(descGen, prometheus.GaugeValue, float64(st.Generation), kind)
		counter(descShadow, st.Agreed, kind, "agreed")
		counter(descShadow, st.Differed, kind, "differed")
		counter(descBuiltin, st.Builtin, kind)
	}
	if c.n.recorder != nil {
		st := c.n.recorder.Stats()
		counter(descRecords, st.Records)
		counter(descLost, st.Lost)
	}
}

// replicateCollector counts what replication has done here.
type replicateCollector struct{ r *replicator }

var descSteps = prometheus.NewDesc("omx_replication_steps_total", "Steps of the replication policy that this node has taken, by how they went.", []string{"step", "result"}, nil)

// Describe implements prometheus.Collector.
func (replicateCollector) Describe(ch chan<- *prometheus.Desc) { ch <- descSteps }

// Collect implements prometheus.Collector.
func (c replicateCollector) Collect(ch chan<- prometheus.Metric) {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	for t, v := range c.r.taken {
		result := "failed"
		if t.well {
			result = "done"
		}
		ch <- prometheus.MustNewConstMetric(descSteps, prometheus.CounterValue, float64(v), abi.OpNames[t.op-1].Name, result)
	}
}

// histogram turns counts by magnitude into those below each power of two.
func histogram(d *prometheus.Desc, h *decide.Histogram, unit float64, labels []string) prometheus.Metric {
	buckets := map[float64]uint64{}
	total := uint64(0)
	for bits, v := range h.Buckets[:len(h.Buckets)-1] {
		total += v
		if total > 0 {
			buckets[float64(uint64(1)<<bits)*unit] = total
		}
		if total == h.Count {
			break
		}
	}
	return prometheus.MustNewConstHistogram(d, h.Count, float64(h.Sum)*unit, buckets, labels...)
}
