package text

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestBuffer(t *testing.T) {
	tests := []struct {
		name   string
		stops  []string
		pieces []string
		want   string // pieces of output joined by |, "!" after a stop
	}{
		{"plain", nil, []string{"a", "b"}, "a|b"},
		{"stop in one piece", []string{"END"}, []string{"xENDy"}, "x!"},
		{"stop across pieces", []string{"END"}, []string{"xE", "N", "Dy"}, "x||!"},
		{"false start is let go", []string{"END"}, []string{"E", "N", "X"}, "||ENX"},
		{"start within a false start", []string{"aab"}, []string{"aa", "a", "b"}, "|a|!"},
		{"first complete wins", []string{"abcd", "bc"}, []string{"abcd"}, "a!"},
		{"longest of those that end together", []string{"b", "ab"}, []string{"xab"}, "x!"},
		{"empty stop is none", []string{""}, []string{"a"}, "a"},
		{"rune across pieces", nil, []string{"\xe2\x82", "\xac"}, "|€"},
		{"held at the end", []string{"END"}, []string{"xEN"}, "x|EN"},
		{"half a rune at the end", nil, []string{"x\xe2\x82"}, "x|\ufffd\ufffd"},
		{"bad byte", nil, []string{"a\xffb"}, "a\ufffdb"},
		{"rune before a possible stop", []string{"€!"}, []string{"\xe2", "\x82\xac", "?"}, "||€?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := New(tt.stops)
			var got []string
			stopped := false
			for _, p := range tt.pieces {
				var out string
				out, stopped = x.Add([]byte(p))
				got = append(got, out)
			}
			s := strings.Join(got, "|")
			if stopped {
				s += "!"
			} else if rest := x.Flush(); rest != "" {
				s += "|" + rest
			}
			if s != tt.want {
				t.Errorf("got %q, want %q", s, tt.want)
			}
		})
	}
}

// However an answer is split into tokens, the text is the same, as if it had
// come at once.
func FuzzBuffer(f *testing.F) {
	f.Add([]byte("hello END more"), "END", "", uint64(0x5555))
	f.Add([]byte("a\xe2\x82\xacb\xff"), "ab", "\xac", uint64(0xffff))
	f.Fuzz(func(t *testing.T, data []byte, stop1, stop2 string, cuts uint64) {
		stops := []string{stop1, stop2}
		whole, wantStop := New(stops), false
		want, wantStop := whole.Add(data)
		if !wantStop {
			want += whole.Flush()
		}
		x, got, stopped := New(stops), "", false
		for start := 0; start < len(data) && !stopped; {
			end := start + 1
			for end < len(data) && cuts>>(end%64)&1 == 0 {
				end++
			}
			var out string
			out, stopped = x.Add(data[start:end])
			if !utf8.ValidString(out) {
				t.Fatalf("%q is not UTF-8", out)
			}
			got += out
			start = end
		}
		if !stopped {
			got += x.Flush()
		}
		if got != want || stopped != wantStop {
			t.Errorf("in pieces %q %v, at once %q %v", got, stopped, want, wantStop)
		}
	})
}
