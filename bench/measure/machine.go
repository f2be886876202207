package measure

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Machine describes where something was measured. What is not known is "".
type Machine struct {
	CPU    string    `json:"cpu"`
	Cores  int       `json:"cores"` // processors this process may use
	OS     string    `json:"os"`
	Arch   string    `json:"arch"`
	Kernel string    `json:"kernel"`
	Go     string    `json:"go"`
	Load   string    `json:"load_average"` // 1, 5 and 15 minutes, at the start
	At     time.Time `json:"at"`
}

// Here describes this machine.
func Here() Machine {
	return Machine{
		CPU:    cpuModel(),
		Cores:  runtime.NumCPU(),
		OS:     runtime.GOOS,
		Arch:   runtime.GOARCH,
		Kernel: firstLine("/proc/sys/kernel/osrelease"),
		Go:     runtime.Version(),
		Load:   loadAverage(firstLine("/proc/loadavg")),
		At:     time.Now().UTC().Truncate(time.Second),
	}
}

// Busy reports whether other work had more than half of the processors in the
// minute before: then what runs on several of them is measured too slow, and
// ratios of such work to what runs on one mean little.
func (m Machine) Busy() bool {
	first, _, _ := strings.Cut(m.Load, " ")
	load, err := strconv.ParseFloat(first, 64)
	return err == nil && load > float64(m.Cores)/2
}

func (m Machine) String() string {
	parts := []string{fmt.Sprintf("%d cores", m.Cores), m.OS + "/" + m.Arch, m.Go}
	if m.CPU != "" {
		parts = append([]string{m.CPU}, parts...)
	}
	if m.Kernel != "" {
		parts = append(parts, "kernel "+m.Kernel)
	}
	if m.Load != "" {
		parts = append(parts, "load "+m.Load)
	}
	return strings.Join(parts, ", ")
}

// maxInfo bounds what is read of /proc/cpuinfo: the first processor is enough.
const maxInfo = 16 << 10

func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	buf := make([]byte, maxInfo)
	n, _ := f.Read(buf) // a short or failed read only loses the name
	for line := range bytes.Lines(buf[:n]) {
		if key, value, ok := bytes.Cut(line, []byte(":")); ok && string(bytes.TrimSpace(key)) == "model name" {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}

func firstLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

// loadAverage takes the first three words.
func loadAverage(line string) string {
	words := strings.Fields(line)
	if len(words) < 3 {
		return ""
	}
	return strings.Join(words[:3], " ")
}
