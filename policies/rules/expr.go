package rules

import (
	"errors"
	"fmt"
	"math"
	"math/big"
)

// kind of a value.
type kind uint8

const (
	isNumber kind = iota
	isBool
)

func (k kind) String() string { return [...]string{"a number", "a condition"}[k] }

// node is a checked expression. A number lies between lo and hi, which leaves
// out the least of 64 bits: negating cannot overflow.
type node struct {
	op     string
	kind   kind
	lo, hi int64
	args   []*node
	place  place
	value  int64 // of "number"; of "flags": bits that are flipped before the test
	mask   int64 // of "flags": true if any of the bits is set
	negate bool  // of "flags": true if none is
}

// compiler holds what expressions share.
type compiler struct {
	params map[string]int64
	nodes  int
	reach  int           // bytes of a row that are read
	uses   map[place]int // how often a figure is read
	random bool          // rand() is used
	locals map[place]int // of figures read more than once, or before the loop
	extra  int           // locals in use beside
	types  []byte        // of all locals
}

// functions by their number of arguments.
var functions = map[string]int{"age": 1, "min": 2, "max": 2, "if": 3, "rand": 0}

var errWide = errors.New("it can exceed 64 bits: bound a factor, for example with min(x, 1000000)")

func number(v int64) *node { return &node{op: "number", value: v, lo: v, hi: v} }

// use notes that a figure is read.
func (c *compiler) use(p place) {
	if c.uses == nil {
		c.uses = map[place]int{}
	}
	p.mask = 0
	c.uses[p]++
	if p.row {
		c.reach = max(c.reach, p.offset+p.size)
	}
}

func (c *compiler) figure(p place) *node {
	n := &node{op: "figure", place: p}
	n.lo, n.hi = p.bounds()
	return n
}

// flag is a condition of bits.
func flag(p place) *node {
	return &node{op: "flags", kind: isBool, place: place{row: p.row, offset: p.offset, size: p.size}, mask: int64(p.mask)}
}

func (c *compiler) not(a *node) *node {
	switch a.op {
	case "flags":
		n := *a
		n.negate = !n.negate
		return &n
	case "not":
		return a.args[0]
	case "number":
		return truth(a.value == 0)
	}
	return &node{op: "not", kind: isBool, args: []*node{a}}
}

func truth(v bool) *node {
	n := number(0)
	if v {
		n.value = 1
	}
	n.kind = isBool
	return n
}

// anyOf writes a condition of flags as "any of these bits, some flipped, is set",
// if it can be.
func (n *node) anyOf() (flipped, mask int64, ok bool) {
	if n.op != "flags" {
		return 0, 0, false
	}
	if !n.negate {
		return n.value, n.mask, true
	}
	// None of several bits is set: no such form. Of one bit: it is unset.
	if n.mask&(n.mask-1) == 0 {
		return n.value ^ n.mask, n.mask, true
	}
	return 0, 0, false
}

// or joins conditions; tests of flags become one.
func (c *compiler) or(a, b *node) *node {
	af, am, aok := a.anyOf()
	bf, bm, bok := b.anyOf()
	if aok && bok && a.place == b.place && am&bm == 0 {
		return &node{op: "flags", kind: isBool, place: a.place, value: af&am | bf&bm, mask: am | bm}
	}
	return &node{op: "or", kind: isBool, args: []*node{a, b}}
}

// and is what is left when none of the opposites holds.
func (c *compiler) and(a, b *node) *node {
	if a.op == "flags" && b.op == "flags" {
		if n := c.or(c.not(a), c.not(b)); n.op == "flags" {
			return c.not(n)
		}
	}
	return &node{op: "and", kind: isBool, args: []*node{a, b}}
}

