package doctor

import (
	"fmt"
	"strings"
	"time"
)

// size is a number of bytes as people read it.
func size[T int | int64 | uint64](n T) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f kB", float64(n)/1e3)
}

// span is a time as people read it.
func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// several names the first ones of a list.
func several(names []string) string {
	if n := len(names); n > maxNamed {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), n-maxNamed)
	}
	return strings.Join(names, ", ")
}

// split takes the command off the end of an error that says what to do next.
func split(err error) (text, next string) {
	text = err.Error()
	if at := strings.LastIndex(text, "; run: "); at >= 0 {
		return text[:at], text[at+len("; run: "):]
	}
	return text, ""
}
