package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"omx/policies/abi"
)

// file is a journal of one file with a block of ten decisions, one of ten events,
// and one of ten decisions.
func file(t testing.TB) (path string, blocks []int) {
	dir := t.TempDir()
	write(t, dir, Config{}, func(w *Writer) {
		f := newFleet(1, abi.Route, 8, 64)
		for b := range 3 {
			for n := range 10 {
				if b == 1 {
					w.Event(abi.Route, &abi.Event{Kind: uint16(abi.EventDone), Now: uint64(n)})
				} else {
					w.Decision(f.taken([32]byte{1}))
				}
			}
			w.Flush()
			waitIdle(w)
		}
	})
	path = filepath.Join(dir, fileName(1))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := fileHead; at < len(b); at += blockHead + int(binary.LittleEndian.Uint32(b[at+4:])) {
		blocks = append(blocks, at)
	}
	if len(blocks) != 3 {
		t.Fatalf("%d blocks", len(blocks))
	}
	return path, blocks
}

// What is damaged is passed over and told; the rest is read.
func TestDamage(t *testing.T) {
	path, blocks := file(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[at] ^= 1; return b }
	}
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }
	for _, c := range []struct {
		name      string
		change    func([]byte) []byte
		decisions int
		events    int
		damage    string // "" none
	}{
		{"whole", cut(len(whole)), 20, 10, ""},
		{"ends with a block", cut(blocks[2]), 10, 10, ""},
		{"ends in a record", cut(len(whole) - 1), 10, 10, "ends within a block"},
		{"ends in the head of a block", cut(blocks[2] + 7), 10, 10, "ends within a block"},
		{"ends in the first block", cut(blocks[1] - 1), 0, 0, "ends within a block"},
		{"a bit in the first block", flip(blocks[0] + 50), 10, 10, "checksum of a block"},
		{"a bit in the second block", flip(blocks[1] + blockHead), 20, 0, "checksum of a block"},
		{"a bit in the count of lost records", flip(blocks[1] + 12), 20, 0, "checksum of a block"},
		{"a bit in the magic of a block", flip(blocks[1]), 10, 0, "what should be a block"},
		{"a long block", flip(blocks[1] + 7), 10, 0, "what should be a block"},
		{"a bit in the head", flip(9), 0, 0, "checksum of its head"},
		{"a bit in the magic", flip(0), 0, 0, "does not begin"},
		{"a short head", cut(20), 0, 0, "ends within its head"},
		{"empty", cut(0), 0, 0, "ends within its head"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.log")
			if err := os.WriteFile(path, c.change(bytes.Clone(whole)), 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := Read(path)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			decisions, events, gaps := 0, 0, 0
			for {
				var rec *Record
				if rec, err = r.Next(); err != nil {
					break
				}
				switch rec.Type {
				case TypeDecision:
					decisions++
				case TypeEvent:
					events++
				case TypeGap:
					gaps++
				}
			}
			if decisions != c.decisions || events != c.events {
				t.Errorf("%d decisions and %d events, want %d and %d", decisions, events, c.decisions, c.events)
			}
			if c.damage == "" {
				if err != io.EOF || r.Damaged() != nil || gaps != 0 {
					t.Errorf("%v, damage %v, %d gaps", err, r.Damaged(), gaps)
				}
				return
			}
			if !errors.Is(r.Damaged(), ErrDamaged) || !strings.Contains(r.Damaged().Error(), c.damage) || gaps != 1 {
				t.Errorf("damage %v, %d gaps, want %q", r.Damaged(), gaps, c.damage)
			}
			if lost := decisions+events == 0; lost == (err == io.EOF) {
				t.Errorf("ends with %v", err)
			}
		})
	}
}

func TestReadNothing(t *testing.T) {
	if _, err := Read(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such file: %v", err)
	}
	if _, err := Read(t.TempDir()); !errors.Is(err, ErrEmpty) {
		t.Errorf("empty folder: %v", err)
	}
}

// Whatever a block holds, it is read within bounds; and what is a decision has a
// view that can be read.
func FuzzReader(f *testing.F) {
	path, blocks := file(f)
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole[blocks[0]+blockHead : blocks[1]])
	f.Add(whole[blocks[1]+blockHead : blocks[2]])
	dir := f.TempDir()
	write(f, dir, Config{}, func(w *Writer) {
		for i, k := range []abi.Kind{abi.Admit, abi.Replicate, abi.Route} {
			fl := newFleet(9, k, 1+2*i, 64*(i+1))
			for range 3 {
				fl.ext += "x"
				w.Decision(fl.taken([32]byte{byte(i)}))
			}
			w.Fresh(k, [32]byte{9}, []byte("a=b\n"), 3)
			w.Outcome(Outcome{ID: 1 << 60})
		}
	})
	for _, k := range abi.Kinds { // small ones, which are quicker to change
		var e encoder
		e.restart(make([]byte, 0, 4096)[:blockHead])
		fl := newFleet(9, k, 1, 64)
		for range 2 {
			d := fl.taken([32]byte{1})
			p, _ := split(d.View)
			e.decision(d, p)
		}
		f.Add(e.b[blockHead:])
	}
	mixed, err := os.ReadFile(filepath.Join(dir, fileName(1)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(mixed[fileHead+blockHead:])
	f.Fuzz(func(t *testing.T, records []byte) {
		var d decoder
		var r Record
		d.restart(records)
		for len(d.b) > 0 {
			before := len(d.b)
			if err := d.read(&r); err != nil {
				return
			}
			if len(d.b) >= before {
				t.Fatal("a record of no bytes")
			}
			if r.Type != TypeDecision {
				continue
			}
			v, err := abi.Open(r.Decision.View)
			if err != nil {
				t.Fatalf("a decision without a view: %v", err)
			}
			if n := r.Decision.Scores; n != nil && len(n) != int(v.Count) {
				t.Fatalf("%d scores of %d rows", len(n), v.Count)
			}
			if abi.Kind(v.Kind) != r.Kind || len(r.Decision.View) != int(v.Length) {
				t.Fatalf("a view of kind %d, %d bytes, for a decision of kind %d, %d bytes", v.Kind, v.Length, r.Kind, len(r.Decision.View))
			}
		}
	})
}