// binary checks an operator and works out its range.
func (c *compiler) binary(op string, a, b *node) (*node, error) {
	if op == "and" || op == "or" {
		if a.kind != isBool || b.kind != isBool {
			return nil, fmt.Errorf("%q joins conditions, not numbers: compare them first", op)
		}
		if op == "or" {
			return c.or(a, b), nil
		}
		return c.and(a, b), nil
	}
	if a.kind != isNumber || b.kind != isNumber {
		return nil, fmt.Errorf("%q takes numbers, not conditions: use if(condition, a, b)", op)
	}
	if a.op == "number" && b.op == "number" {
		return c.fold(op, a.value, b.value)
	}
	n := &node{op: op, args: []*node{a, b}}
	switch op {
	case "==", "!=", "<", "<=", ">", ">=":
		n.kind = isBool
		return n, nil
	case "min":
		n.lo, n.hi = min(a.lo, b.lo), min(a.hi, b.hi)
		return n, nil
	case "max":
		n.lo, n.hi = max(a.lo, b.lo), max(a.hi, b.hi)
		return n, nil
	case "*":
		if b.op == "number" && b.value == 1 {
			return a, nil
		}
		if a.op == "number" && a.value == 1 {
			return b, nil
		}
	case "/", "%":
		if b.op == "number" && b.value == 0 {
			return nil, fmt.Errorf("%q by 0", op)
		}
	}
	return n, n.span(a, b)
}

// span works out between what an operator's result lies.
func (n *node) span(a, b *node) error {
	var lo, hi *big.Int
	try := func(v *big.Int) {
		if lo == nil || v.Cmp(lo) < 0 {
			lo = v
		}
		if hi == nil || v.Cmp(hi) > 0 {
			hi = v
		}
	}
	for _, x := range []int64{a.lo, a.hi} {
		for _, y := range []int64{b.lo, b.hi} {
			p, q := big.NewInt(x), big.NewInt(y)
			switch n.op {
			case "+":
				try(p.Add(p, q))
			case "-":
				try(p.Sub(p, q))
			case "*":
				try(p.Mul(p, q))
			}
		}
	}
	switch n.op {
	case "/": // by 1 or -1 at the least, and 0 by 0
		most := new(big.Int).Abs(big.NewInt(a.lo))
		if h := new(big.Int).Abs(big.NewInt(a.hi)); h.Cmp(most) > 0 {
			most = h
		}
		if lo, hi = new(big.Int), most; a.lo < 0 || b.lo < 0 {
			lo = new(big.Int).Neg(most)
		}
	case "%": // below the divisor, with the sign of what is divided
		most := max(abs(b.lo), abs(b.hi))
		if lo, hi = new(big.Int), big.NewInt(max(most, 1)-1); a.lo < 0 {
			lo = new(big.Int).Neg(hi)
		}
	}
	if !lo.IsInt64() || !hi.IsInt64() || lo.Int64() == math.MinInt64 {
		return errWide
	}
	n.lo, n.hi = lo.Int64(), hi.Int64()
	return nil
}

func abs(v int64) int64 {
	if v == math.MinInt64 {
		return math.MaxInt64
	}
	return max(v, -v)
}

// fold works out what is known already.
func (c *compiler) fold(op string, a, b int64) (*node, error) {
	switch op {
	case "==":
		return truth(a == b), nil
	case "!=":
		return truth(a != b), nil
	case "<":
		return truth(a < b), nil
	case "<=":
		return truth(a <= b), nil
	case ">":
		return truth(a > b), nil
	case ">=":
		return truth(a >= b), nil
	case "min":
		return number(min(a, b)), nil
	case "max":
		return number(max(a, b)), nil
	case "/", "%":
		if b == 0 {
			return nil, fmt.Errorf("%q by 0", op)
		}
	}
	n := &node{op: op}
	if err := n.span(number(a), number(b)); err != nil {
		return nil, err
	}
	switch op {
	case "+":
		return number(a + b), nil
	case "-":
		return number(a - b), nil
	case "*":
		return number(a * b), nil
	case "/":
		return number(a / b), nil
	}
	return number(a % b), nil
}

// choice is if(condition, a, b).
func (c *compiler) choice(when, a, b *node) (*node, error) {
	if when.kind != isBool || a.kind != isNumber || b.kind != isNumber {
		return nil, errors.New("if takes a condition and two numbers")
	}
	if when.op == "number" {
		if when.value != 0 {
			return a, nil
		}
		return b, nil
	}
	return &node{op: "if", args: []*node{when, a, b}, lo: min(a.lo, b.lo), hi: max(a.hi, b.hi)}, nil
}
