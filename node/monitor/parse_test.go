package monitor

import (
	"math"
	"testing"
)

func TestParseUptime(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     uint64
		ok       bool
	}{
		{"usual", "4804.30 9452.78\n", 945278, true},
		{"just booted", "0.01 0.00\n", 0, true},
		{"one number", "4804.30", 0, false},
		{"cut short", "4804.30 9452.7", 0, false},
		{"no fraction", "4804.30 9452\n", 0, false},
		{"not a number", "up down\n", 0, false},
		{"too big", "1.00 184467440737095517.00\n", 0, false},
		{"empty", "", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := parseUptime([]byte(tt.in)); got != tt.want || ok != tt.ok {
				t.Errorf("%d %v, want %d %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestParseStatm(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     uint64
		ok       bool
	}{
		{"usual", "765 441 413 5 0 123 0\n", 441, true},
		{"cut short", "765 44", 44, false},
		{"empty", "", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := parseStatm([]byte(tt.in)); ok != tt.ok || ok && got != tt.want {
				t.Errorf("%d %v, want %d %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestParseCPUList(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     uint64
		ok       bool
	}{
		{"one", "0\n", 1, true},
		{"range", "0-1\n", 2, true},
		{"holes", "0-3,8,10-11\n", 7, true},
		{"backwards", "3-1\n", 0, false},
		{"absurd", "0-4294967295\n", 0, false},
		{"too many in all", "0-65535,0-65535\n", 0, false},
		{"open end", "0-\n", 0, false},
		{"empty", "", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parseCPUList([]byte(tt.in))
			if ok != tt.ok || ok && got != tt.want {
				t.Errorf("%d %v, want %d %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestParseFieldAndLimit(t *testing.T) {
	meminfo := []byte("MemTotal:       24684092 kB\nMemFree:        24218576 kB\nMemAvailable:   24276180 kB\nBuf")
	if v, ok := parseField(meminfo, keyAvail); !ok || v != 24276180 {
		t.Errorf("MemAvailable %d %v", v, ok)
	}
	if _, ok := parseField(meminfo, []byte("Buf")); ok {
		t.Error("a line cut short was taken")
	}
	stat := []byte("inactive_anon 1\ninactive_file 77\n")
	if v, ok := parseField(stat, keyFileV2); !ok || v != 77 {
		t.Errorf("inactive_file %d %v", v, ok)
	}
	for in, want := range map[string]uint64{"max\n": math.MaxUint64, "4096\n": 4096, "9223372036854771712\n": 9223372036854771712} {
		if v, ok := parseLimit([]byte(in)); !ok || v != want {
			t.Errorf("limit %q: %d %v", in, v, ok)
		}
	}
	if _, ok := parseLimit([]byte("-1\n")); ok {
		t.Error("negative limit accepted")
	}
}

// No parser may panic, read past its input, or change its answer for what
// follows the line it needs.
func FuzzParsers(f *testing.F) {
	for _, s := range []string{
		"4804.30 9452.78\n", "765 441 413 5 0 123 0\n", "0-3,8,10-11\n",
		"MemTotal:       24684092 kB\nMemAvailable:   24276180 kB\n", "max\n", "18446744073709551616", "-", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		full := append(append([]byte(nil), b...), "\nmore 1\n"...)
		if v, ok := parseUptime(b); ok {
			if w, ok := parseUptime(full); !ok || v != w {
				t.Errorf("uptime %d, with more text %d", v, w)
			}
		}
		if v, ok := parseStatm(b); ok {
			if w, _ := parseStatm(full); v != w {
				t.Errorf("statm %d, with more text %d", v, w)
			}
		}
		if n, ok := parseCPUList(b); ok && (n == 0 || n > maxCPUs) {
			t.Errorf("%d processors", n)
		}
		if v, ok := parseField(b, keyTotal); ok {
			if w, _ := parseField(full, keyTotal); v != w {
				t.Errorf("field %d, with more text %d", v, w)
			}
		}
		parseLimit(b)
	})
}
