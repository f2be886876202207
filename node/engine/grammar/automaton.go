package grammar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"regexp/syntax"
	"slices"
)

// automaton is a deterministic one; its first state is where texts begin. From each
// state an end can be reached: a model that is led by it never has nothing to say.
type automaton []state

type state struct {
	ends  bool // a text may end here
	edges []edge
}

type edge struct {
	on runes
	to int
}

// spent tells whether an automaton that is being made takes too much.
func spent(states, budget int) error {
	switch {
	case states > maxStates:
		return errStates
	case budget < 0:
		return errSteps
	}
	return nil
}

var (
	errStates = fmt.Errorf("it needs more than %d states; begin it with ^ if you can, and count less", maxStates)
	errSteps  = errors.New("the patterns and steps of this schema are too much work; make them simpler")
	errNone   = errors.New("no string meets it")
)

// subsets makes an automaton of the texts in which a pattern matches somewhere: each
// of its states is a set of the program's.
type subsets struct {
	prog    *syntax.Prog
	classes []runes  // which no instruction tells apart within
	on      [][]bool // of an instruction's set, by class
	sets    []int    // of an instruction: its index in on

	out    automaton
	known  map[string]int
	seeds  [][]uint32 // of states that are still to be gone on from
	seen   []int      // when an instruction was last seen
	round  int
	budget *int
}

// compile makes the automaton of a pattern, taking its steps from a budget.
func compile(re *syntax.Regexp, budget *int) (automaton, error) {
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return nil, err
	}
	s := &subsets{prog: prog, known: map[string]int{}, seen: make([]int, len(prog.Inst)), budget: budget}
	s.classify()
	if s.state([]uint32{uint32(prog.Start)}, syntax.EmptyBeginText) < 0 {
		return nil, errNone
	}
	for i := 0; i < len(s.out); i++ {
		if err := s.expand(i); err != nil {
			return nil, err
		}
	}
	return s.out.trim()
}

// classify parts all characters where an instruction's set begins or ends, and joins
// parts that are in the same sets.
func (s *subsets) classify() {
	var sets []runes
	index := map[string]int{}
	cuts := []rune{0}
	s.sets = make([]int, len(s.prog.Inst))
	for i, inst := range s.prog.Inst {
		if !consumes(inst.Op) {
			continue
		}
		key := runes(inst.Rune).key()
		at, ok := index[key]
		if !ok {
			at = len(sets)
			index[key], sets = at, append(sets, inst.Rune)
			for j := 0; j < len(inst.Rune); j += 2 {
				cuts = append(cuts, inst.Rune[j], inst.Rune[j+1]+1)
			}
		}
		s.sets[i] = at
	}
	slices.Sort(cuts)
	cuts = append(slices.Compact(cuts), anyRune[1]+1)
	s.on = make([][]bool, len(sets))
	classes := map[string]int{}
	for i, from := range cuts[:len(cuts)-1] {
		if from > anyRune[1] {
			break
		}
		in := make([]byte, len(sets))
		for j, set := range sets {
			if set.has(from) {
				in[j] = 1
			}
		}
		at, ok := classes[string(in)]
		if !ok {
			at = len(s.classes)
			classes[string(in)], s.classes = at, append(s.classes, nil)
			for j := range sets {
				s.on[j] = append(s.on[j], in[j] == 1)
			}
		}
		s.classes[at] = append(s.classes[at], from, cuts[i+1]-1)
	}
}

func consumes(op syntax.InstOp) bool {
	return op == syntax.InstRune || op == syntax.InstRune1 || op == syntax.InstRuneAny || op == syntax.InstRuneAnyNotNL
}

// reach is what can be reached from some instructions without a character: those that
// take one, those that wait for the end, and whether the pattern has matched.
func (s *subsets) reach(from []uint32, flags syntax.EmptyOp) (set []uint32, matched bool) {
	s.round++
	todo := slices.Clone(from)
	for len(todo) > 0 {
		pc := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if s.seen[pc] == s.round {
			continue
		}
		s.seen[pc] = s.round
		*s.budget--
		switch inst := &s.prog.Inst[pc]; inst.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			todo = append(todo, inst.Out, inst.Arg)
		case syntax.InstCapture, syntax.InstNop:
			todo = append(todo, inst.Out)
		case syntax.InstEmptyWidth:
			switch need := syntax.EmptyOp(inst.Arg); {
			case need&^flags == 0:
				todo = append(todo, inst.Out)
			case need == syntax.EmptyEndText:
				set = append(set, pc)
			}
		case syntax.InstMatch:
			matched = true
		case syntax.InstFail:
		default:
			set = append(set, pc)
		}
	}
	slices.Sort(set)
	return set, matched
}

// state is the number of the state after some instructions, -1 if nothing follows.
// What has matched matches whatever follows.
func (s *subsets) state(from []uint32, flags syntax.EmptyOp) int {
	set, matched := s.reach(from, flags)
	var key []byte
	switch {
	case matched:
		set, key = nil, []byte("matched")
	case len(set) == 0:
		return -1
	default:
		for _, pc := range set {
			key = binary.LittleEndian.AppendUint32(key, pc)
		}
	}
	at, ok := s.known[string(key)]
	if !ok || flags != 0 {
		at = len(s.out)
		if flags == 0 { // the first state is no other's equal: ^ matches there only
			s.known[string(key)] = at
		}
		ends := matched
		if !matched {
			_, ends = s.reach(set, flags|syntax.EmptyEndText)
		}
		s.out, s.seeds = append(s.out, state{ends: ends}), append(s.seeds, set)
	}
	return at
}

