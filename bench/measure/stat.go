package measure

import (
	"fmt"
	"math"
	"strings"

	"github.com/montanaflynn/stats"
)

// Stat sums up one figure over the repeats.
type Stat struct {
	Median float64 `json:"median"`
	Spread float64 `json:"spread"` // half the distance from least to most, as a share of the median; 0 if that is 0
}

// Summary sums up a series.
type Summary struct {
	Wall   Stat    `json:"ns_per_op"`
	CPU    Stat    `json:"cpu_ns_per_op"`
	Bytes  Stat    `json:"bytes_per_op"`
	Allocs Stat    `json:"allocs_per_op"`
	P50    Stat    `json:"p50_ns"`
	P99    Stat    `json:"p99_ns"`
	Rate   float64 `json:"ops_per_second"` // 1e9 / median of ns_per_op
}

// Summary returns medians and spreads; all zero for an empty series.
func (s *Series) Summary() Summary {
	over := func(of func(Sample) float64) Stat {
		var d stats.Float64Data
		for _, x := range s.Samples {
			d = append(d, of(x))
		}
		return summarize(d)
	}
	sum := Summary{
		Wall:   over(func(x Sample) float64 { return x.Wall }),
		CPU:    over(func(x Sample) float64 { return x.CPU }),
		Bytes:  over(func(x Sample) float64 { return x.Bytes }),
		Allocs: over(func(x Sample) float64 { return x.Allocs }),
		P50:    over(func(x Sample) float64 { return x.P50 }),
		P99:    over(func(x Sample) float64 { return x.P99 }),
	}
	sum.Rate = Rate(sum.Wall.Median)
	return sum
}

func summarize(d stats.Float64Data) Stat {
	median, err := stats.Median(d)
	if err != nil { // no samples
		return Stat{}
	}
	least, _ := stats.Min(d) // err only without samples
	most, _ := stats.Max(d)
	s := Stat{Median: median}
	if median > 0 {
		s.Spread = (most - least) / 2 / median
	}
	return s
}

// Rate is operations a second at so many nanoseconds each; 0 for none.
func Rate(ns float64) float64 {
	if ns <= 0 {
		return 0
	}
	return 1e9 / ns
}

// Nanos formats nanoseconds with three digits and a unit.
func Nanos(ns float64) string {
	if ns < 0 {
		return "-" + Nanos(-ns)
	}
	units := []string{"ns", "µs", "ms", "s"}
	i := 0
	for i < len(units)-1 && ns >= 999.5 {
		ns /= 1000
		i++
	}
	return three(ns) + " " + units[i]
}

// Times formats a ratio as in "4.6x".
func Times(ratio float64) string { return three(ratio) + "x" }

func three(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "-"
	case v < 9.995:
		return strings.TrimSuffix(fmt.Sprintf("%.2f", v), ".00")
	case v < 99.95:
		return fmt.Sprintf("%.1f", v)
	default:
		return Count(v)
	}
}

// Count formats a number without fraction, with commas: "1,396".
func Count(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// PerOp formats bytes or allocations per operation as the testing package does,
// rounded down: what a measurement itself allocates is spread over its
// operations and is no part of them.
func PerOp(v float64) string { return Count(math.Floor(v + 1e-9)) }
