package rules

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"omx/policies/abi"
	"omx/wasm"
)

// evaluate works an expression out without compiling it: the other way to the
// same numbers.
func evaluate(n *node, h *abi.Header, r *abi.Row, index uint32) int64 {
	arg := func(i int) int64 { return evaluate(n.args[i], h, r, index) }
	truth := func(v bool) int64 {
		if v {
			return 1
		}
		return 0
	}
	read := func(p place) int64 {
		base := unsafe.Pointer(h)
		if p.row {
			base = unsafe.Pointer(r)
		}
		at := unsafe.Add(base, p.offset)
		switch {
		case p.size == 8:
			return int64(*(*uint64)(at))
		case p.size == 2:
			return int64(*(*uint16)(at))
		case p.signed:
			return int64(*(*int32)(at))
		}
		return int64(*(*uint32)(at))
	}
	switch n.op {
	case "number":
		return n.value
	case "figure":
		return read(n.place)
	case "flags":
		return truth((read(n.place)^n.value)&n.mask != 0 != n.negate)
	case "age":
		if at := read(n.place); at != 0 {
			return int64(h.Clock - uint32(at))
		}
		return math.MaxUint32
	case "rand":
		x := h.Seed + (uint64(index)+1)*0x9e3779b97f4a7c15
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		return int64((x ^ x>>31) >> 32)
	case "not":
		return truth(arg(0) == 0)
	case "and":
		return arg(0) & arg(1)
	case "or":
		return arg(0) | arg(1)
	case "if":
		if arg(0) != 0 {
			return arg(1)
		}
		return arg(2)
	case "min":
		return min(arg(0), arg(1))
	case "max":
		return max(arg(0), arg(1))
	case "==":
		return truth(arg(0) == arg(1))
	case "!=":
		return truth(arg(0) != arg(1))
	case "<":
		return truth(arg(0) < arg(1))
	case "<=":
		return truth(arg(0) <= arg(1))
	case ">":
		return truth(arg(0) > arg(1))
	case ">=":
		return truth(arg(0) >= arg(1))
	case "+":
		return arg(0) + arg(1)
	case "-":
		return arg(0) - arg(1)
	case "*":
		return arg(0) * arg(1)
	}
	if arg(1) == 0 {
		return 0
	}
	if n.op == "/" {
		return arg(0) / arg(1)
	}
	return arg(0) % arg(1)
}

// anExpression draws one; most of them compile.
func anExpression(r *rand.Rand, want kind, depth int) string {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	sub := func(k kind) string { return anExpression(r, k, depth-1) }
	if want == isBool {
		if depth == 0 {
			return pick("loaded", "draining", "suspect", "self", "fromPeer", "streamed", "true", "false")
		}
		switch r.IntN(4) {
		case 0:
			return "not (" + sub(isBool) + ")"
		case 1:
			return "(" + sub(isBool) + pick(" and ", " or ") + sub(isBool) + ")"
		}
		return "(" + sub(isNumber) + pick(" == ", " != ", " < ", " <= ", " > ", " >= ") + sub(isNumber) + ")"
	}
	if depth == 0 {
		return pick("rtt", "queued", "running", "slots", "decode", "prompt", "maxOut", "priority", "coordX", "battery", "age(loadAt)", "age(rttAt)",
			"rand()", "saturation", fmt.Sprint(r.IntN(5)), fmt.Sprint(r.Uint32()), "-"+fmt.Sprint(r.IntN(1000)))
	}
	switch r.IntN(5) {
	case 0:
		return "if(" + sub(isBool) + ", " + sub(isNumber) + ", " + sub(isNumber) + ")"
	case 1:
		return pick("min", "max") + "(" + sub(isNumber) + ", " + sub(isNumber) + ")"
	}
	return "(" + sub(isNumber) + pick(" + ", " - ", " * ", " / ", " % ") + sub(isNumber) + ")"
}

func aWord(r *rand.Rand) uint32 { return r.Uint32() >> r.IntN(33) }

// Compiled rules give the numbers that the expressions mean.
func TestOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	host, err := wasm.NewHost(t.Context(), wasm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close(t.Context())
	tried := 0
	for range 400 {
		value, when := anExpression(r, isNumber, r.IntN(4)), anExpression(r, isBool, r.IntN(3))
		text := fmt.Sprintf("kind = \"route\"\n[[drop]]\nwhen = %q\n[[score]]\nvalue = %q\n", when, value)
		p, err := Compile([]byte(text))
		if err != nil {
			if s := err.Error(); !strings.Contains(s, "64 bits") && !strings.Contains(s, "by 0") {
				t.Fatalf("%v\n%s", err, text)
			}
			continue
		}
		tried++
		i, err := host.Load(t.Context(), "oracle", p.Module, wasm.Limits{})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		c := &compiler{}
		drop, _ := c.expression(when, isBool)
		score, _ := c.expression(value, isNumber)
		stride, _ := i.Wants(abi.Route)
		shape := abi.Shape{Kind: abi.Route, Rows: 20, Stride: stride}
		b, err := i.View(abi.Route, shape.Size())
		if err != nil {
			t.Fatal(err)
		}
		h := abi.Begin(b, &shape)
		h.Prompt, h.MaxOut, h.Saturation, h.Flags, h.Clock, h.Seed, h.Priority = aWord(r), aWord(r), aWord(r), aWord(r), aWord(r), r.Uint64(), int32(aWord(r))
		want, best, pick := make([]uint32, shape.Rows), uint32(abi.Never), uint32(abi.None)
		for k := range shape.Rows {
			var w abi.Row
			w.RTT, w.RTTAt, w.Queued, w.Running, w.Slots, w.Decode, w.LoadAt, w.Flags = aWord(r), aWord(r), aWord(r), aWord(r), aWord(r), aWord(r), aWord(r), aWord(r)
			w.CoordX, w.Battery = int32(aWord(r)), aWord(r)
			abi.PutRow(b, stride, k, &w)
			want[k] = abi.Never
			if evaluate(drop, h, &w, uint32(k)) == 0 {
				want[k] = uint32(min(max(evaluate(score, h, &w, uint32(k)), 0), math.MaxUint32-1))
				if want[k] < best {
					best, pick = want[k], uint32(k)
				}
			}
		}
		a, _, err := i.Call(abi.Route, len(b), shape.Rows)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		answer := abi.Pack(abi.OK, pick)
		if pick == abi.None {
			answer = abi.Pack(abi.Abstain, 0)
		}
		got := abi.Scores(b, shape.Rows, stride)
		for k := range want {
			if got[k] != want[k] || a != answer {
				t.Fatalf("row %d scores %d, want %d; answer %#x, want %#x\n%s", k, got[k], want[k], uint64(a), uint64(answer), text)
			}
		}
		if err := i.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if tried < 200 {
		t.Errorf("only %d of 400 expressions compiled", tried)
	}
}

// FuzzCompile: whatever compiles is a policy that the host takes.
func FuzzCompile(f *testing.F) {
	f.Add("kind = \"route\"\n[[drop]]\nwhen = \"draining or not loaded\"\n[[score]]\nvalue = \"if(age(loadAt) > 5, rtt / queued, rand())\"\nweight = -3\n")
	f.Add("kind = \"admit\"\n[[rule]]\nwhen = \"fromPeer\"\nanswer = \"shed\"\nwait = 0.5\n")
	host, err := wasm.NewHost(f.Context(), wasm.Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Compile([]byte(text))
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("message of several lines: %v", err)
			}
			return
		}
		i, err := host.Load(t.Context(), p.Name, p.Module, wasm.Limits{})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
}
