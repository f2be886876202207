package main

import (
	"strings"
	"testing"
)

func TestShare(t *testing.T) {
	for text, want := range map[string]share{"1%": 0.01, "0.5": 0.5, " 0 ": 0, "100%": 1, "1e-3": 0.001} {
		var s share
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%q is %v: %v", text, s, err)
		}
	}
	for _, text := range []string{"", "%", "1.01", "-1%", "NaN", "inf", "1%%", "a"} {
		if err := new(share).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct{ line, want string }{{"abcd", "abcd"}, {"abcde", "abc…"}, {"äöüß", "äöüß"}} {
		if got := cut(c.line, 4); got != c.want {
			t.Errorf("%q cut to %q", c.line, got)
		}
	}
}

// A mesh whose members can never all see all is not begun.
func TestTooFewConnections(t *testing.T) {
	code, _, said := omx(t, "testnet", "members", "--nodes", "1000", "--conns", "31")
	if code != 2 || !strings.Contains(said, "--conns 32") || strings.Count(said, "\n") != 1 {
		t.Errorf("code %d: %s", code, said)
	}
}
