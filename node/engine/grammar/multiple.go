package grammar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

var errMultiples = fmt.Errorf("multipleOf: to tell its multiples takes more than %d states; set closer limits, a rounder step, or leave it out", maxStates)

// multiple writes the rules of those of some numbers that are multiples of m units of
// their last place.
func (w *writer) multiple(numbers string, m uint64, places int) (string, error) {
	a, err := w.span(numbers)
	if err == nil {
		a, err = a.multiples(m, places, &w.steps)
	}
	switch {
	case errors.Is(err, errStates):
		return "", errMultiples
	case err != nil:
		return "", fmt.Errorf("multipleOf: %w", err)
	}
	return w.states(a, "")
}

// span is the automaton of a range of numbers, of which schemas have few: mostly those
// of a language's integers.
func (w *writer) span(numbers string) (automaton, error) {
	if a, ok := w.ranges[numbers]; ok {
		return a, nil
	}
	// They are digits, signs, points and counts, which a regular expression writes alike.
	p := &parser{text: []rune("^(?:" + strings.NewReplacer(`"."`, `\.`, `"`, "", " ", "").Replace(numbers) + ")$")}
	re, err := p.choice(0)
	if err != nil {
		return nil, err
	}
	a, err := compile(re, &w.steps)
	if err != nil {
		return nil, err
	}
	if w.ranges == nil {
		w.ranges = map[string]automaton{}
	}
	w.ranges[numbers] = a.joined()
	return w.ranges[numbers], nil
}

// remainder is what is known of the beginning of a number: how many digits have come
// after the point, -1 before it, and what is left over of what they count, in units of
// the last place.
type remainder struct {
	after int
	left  uint64
}

// multiples is the automaton of those of its numbers that are multiples of m units of
// the last place; nothing in a goes in a circle. A number leads from pair to pair: a
// state of a, and a remainder.
func (a automaton) multiples(m uint64, places int, budget *int) (automaton, error) {
	weight := make([]uint64, places+1) // of a digit that so many places follow
	for i, x := 0, 1%m; i <= places; i, x = i+1, x*10%m {
		weight[i] = x
	}
	whole := a.whole()
	type pair struct {
		at int
		remainder
	}
	pairs := []pair{{0, remainder{after: -1}}}
	known := map[string]int{}
	var out automaton
	for i := 0; i < len(pairs); i++ {
		p := pairs[i]
		s := state{ends: a[p.at].ends && p.left == 0}
		for _, e := range a[p.at].edges {
			to := map[int]runes{}
			for j := 0; j < len(e.on); j += 2 {
				for c := e.on[j]; c <= e.on[j+1]; c++ {
					r := p.remainder
					switch {
					case c == '.':
						r.after = 0
					case c == '-':
					case r.after < 0:
						r.left = (10*r.left + uint64(c-'0')*weight[places]) % m
					default:
						r.after++
						r.left = (r.left + uint64(c-'0')*weight[places-r.after]) % m
					}
					*budget--
					key, ok := r.key(m, places, whole[e.to])
					if !ok {
						continue
					}
					key = binary.LittleEndian.AppendUint64(key, uint64(e.to))
					n, ok := known[string(key)]
					if !ok {
						n = len(pairs)
						known[string(key)], pairs = n, append(pairs, pair{e.to, r})
					}
					to[n] = append(to[n], c, c)
				}
			}
			for _, n := range slices.Sorted(maps.Keys(to)) {
				s.edges = append(s.edges, edge{normal(to[n]), n})
			}
		}
		out = append(out, s)
		if err := spent(len(pairs), *budget); err != nil {
			return nil, err
		}
	}
	return out.trim()
}

// key is the same for remainders that the same digits complete to a multiple, of which
// at most whole stand before the point; false says that none do. For each count of them
// it is the least number that does: so many remainders of a round step are as one.
func (r remainder) key(m uint64, places, whole int) (key []byte, ok bool) {
	key = append(key, byte(r.after))
	most := uint64(1)
	for range places - max(r.after, 0) {
		most *= 10
	}
	if r.after >= 0 {
		whole = 0
	}
	for left := r.left; ; whole, most, left = whole-1, most*10, left*10%m {
		least := (m - left) % m
		if least < most {
			ok = true
		} else {
			least = m
		}
		key = binary.LittleEndian.AppendUint64(key, least)
		if whole == 0 || most >= m { // with more digits all is as with these
			return key, ok
		}
	}
}

// joined is a range with the states made one after which the same texts go on: as many
// digits are to come in numbers of other lengths, above and below zero. Nothing in it
// goes in a circle, so they are told from the ends.
func (a automaton) joined() automaton {
	number, known := make([]int, len(a)), map[string]int{} // of a state, from 1
	var out automaton
	var visit func(i int) int
	visit = func(i int) int {
		if number[i] > 0 {
			return number[i]
		}
		to := map[int]runes{}
		for _, e := range a[i].edges {
			n := visit(e.to)
			to[n] = append(to[n], e.on...)
		}
		s, key := state{ends: a[i].ends}, fmt.Append(nil, a[i].ends)
		for _, n := range slices.Sorted(maps.Keys(to)) {
			on := normal(to[n])
			s.edges = append(s.edges, edge{on, n})
			key = append(binary.AppendUvarint(key, uint64(n)), on.key()...)
		}
		if known[string(key)] == 0 {
			out = append(out, s)
			known[string(key)] = len(out)
		}
		number[i] = known[string(key)]
		return number[i]
	}
	visit(0)
	for _, s := range out {
		for j := range s.edges {
			s.edges[j].to = len(out) - s.edges[j].to
		}
	}
	slices.Reverse(out) // the first state came last
	return out
}

// whole is how many digits before the point may still come in each state of a range, at
// most: a sign counts as one.
func (a automaton) whole() []int {
	most := make([]int, len(a))
	for i := range most {
		most[i] = -1
	}
	var visit func(i int) int
	visit = func(i int) int {
		if most[i] < 0 {
			most[i] = 0
			for _, e := range a[i].edges {
				if e.on[0] != '.' {
					most[i] = max(most[i], visit(e.to)+1)
				}
			}
		}
		return most[i]
	}
	visit(0)
	return most
}
