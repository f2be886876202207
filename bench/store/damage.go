package store

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"

	"omx/node/catalog"
)

// Damage counts what a store says of files that were changed behind its back.
type Damage struct {
	What    string `json:"what"`
	Files   int    `json:"files"`
	Whole   int    `json:"whole"`   // found what was saved
	Empty   int    `json:"empty"`   // put the files aside and began anew: they can be learned again
	Wrong   int    `json:"wrong"`   // served something else
	Refused int    `json:"refused"` // did not open
}

const damagedNodes = 20

// damage changes saved files in so many places of each kind.
func damage(places int) ([]Damage, error) {
	dir, err := os.MkdirTemp("", "omx-bench-damage-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	records, _, err := fleet(damagedNodes)
	if err != nil {
		return nil, err
	}
	from := filepath.Join(dir, "whole")
	s, err := fill(from, records)
	if err != nil {
		return nil, err
	}
	want, err := s.Nodes()
	if err := errors.Join(err, s.Close()); err != nil {
		return nil, err
	}
	saved := map[string][]byte{}
	names, err := filepath.Glob(filepath.Join(from, "*"))
	for _, n := range names {
		b, rerr := os.ReadFile(n)
		saved[filepath.Base(n)], err = b, errors.Join(err, rerr)
	}
	if err != nil {
		return nil, err
	}
	var all []Damage
	for name, data := range saved {
		for _, kind := range []struct {
			what  string
			apply func(b []byte, at int) []byte
		}{
			{"cut off", func(b []byte, at int) []byte { return b[:at] }},
			{"one bit flipped", func(b []byte, at int) []byte { b[at] ^= 1 << (at % 8); return b }},
			{"zeros at the end", func(b []byte, at int) []byte { clear(b[at:]); return b }},
		} {
			d := Damage{What: fmt.Sprintf("%s: %s", name, kind.what)}
			for i := range places {
				at := i * len(data) / places
				to := filepath.Join(dir, "damaged")
				if err := write(to, saved, name, kind.apply(bytes.Clone(data), at)); err != nil {
					return nil, err
				}
				if err := d.open(to, want); err != nil {
					return nil, err
				}
			}
			all = append(all, d)
		}
	}
	return all, nil
}

// write makes the folder with one file changed.
func write(dir string, saved map[string][]byte, name string, changed []byte) error {
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return err
	}
	for n, b := range saved {
		if n == name {
			b = changed
		}
		if err := os.WriteFile(filepath.Join(dir, n), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (d *Damage) open(dir string, want []catalog.NodeInfo) error {
	d.Files++
	s, err := catalog.OpenStore(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		d.Refused++
		return nil
	}
	got, err := s.Nodes()
	switch {
	case err != nil || len(got) > 0 && !reflect.DeepEqual(got, want):
		d.Wrong++
	case len(got) == 0:
		d.Empty++
	default:
		d.Whole++
	}
	return s.Close()
}
