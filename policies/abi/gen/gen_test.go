package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What was made from the schema is what it would be made into now.
func TestFresh(t *testing.T) {
	root := filepath.Join("..", "..")
	fresh, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(fresh) != len(targets) {
		t.Fatalf("%d targets of %d", len(fresh), len(targets))
	}
	for name, want := range fresh {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("policies/%s is not what omx1.schema says: run go generate ./policies/abi", name)
		}
	}
}

// A field that is put in between shows in every target.
func TestEveryTargetFollows(t *testing.T) {
	root := t.TempDir()
	for _, name := range append([]string{"abi/omx1.schema"}, targets...) {
		b, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "abi/omx1.schema" {
			b = bytes.Replace(b, []byte("u32 reserved | 0"), []byte("u32 freshlyAdded | a figure"), 1)
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(root); err != nil {
		t.Fatal(err)
	}
	for _, name := range targets {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.ToLower(strings.ReplaceAll(string(b), "_", "")), "freshlyadded") {
			t.Errorf("%s does not have the new field", name)
		}
	}
}

func TestParse(t *testing.T) {
	const good = "version 1 2\nenum kind | k\n1 admit | in\nflags row | of a node\nself | this\nloaded | it is\nstruct a | An a\npart one | first\nu64 x | an x\nu32 y | a y\nu16 z | a z\nu16 w | a w\n"
	s, err := parse(strings.NewReader("# comment\n\n" + good))
	if err != nil {
		t.Fatal(err)
	}
	a := s.find("a")
	switch {
	case s.major != 1 || s.minor != 2:
		t.Errorf("version %d.%d", s.major, s.minor)
	case a.size != 16 || a.fields[3].offset != 14 || a.fields[3].text != "a w" || a.fields[0].part != "one":
		t.Errorf("struct %+v", a)
	case s.names[1].values[1].number != 2 || !s.names[1].flags || s.names[0].values[0].number != 1:
		t.Errorf("names %+v", s.names)
	}
	for _, c := range []struct{ name, text, want string }{
		{"gap", "struct a | A\nu16 x | x\nu32 y | y\n", "line 3: y would lie at 2"},
		{"uneven end", "struct a | A\nu64 x | x\nu32 y | y\n", "ends at 12"},
		{"unknown type", "struct a | A\nf32 x | x\n", "line 2: f32 x: want a type and a name"},
		{"no name", "struct a | A\nu32 | x\n", "want a type and a name"},
		{"field of nothing", "u32 x | x\n", "line 1: a field of nothing"},
		{"part of nothing", "part one | p\n", "does not begin"},
		{"part too early", "struct a | A\nu32 x | x\npart two | p\n", "line 3: part two does not begin"},
		{"number", "enum a | a\nx y | z\n", "line 2"},
		{"number too large", "enum a | a\n65536 y | z\n", "out of range"},
		{"version", "version one\n", "line 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := parse(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestFill(t *testing.T) {
	parts := map[string]func(*schema) string{"x": func(*schema) string { return "new\n" }}
	got, err := fill([]byte("a\n// generated: begin x\nold\n// generated: end\nb\n"), nil, parts)
	if err != nil || string(got) != "a\n// generated: begin x\nnew\n// generated: end\nb\n" {
		t.Errorf("%q, %v", got, err)
	}
	for name, text := range map[string]string{
		"none":    "a\n",
		"no end":  "generated: begin x\n",
		"unknown": "generated: begin y\ngenerated: end\n",
		"nested":  "generated: begin x\ngenerated: begin x\ngenerated: end\n",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := fill([]byte(text), nil, parts); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{"maxOut": "max_out", "clientRTT": "client_rtt", "rttAt": "rtt_at", "demand10m": "demand10m", "onDisk": "on_disk"} {
		if got := snake(name); got != want {
			t.Errorf("snake(%s) = %s, want %s", name, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	b, err := os.ReadFile(filepath.Join("..", "omx1.schema"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(b))
	f.Add("struct a | A\npart x | y\nu64 z | z\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parse(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, a := range s.structs {
			end := 0
			for _, f := range a.fields {
				if f.offset != end {
					t.Fatalf("%s.%s lies at %d behind %d", a.name, f.name, f.offset, end)
				}
				end += f.size
			}
		}
	})
}
