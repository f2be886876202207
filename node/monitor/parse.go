package monitor

import (
	"bytes"
	"math"
)

// The parsers take a file's text, or its beginning, and say whether the figure
// was found whole. They allocate nothing. Formats: proc(5), cgroups(7) and the
// kernel's Documentation/admin-guide/cgroup-v2.rst.

// number reads a decimal number at the start of b, after blanks, and returns
// the rest.
func number(b []byte) (v uint64, rest []byte, ok bool) {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	i := 0
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		d := uint64(b[i] - '0')
		if v > (math.MaxUint64-d)/10 {
			return 0, b, false
		}
		v = v*10 + d
	}
	return v, b[i:], i > 0
}

// parseUptime returns the hundredths of a second that all processors together
// have been idle: the second number of /proc/uptime, "12.34 56.78".
func parseUptime(b []byte) (idle uint64, ok bool) {
	_, b, ok = bytes.Cut(b, space)
	if !ok {
		return 0, false
	}
	whole, b, ok := number(b)
	if !ok || len(b) < 3 || b[0] != '.' || whole > math.MaxUint64/100-1 {
		return 0, false
	}
	hundredths, _, ok := number(b[1:3])
	if !ok || b[2] < '0' || b[2] > '9' {
		return 0, false
	}
	return whole*100 + hundredths, true
}

// parseStatm returns the resident pages: the second number of /proc/self/statm.
func parseStatm(b []byte) (pages uint64, ok bool) {
	_, b, ok = number(b)
	if !ok {
		return 0, false
	}
	pages, rest, ok := number(b)
	return pages, ok && len(rest) > 0 // at the end it may have been cut short
}

// parseCPUList counts the processors of a list such as "0-3,8,10-11".
func parseCPUList(b []byte) (n uint64, ok bool) {
	for {
		first, rest, ok := number(b)
		if !ok {
			return 0, false
		}
		last := first
		if len(rest) > 0 && rest[0] == '-' {
			if last, rest, ok = number(rest[1:]); !ok || last < first {
				return 0, false
			}
		}
		if last >= maxCPUs {
			return 0, false
		}
		if n += last - first + 1; n > maxCPUs {
			return 0, false
		}
		if len(rest) == 0 || rest[0] != ',' {
			return n, true
		}
		b = rest[1:]
	}
}

// parseField returns the number that follows key at the start of a line, as in
// "MemTotal:  123 kB" or "inactive_file 123".
func parseField(b, key []byte) (v uint64, ok bool) {
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, newline)
		if value, found := bytes.CutPrefix(line, key); found && whole {
			v, _, ok = number(value)
			return v, ok
		}
		b = rest
	}
	return 0, false
}

// parseLimit reads a control group's limit or usage; "max" is none.
func parseLimit(b []byte) (v uint64, ok bool) {
	if bytes.HasPrefix(b, maxWord) {
		return math.MaxUint64, true
	}
	v, _, ok = number(b)
	return v, ok
}

var (
	space     = []byte(" ")
	newline   = []byte("\n")
	maxWord   = []byte("max")
	keyTotal  = []byte("MemTotal:")
	keyAvail  = []byte("MemAvailable:")
	keyFileV1 = []byte("total_inactive_file ")
	keyFileV2 = []byte("inactive_file ")
)
