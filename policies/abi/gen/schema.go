package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// schema is the parsed layout of the interface.
type schema struct {
	major, minor int
	structs      []*structure
	names        []*names // enums and flags
}

type structure struct {
	name, text string
	fields     []field
	size       int
}

type field struct {
	name, kind, text string
	offset, size     int
	part             string // "" where the struct has no parts
	partText         string
}

// names are those of the numbers of an enum, or of the bits of flags.
type names struct {
	name, text string
	flags      bool
	values     []value
}

type value struct {
	name, text string
	number     uint64
}

const partSize = 64

var sizes = map[string]int{"u16": 2, "u32": 4, "i32": 4, "u64": 8}

// parse reads a schema; its first lines say how it is written.
func parse(r io.Reader) (*schema, error) {
	s := &schema{}
	var at *structure
	var in *names
	var part, partText string
	scan := bufio.NewScanner(r)
	for n := 1; scan.Scan(); n++ {
		line := strings.TrimSpace(scan.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		left, text, _ := strings.Cut(line, " | ")
		word, rest, _ := strings.Cut(strings.TrimSpace(left), " ")
		var err error
		switch word {
		case "version":
			_, err = fmt.Sscanf(rest, "%d %d", &s.major, &s.minor)
		case "struct":
			at, in, part, partText = &structure{name: rest, text: text}, nil, "", ""
			s.structs = append(s.structs, at)
		case "part":
			if at == nil || at.size%partSize != 0 {
				err = fmt.Errorf("part %s does not begin at a multiple of %d bytes", rest, partSize)
			}
			part, partText = rest, text
		case "enum", "flags":
			at, in = nil, &names{name: rest, text: text, flags: word == "flags"}
			s.names = append(s.names, in)
		default:
			switch {
			case at != nil:
				err = at.add(field{name: rest, kind: word, text: text, part: part, partText: partText})
			case in != nil:
				err = in.add(word, rest, text)
			default:
				err = fmt.Errorf("a field of nothing")
			}
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	for _, s := range s.structs {
		if s.size%s.align() != 0 {
			return nil, fmt.Errorf("struct %s ends at %d, not at a multiple of %d", s.name, s.size, s.align())
		}
	}
	return s, scan.Err()
}

func (s *structure) add(f field) error {
	f.size = sizes[f.kind]
	switch {
	case f.size == 0 || f.name == "":
		return fmt.Errorf("%s %s: want a type and a name", f.kind, f.name)
	case s.size%f.size != 0:
		return fmt.Errorf("%s would lie at %d, not at a multiple of %d", f.name, s.size, f.size)
	}
	f.offset = s.size
	s.size += f.size
	s.fields = append(s.fields, f)
	return nil
}

func (s *structure) align() int {
	most := 1
	for _, f := range s.fields {
		most = max(most, f.size)
	}
	return most
}

// parts are the struct's parts in order, each by its fields; one without a name
// where it has none.
func (s *structure) parts() (parts [][]field) {
	for i, f := range s.fields {
		if i == 0 || f.part != s.fields[i-1].part {
			parts = append(parts, nil)
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], f)
	}
	return parts
}

func (n *names) add(word, rest, text string) error {
	if n.flags {
		n.values = append(n.values, value{name: word, text: text, number: 1 << len(n.values)})
		return nil
	}
	number, err := strconv.ParseUint(word, 10, 16)
	n.values = append(n.values, value{name: rest, text: text, number: number})
	return err
}

func (s *schema) find(name string) *structure {
	for _, t := range s.structs {
		if t.name == name {
			return t
		}
	}
	return nil
}
