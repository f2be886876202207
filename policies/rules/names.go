package rules

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"omx/policies/abi"
)

// place is where a name is found.
type place struct {
	row    bool // in the row, else in the header
	offset int
	size   int
	signed bool
	mask   uint32 // of a flag; 0: a figure
	stamp  bool   // a moment: only age() reads it
	handle bool   // a 64-bit handle: can only be compared
}

// keywords cannot be parameters.
var keywords = map[string]bool{"and": true, "or": true, "not": true, "true": true, "false": true}

// framing fields describe the view and mean nothing to rules.
var framing = map[string]bool{"magic": true, "minor": true, "kind": true, "count": true, "stride": true, "header": true, "scores": true,
	"ext": true, "extLen": true, "length": true, "flags": true, "modelsAt": true, "models": true, "modelStride": true,
	"copiesAt": true, "copies": true, "copyStride": true, "clock": true, "now": true, "seed": true, "selfRow": true, "viewAt": false}

const (
	rowFlagsField = "flags"
	flagsSize     = 4
)

// lookup finds what a name means.
func lookup(name string) (place, bool) {
	for _, n := range abi.RowFlagNames {
		if n.Name == name {
			return place{row: true, offset: fieldOf(abi.RowFields[:], rowFlagsField).Offset, size: flagsSize, mask: uint32(n.Value)}, true
		}
	}
	for _, n := range abi.RequestFlagNames {
		if n.Name == name {
			return place{offset: fieldOf(abi.HeaderFields[:], rowFlagsField).Offset, size: flagsSize, mask: uint32(n.Value)}, true
		}
	}
	if framing[name] {
		return place{}, false
	}
	for _, in := range []struct {
		row    bool
		fields []abi.Field
	}{{true, abi.RowFields[:]}, {false, abi.HeaderFields[:]}} {
		for _, f := range in.fields {
			if f.Name == name {
				return place{row: in.row, offset: f.Offset, size: f.Size, signed: f.Signed, stamp: isStamp(name), handle: f.Size == 8}, true
			}
		}
	}
	return place{}, false
}

func isStamp(name string) bool { return len(name) > 2 && name[len(name)-2:] == "At" }

func fieldOf(fields []abi.Field, name string) abi.Field {
	for _, f := range fields {
		if f.Name == name {
			return f
		}
	}
	return abi.Field{}
}

// bounds are the least and most a figure can be.
func (p place) bounds() (lo, hi int64) {
	switch {
	case p.handle:
		return math.MinInt64, math.MaxInt64
	case p.signed:
		return math.MinInt32, math.MaxInt32
	case p.size == 2:
		return 0, math.MaxUint16
	}
	return 0, math.MaxUint32
}

// allNames are those that an expression can use.
func (c *compiler) allNames() (names []string) {
	for _, n := range abi.RowFlagNames {
		names = append(names, n.Name)
	}
	for _, n := range abi.RequestFlagNames {
		names = append(names, n.Name)
	}
	for _, f := range abi.RowFields {
		names = append(names, f.Name)
	}
	for _, f := range abi.HeaderFields {
		if !framing[f.Name] {
			names = append(names, f.Name)
		}
	}
	for n := range functions {
		names = append(names, n)
	}
	for n := range c.params {
		names = append(names, n)
	}
	return names
}

// didYouMean names the known word that is nearest to a wrong one, if any is near.
func didYouMean(wrong string, known ...string) string {
	best, least := "", 3
	for _, k := range known {
		if d := distance(wrong, k); d < least || d == least && best != "" && k < best {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// distance is how many letters one must change, add or leave out (Levenshtein).
func distance(a, b string) int {
	a, b = a[:min(len(a), 32)], b[:min(len(b), 32)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last = row[j+1]
			row[j+1] = min(cost, row[j]+1, last+1)
		}
	}
	return row[len(b)]
}

// sortedPlaces gives figures of rows, or of the header, in the order they lie in
// memory.
func sortedPlaces(uses map[place]int, rows bool) []place {
	return slices.SortedFunc(func(yield func(place) bool) {
		for p := range maps.Keys(uses) {
			if p.row == rows && !yield(p) {
				return
			}
		}
	}, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.size, b.size))
	})
}
