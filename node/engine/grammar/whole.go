package grammar

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// mostInteger is the largest integer that the rule integer allows, too: more
// digits no client's number holds exactly.
const mostInteger = 9999999999999999

var limits = []string{"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}

func limited(o *object) bool {
	return slices.ContainsFunc(limits, func(key string) bool { _, ok := o.values[key]; return ok })
}

// integer is the grammar of integers within the schema's limits. Libraries write
// limits beside every integer, if only those of their language's numbers.
func (w *writer) integer(o *object) (string, error) {
	if !limited(o) {
		return "integer", nil
	}
	least, most := int64(-mostInteger), int64(mostInteger)
	for _, key := range limits {
		b, ok := o.values[key]
		if !ok {
			continue
		}
		var v float64
		if json.Unmarshal(b, &v) != nil || string(b) == "null" {
			return "", fmt.Errorf("%s must be a number", key)
		}
		switch key {
		case "minimum":
			least = max(least, whole(math.Ceil(v)))
		case "exclusiveMinimum":
			least = max(least, whole(math.Floor(v))+1)
		case "maximum":
			most = min(most, whole(math.Floor(v)))
		case "exclusiveMaximum":
			most = min(most, whole(math.Ceil(v))-1)
		}
	}
	if least > most {
		return "", errors.New("no integer is between minimum and maximum")
	}
	var parts []string
	if least < 0 {
		parts = append(parts, `"-" (`+between(max(1, -most), -least)+`)`)
	}
	if most >= 0 {
		parts = append(parts, between(max(0, least), most))
	}
	return w.rule(strings.Join(parts, " | "))
}

// whole keeps a limit where one may be added to it.
func whole(v float64) int64 {
	return int64(min(max(v, -mostInteger-1), mostInteger+1))
}

// between is the grammar of the numbers from least, which is not negative, to most.
func between(least, most int64) string {
	a, z := strconv.FormatInt(least, 10), strconv.FormatInt(most, 10)
	if len(a) == len(z) {
		return digits(a, z)
	}
	parts := []string{digits(a, strings.Repeat("9", len(a)))}
	if n := len(z) - len(a); n > 1 {
		parts = append(parts, fmt.Sprintf("[1-9] [0-9]{%d,%d}", len(a), len(z)-2))
	}
	return strings.Join(append(parts, digits("1"+strings.Repeat("0", len(z)-1), z)), " | ")
}

// digits is the grammar of the numbers from a to z, which have as many digits.
func digits(a, z string) string {
	n := len(a) - 1
	rest := "" // any digits
	if n > 0 {
		rest = fmt.Sprintf(" [0-9]{%d}", n)
	}
	lowest, highest := strings.Repeat("0", n), strings.Repeat("9", n)
	switch {
	case a[1:] == lowest && z[1:] == highest:
		return fmt.Sprintf("[%c-%c]%s", a[0], z[0], rest)
	case a[0] == z[0]:
		return fmt.Sprintf("[%c] (%s)", a[0], digits(a[1:], z[1:]))
	}
	var parts []string
	first, last := a[0], z[0] // of those that any digits may follow
	if a[1:] != lowest {
		parts = append(parts, fmt.Sprintf("[%c] (%s)", first, digits(a[1:], highest)))
		first++
	}
	if z[1:] != highest {
		last--
	}
	if first <= last {
		parts = append(parts, fmt.Sprintf("[%c-%c]%s", first, last, rest))
	}
	if z[1:] != highest {
		parts = append(parts, fmt.Sprintf("[%c] (%s)", z[0], digits(lowest, z[1:])))
	}
	return strings.Join(parts, " | ")
}
