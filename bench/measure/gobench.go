package measure

import (
	"bufio"
	"fmt"
	"io"
	"runtime"
	"strings"
)

// WriteGobench writes one line per sample as `go test -bench` does, so that
// benchstat can compare two runs, or variants: benchstat -col /variant FILE.
// suite begins the names: "Seed" gives BenchmarkSeed/….
func WriteGobench(w io.Writer, suite string, m Machine, all []Series) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "goos: %s\ngoarch: %s\npkg: omx\ncpu: %s\n", runtime.GOOS, runtime.GOARCH, m.CPU)
	for _, s := range all {
		name := fmt.Sprintf("Benchmark%s/%s/variant=%s", suite, s.Name, strings.Map(plain, s.Variant))
		if s.Procs != 1 { // go test leaves the suffix out at 1
			name += fmt.Sprintf("-%d", s.Procs)
		}
		for _, x := range s.Samples {
			fmt.Fprintf(b, "%s %d %.4g ns/op %.4g cpu-ns/op %s B/op %s allocs/op %.4g p50-ns %.4g p99-ns\n",
				name, x.Ops, x.Wall, x.CPU, floor(x.Bytes), floor(x.Allocs), x.P50, x.P99)
		}
	}
	return b.Flush()
}

// plain keeps a name in one word.
func plain(r rune) rune {
	if r == ' ' || r == ',' {
		return '_'
	}
	return r
}

func floor(v float64) string { return fmt.Sprintf("%d", int64(v)) }
