package main

import (
	"fmt"
	"strings"
)

// table is the reference page's table of a struct.
func table(name string) func(*schema) string {
	return func(s *schema) string {
		t := s.find(name)
		var b strings.Builder
		fmt.Fprintf(&b, "\n%s. %d bytes.\n\n| offset | type | field | unit and meaning |\n|---:|---|---|---|\n", t.text, t.size)
		for _, part := range t.parts() {
			if part[0].part != "" {
				fmt.Fprintf(&b, "| | | | **%s** |\n", part[0].partText)
			}
			for _, f := range part {
				fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", f.offset, f.kind, f.name, f.text)
			}
		}
		return b.String() + "\n"
	}
}

// enums are the reference page's tables of numbers.
func enums(s *schema) string {
	var b strings.Builder
	for _, n := range s.names {
		fmt.Fprintf(&b, "\n%s\n\n| | | |\n|---:|---|---|\n", heading(n))
		for _, v := range n.values {
			fmt.Fprintf(&b, "| %d | %s | %s |\n", v.number, v.name, v.text)
		}
	}
	return b.String() + "\n"
}
