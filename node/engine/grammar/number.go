package grammar

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// mostDigits is how many digits of a number float64 keeps: any two that differ in
// so many differ for a client, too.
const mostDigits = 15

var (
	limits = []string{"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}

	leastInteger, mostInteger = new(big.Int).Lsh(big.NewInt(-1), 63), new(big.Int).SetUint64(1<<63 - 1)

	one, ten, mostUnits = big.NewInt(1), big.NewInt(10), big.NewInt(maxUnits)
)

// number is the grammar of numbers, or of integers, within the schema's limits.
// Libraries write limits beside every integer, if only those of their language's
// numbers. With limits a number has no exponent, lies between the integers of 64
// bits and has a bounded count of digits after the point; counted in units of the
// last of them, it is an integer, too.
func (w *writer) number(name string, o *object) (string, error) {
	places, step, limited, err := decimals(name, o)
	if err != nil || !limited {
		return name, err
	}
	unit := power(places)
	least, most := new(big.Int).Mul(leastInteger, unit), new(big.Int).Mul(mostInteger, unit)
	for _, key := range limits {
		v, ok, err := figure(o, key)
		switch {
		case err != nil:
			return "", err
		case !ok:
			continue
		}
		n, rest := new(big.Int).DivMod(new(big.Int).Mul(v.Num(), unit), v.Denom(), new(big.Int)) // rounded down
		up := rest.Sign() > 0
		switch key {
		case "minimum", "exclusiveMinimum":
			if up || key == "exclusiveMinimum" {
				n.Add(n, one)
			}
			if n.Cmp(least) > 0 {
				least = n
			}
		default:
			if !up && key == "exclusiveMaximum" {
				n.Sub(n, one)
			}
			if n.Cmp(most) < 0 {
				most = n
			}
		}
	}
	if least.Cmp(most) > 0 && places == 0 {
		return "", errors.New("no integer is between minimum and maximum, and within 64 bits")
	} else if least.Cmp(most) > 0 {
		return "", fmt.Errorf("no number is between minimum and maximum that has %d digits after the point and lies within 64 bits before it", places)
	}
	if first := new(big.Int).Mul(ceil(least, step), step); first.Cmp(most) > 0 {
		return "", errors.New("no multiple of multipleOf is between minimum and maximum, and within 64 bits")
	}
	var parts []string
	if least.Sign() < 0 {
		near := one
		if most.Sign() < 0 {
			near = new(big.Int).Neg(most)
		}
		parts = append(parts, `"-" (`+between(near, new(big.Int).Neg(least), places)+`)`)
	}
	if most.Sign() >= 0 {
		if least.Sign() < 0 {
			least = new(big.Int)
		}
		parts = append(parts, between(least, most, places))
	}
	body := strings.Join(parts, " | ")
	return w.once(fmt.Sprintf("number %v %s", step, body), func() (string, error) {
		if step.Cmp(one) > 0 {
			return w.multiple(body, step.Uint64(), places)
		}
		return w.rule(body)
	})
}

// ceil is a/b, rounded up.
func ceil(a, b *big.Int) *big.Int {
	n := new(big.Int).Neg(a)
	return n.Neg(n.Div(n, b))
}

// decimals is how many digits may stand after the point, of how many units of the last
// of them the numbers are multiples, and whether the schema limits them at all. Beside a
// limit that is itself excluded there are fewer digits: a client must not read a number
// that is near it as the limit.
func decimals(name string, o *object) (places int, step *big.Int, limited bool, err error) {
	if name == "number" {
		places = mostDigits
	}
	of, stepped, err := figure(o, "multipleOf")
	switch {
	case err != nil:
		return 0, nil, false, err
	case stepped && of.Sign() <= 0:
		return 0, nil, false, errors.New("multipleOf must be more than 0")
	case stepped && name == "number":
		limited = true
		for places = 0; !inUnits(of, places).IsInt(); places++ {
			if places == mostDigits {
				return 0, nil, false, fmt.Errorf("multipleOf has more than %d digits after the point; round it", mostDigits)
			}
		}
	}
	for _, key := range limits {
		v, ok, err := figure(o, key)
		if err != nil {
			return 0, nil, false, err
		}
		limited = limited || ok
		if whole := new(big.Int); ok && strings.HasPrefix(key, "exclusive") {
			if whole.Quo(v.Num(), v.Denom()); whole.CmpAbs(leastInteger) <= 0 {
				places = min(places, max(mostDigits-len(whole.Abs(whole).String()), 0))
			}
		}
	}
	step = one
	if stepped { // a whole number is a multiple of p/q in lowest terms if it is one of p
		step = inUnits(of, places).Num()
	}
	if step.Cmp(mostUnits) > 0 {
		return 0, nil, false, fmt.Errorf("multipleOf is more than %v units of its last place; give a smaller one, or leave it out", mostUnits)
	}
	return places, step, limited || step.Cmp(one) > 0, nil
}

// inUnits is a number counted in units of a decimal place.
func inUnits(v *big.Rat, places int) *big.Rat {
	return new(big.Rat).Mul(v, new(big.Rat).SetInt(power(places)))
}

// figure is a number of the schema, exactly.
func figure(o *object, key string) (v *big.Rat, ok bool, err error) {
	b, ok := o.values[key]
	if !ok {
		return nil, false, nil
	}
	var n *json.Number
	if len(b) == 0 || b[0] == '"' || json.Unmarshal(b, &n) != nil || n == nil {
		return nil, false, fmt.Errorf("%s must be a number", key)
	}
	_, exponent, _ := strings.Cut(strings.ToLower(n.String()), "e")
	e := 0
	if exponent != "" {
		e, err = strconv.Atoi(exponent)
	}
	if err != nil || max(e, -e) > maxExponent || len(b) > maxFigure {
		return nil, false, fmt.Errorf("%s has an exponent over %d or more than %d characters", key, maxExponent, maxFigure)
	}
	v, ok = new(big.Rat).SetString(n.String())
	return v, ok, nil
}

func power(n int) *big.Int { return new(big.Int).Exp(ten, big.NewInt(int64(n)), nil) }

// between is the grammar of the numbers from least, which is not negative, to most,
// counted in units of their last place.
func between(least, most *big.Int, places int) string {
	split := func(v *big.Int) (whole uint64, fraction string) {
		w, f := new(big.Int).QuoRem(v, power(places), new(big.Int))
		if places > 0 {
			fraction = fmt.Sprintf("%0*s", places, f)
		}
		return w.Uint64(), fraction
	}
	from, first := split(least)
	to, last := split(most)
	zeros, nines := strings.Repeat("0", places), strings.Repeat("9", places)
	if from == to {
		return literal(strconv.FormatUint(from, 10)) + fraction(first, last)
	}
	var parts []string
	if first != zeros {
		parts = append(parts, literal(strconv.FormatUint(from, 10))+fraction(first, nines))
		from++
	}
	end := ""
	if last != nines {
		end = literal(strconv.FormatUint(to, 10)) + fraction(zeros, last)
		to-- // above from, which is at least 0
	}
	if from <= to {
		parts = append(parts, wholes(from, to, fraction(zeros, nines)))
	}
	if end != "" {
		parts = append(parts, end)
	}
	return strings.Join(parts, " | ")
}

// fraction is the grammar of what comes after the integer part, if anything does:
// between two fractions of as many digits, of which zeros at the end may be left out.
func fraction(first, last string) string {
	if first == "" {
		return ""
	}
	f := ` ("." (` + digits(first, last, true) + `))`
	if zero(first) {
		f += "?"
	}
	return f
}

// wholes is the grammar of the integers from least to most, each followed by rest.
func wholes(least, most uint64, rest string) string {
	a, z := strconv.FormatUint(least, 10), strconv.FormatUint(most, 10)
	if len(a) == len(z) {
		return "(" + digits(a, z, false) + ")" + rest
	}
	parts := []string{digits(a, strings.Repeat("9", len(a)), false)}
	if n := len(z) - len(a); n > 1 {
		parts = append(parts, "[1-9] [0-9]"+times(len(a), len(z)-2))
	}
	parts = append(parts, digits("1"+strings.Repeat("0", len(z)-1), z, false))
	return "(" + strings.Join(parts, " | ") + ")" + rest
}

func zero(s string) bool { return strings.Trim(s, "0") == "" }

// digits is the grammar of the numbers from a to z, which have as many digits. In
// short form they may end where the rest would be zeros.
func digits(a, z string, short bool) string {
	n := len(a) - 1
	rest := "" // any digits
	if n > 0 && short {
		rest = " [0-9]" + times(0, n)
	} else if n > 0 {
		rest = " [0-9]" + times(n, n)
	}
	begin := func(c byte, a, z string) string { // with one digit, then from a to z
		s := fmt.Sprintf("[%c] (%s)", c, digits(a, z, short))
		if short && zero(a) {
			s += "?"
		}
		return s
	}
	lowest, highest := strings.Repeat("0", n), strings.Repeat("9", n)
	switch {
	case short && zero(z):
		return "[0]" + times(1, n+1)
	case a[1:] == lowest && z[1:] == highest:
		return fmt.Sprintf("[%c-%c]%s", a[0], z[0], rest)
	case a[0] == z[0]:
		return begin(a[0], a[1:], z[1:])
	}
	var parts []string
	first, last := a[0], z[0] // of those that any digits may follow
	if a[1:] != lowest {
		parts = append(parts, begin(first, a[1:], highest))
		first++
	}
	if z[1:] != highest {
		last--
	}
	if first <= last {
		parts = append(parts, fmt.Sprintf("[%c-%c]%s", first, last, rest))
	}
	if z[1:] != highest {
		parts = append(parts, begin(z[0], lowest, z[1:]))
	}
	return strings.Join(parts, " | ")
}
