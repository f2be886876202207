package main

import (
	"slices"
	"strings"
	"testing"

	"omx/policies"
	"omx/policies/abi"
)

// What is read of a module is what is in it; and of any part of it, without harm.
func TestReadShape(t *testing.T) {
	p := policies.List()[0]
	code, ok := policies.Builtin(p.Name)
	if !ok {
		t.Fatalf("no module of %s", p.Name)
	}
	s, err := readShape(code)
	if err != nil || s.Broken != "" {
		t.Fatal(err, s.Broken)
	}
	if len(s.Memories) != 1 || s.Functions == 0 {
		t.Errorf("%+v", s)
	}
	for _, want := range []string{"memory memory", "omx_abi () -> (i32)", "omx_buf (i32, i32) -> (i32)", "omx_" + p.Kind.String() + " (i32, i32) -> (i64)"} {
		if !slices.Contains(s.Exports, want) {
			t.Errorf("exports %q lack %q", s.Exports, want)
		}
	}
	broken := 0
	for n := 8; n < len(code); n++ {
		if s, err := readShape(code[:n]); err != nil {
			t.Fatal(err)
		} else if s.Broken != "" {
			broken++
		}
	}
	if broken < len(code)/2 {
		t.Errorf("%d of %d parts are found to be cut off", broken, len(code))
	}
}

func TestReadShapeOddities(t *testing.T) {
	const core = "\x00asm\x01\x00\x00\x00"
	for _, c := range []struct{ name, code, want string }{
		{"a component", "\x00asm\x0d\x00\x01\x00", "binary version"},
		{"a section cut off", core + "\x01\x05", "cut off"},
		{"a count too large", core + "\x05\x05\xff\xff\xff\xff\x0f", "cut off"},
		{"a number too large", core + "\x05\x06\xff\xff\xff\xff\xff\x01", "too large"},
		{"an unknown import", core + "\x02\x06\x01\x01a\x01b\x09", "unknown kind"},
		{"an unknown type", core + "\x01\x02\x01\x50", "form 0x50"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := readShape([]byte(c.code))
			if err != nil || !strings.Contains(s.Broken, c.want) {
				t.Errorf("%v, broken %q, want %q", err, s.Broken, c.want)
			}
		})
	}
	for _, code := range []string{"", "\x00asm", "(module)", "MZ\x00\x00\x00\x00\x00\x00"} {
		if _, err := readShape([]byte(code)); err == nil {
			t.Errorf("%q is read", code)
		}
	}
	s, err := readShape([]byte(core + "\x00\x04\x03\x1b[m"))
	if err != nil || s.Sections[0].Name != "custom ?[m" {
		t.Errorf("a name with control characters: %v, %+v", err, s.Sections)
	}
}

func FuzzReadShape(f *testing.F) {
	for _, p := range policies.List() {
		code, _ := policies.Builtin(p.Name)
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		s, err := readShape(code)
		if err != nil {
			return
		}
		if len(s.Sections) > maxListed || len(s.Imports) > maxListed || len(s.Exports)+len(s.Memories)+len(s.Tables) > 3*maxListed {
			t.Fatal("lists are not bounded")
		}
		in := inspection{Shape: s}
		if len(in.text()) == 0 {
			t.Fatal("nothing is told")
		}
	})
}

func TestBenchRows(t *testing.T) {
	if got := benchRows(abi.Route, 64); !slices.Equal(got, []int{1, 8, 64}) {
		t.Errorf("%d", got)
	}
	if got := benchRows(abi.Replicate, abi.MaxRows); !slices.Equal(got, []int{1, 8, 64, 512}) {
		t.Errorf("%d", got)
	}
	if got := benchRows(abi.Admit, 64); !slices.Equal(got, []int{1}) {
		t.Errorf("%d", got)
	}
}