// expand adds the edges of a state, and the states that they lead to.
func (s *subsets) expand(at int) error {
	set := s.seeds[at]
	s.seeds[at] = nil
	if set == nil { // matched
		s.out[at].edges = []edge{{anyRune, at}}
		return nil
	}
	to := map[int]runes{}
	var next []uint32
	for class, chars := range s.classes {
		next = append(next[:0], uint32(s.prog.Start)) // a match may begin anywhere
		for _, pc := range set {
			if inst := &s.prog.Inst[pc]; consumes(inst.Op) && s.on[s.sets[pc]][class] {
				next = append(next, inst.Out)
			}
		}
		*s.budget -= len(set)
		if n := s.state(next, 0); n >= 0 {
			to[n] = append(to[n], chars...)
		}
		if err := spent(len(s.out), *s.budget); err != nil {
			return err
		}
	}
	for _, n := range slices.Sorted(maps.Keys(to)) {
		s.out[at].edges = append(s.out[at].edges, edge{normal(to[n]), n})
	}
	return nil
}

// trim drops the states from which no end can be reached, and edges for what is no
// character of a string.
func (a automaton) trim() (automaton, error) {
	back := make([][]int, len(a))
	var todo []int
	for i := range a {
		a[i].edges = slices.DeleteFunc(a[i].edges, func(e edge) bool { return len(e.on.and(surrogates.not())) == 0 })
		for _, e := range a[i].edges {
			back[e.to] = append(back[e.to], i)
		}
		if a[i].ends {
			todo = append(todo, i)
		}
	}
	live := make([]bool, len(a))
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !live[i] {
			live[i] = true
			todo = append(todo, back[i]...)
		}
	}
	if !live[0] {
		return nil, errNone
	}
	number := make([]int, len(a))
	var out automaton
	for i, ok := range live {
		if ok {
			number[i] = len(out)
			out = append(out, a[i])
		}
	}
	for i := range out {
		out[i].edges = slices.DeleteFunc(out[i].edges, func(e edge) bool { return !live[e.to] })
		for j := range out[i].edges {
			out[i].edges[j].to = number[out[i].edges[j].to]
		}
	}
	return out, nil
}

// and is the automaton of the texts of both.
func (a automaton) and(b automaton, budget *int) (automaton, error) {
	type pair [2]int
	known := map[pair]int{{}: 0}
	pairs := []pair{{}}
	var out automaton
	for i := 0; i < len(pairs); i++ {
		x, y := a[pairs[i][0]], b[pairs[i][1]]
		s := state{ends: x.ends && y.ends}
		for _, e := range x.edges {
			for _, f := range y.edges {
				*budget--
				on := e.on.and(f.on)
				if len(on) == 0 {
					continue
				}
				to := pair{e.to, f.to}
				n, ok := known[to]
				if !ok {
					n = len(pairs)
					known[to], pairs = n, append(pairs, to)
				}
				s.edges = append(s.edges, edge{on, n})
			}
		}
		out = append(out, s)
		if err := spent(len(pairs), *budget); err != nil {
			return nil, err
		}
	}
	return out.trim()
}

// not is the automaton of all other texts.
func (a automaton) not() (automaton, error) {
	rest := len(a) // where no text of a goes on
	out := make(automaton, 0, len(a)+1)
	for _, s := range a {
		var on runes
		for _, e := range s.edges {
			on = append(on, e.on...)
		}
		edges := slices.Clone(s.edges)
		if others := normal(on).not(); len(others) > 0 {
			edges = append(edges, edge{others, rest})
		}
		out = append(out, state{!s.ends, edges})
	}
	return append(out, state{true, []edge{{anyRune, rest}}}).trim()
}

// within is the automaton of those texts that have least to most characters. A
// negative most is no bound.
func (a automaton) within(least, most int, budget *int) (automaton, error) {
	if most >= 0 && a.longest() <= most {
		most = -1
	}
	if least == 0 && most < 0 {
		return a, nil
	}
	var lengths automaton // a state for each that is to be told apart
	for n := range max(least, most) + 1 {
		s := state{ends: n >= least}
		if n != most {
			s.edges = []edge{{anyRune, min(n+1, max(least, most))}}
		}
		lengths = append(lengths, s)
	}
	return a.and(lengths, budget)
}

// longest is how many characters a text may have; more than any bound if there is no end.
func (a automaton) longest() int {
	const unknown, open = -1, -2
	length := make([]int, len(a))
	for i := range length {
		length[i] = unknown
	}
	var visit func(i int) int
	visit = func(i int) int {
		switch length[i] {
		case open: // a circle
			return maxStates
		case unknown:
			length[i] = open
			most := 0
			for _, e := range a[i].edges {
				most = max(most, min(visit(e.to)+1, maxStates))
			}
			length[i] = most
		}
		return length[i]
	}
	return visit(0)
}
