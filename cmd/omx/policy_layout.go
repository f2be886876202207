package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"omx/policies/abi"
)

// layout is a struct of the interface as people fill it in by name.
type layout struct {
	name   string
	size   int
	fields []abi.Field
	words  map[string][]abi.Name // of numbers that have names
	flags  map[string][]abi.Name // of bits that have names
	hosts  []string              // fields that the host fills in
}

var (
	headerLayout = layout{name: "header", size: abi.HeaderSize, fields: abi.HeaderFields[:],
		flags: map[string][]abi.Name{"flags": abi.RequestFlagNames[:]},
		hosts: []string{"magic", "minor", "kind", "count", "stride", "header", "scores", "ext", "extLen", "length",
			"modelsAt", "models", "modelStride", "copiesAt", "copies", "copyStride"}}
	rowLayout = layout{name: "row", size: abi.RowSize, fields: abi.RowFields[:],
		flags: map[string][]abi.Name{"flags": abi.RowFlagNames[:]}}
	modelLayout = layout{name: "model", size: abi.ModelSize, fields: abi.ModelFields[:],
		flags: map[string][]abi.Name{"flags": abi.ModelFlagNames[:]}}
	copyLayout = layout{name: "copy", size: abi.CopySize, fields: abi.CopyFields[:],
		flags: map[string][]abi.Name{"flags": abi.CopyFlagNames[:]}, words: map[string][]abi.Name{"state": abi.StateNames[:]}}
	eventLayout = layout{name: "event", size: abi.EventSize, fields: abi.EventFields[:],
		flags: map[string][]abi.Name{"flags": abi.RequestFlagNames[:]}, words: map[string][]abi.Name{"kind": abi.EventNames[:]}}
)

// setting is a value at its place.
type setting struct {
	off, size int
	value     uint64
}

func (s setting) put(b []byte) {
	switch s.size {
	case 2:
		binary.LittleEndian.PutUint16(b[s.off:], uint16(s.value))
	case 4:
		binary.LittleEndian.PutUint32(b[s.off:], uint32(s.value))
	case 8:
		binary.LittleEndian.PutUint64(b[s.off:], s.value)
	}
}

// encode is a struct of these fields; the others are 0.
func (l *layout) encode(fields rawFields) ([]byte, error) {
	list, err := l.settings(fields)
	if err != nil {
		return nil, err
	}
	b := make([]byte, l.size)
	for _, s := range list {
		s.put(b)
	}
	return b, nil
}

func (l *layout) settings(fields rawFields) (list []setting, err error) {
	for name, raw := range fields {
		f, err := l.field(name)
		if err != nil {
			return nil, err
		}
		v, err := l.value(f, raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		list = append(list, setting{f.Offset, f.Size, v})
	}
	return list, nil
}

func (l *layout) field(name string) (*abi.Field, error) {
	if slices.Contains(l.hosts, name) {
		return nil, fmt.Errorf("field %q is filled in by omx: leave it out", name)
	}
	var names []string
	for i := range l.fields {
		if l.fields[i].Name == name {
			return &l.fields[i], nil
		}
		if !slices.Contains(l.hosts, l.fields[i].Name) {
			names = append(names, l.fields[i].Name)
		}
	}
	return nil, fmt.Errorf("there is no field %q in a %s: did you mean %q?", name, l.name, nearest(name, names))
}

// value is that of a field: a number, a name where its numbers have some, or a
// list of names where its bits have.
func (l *layout) value(f *abi.Field, raw json.RawMessage) (uint64, error) {
	var word string
	if words := l.words[f.Name]; words != nil && json.Unmarshal(raw, &word) == nil {
		return named(words, word, f.Name)
	}
	var list []string
	if flags := l.flags[f.Name]; flags != nil && json.Unmarshal(raw, &list) == nil {
		var sum uint64
		for _, name := range list {
			bit, err := named(flags, name, "flag")
			if err != nil {
				return 0, err
			}
			sum |= bit
		}
		return sum, nil
	}
	return number(raw, f.Size, f.Signed)
}

// number reads a whole number that fits into size bytes; "none" is all ones.
func number(raw json.RawMessage, size int, signed bool) (uint64, error) {
	text := string(raw)
	if text == `"none"` {
		return 1<<(8*size) - 1, nil
	}
	if signed {
		v, err := strconv.ParseInt(text, 10, 8*size)
		return uint64(v), fit(err, text, size, signed)
	}
	v, err := strconv.ParseUint(text, 10, 8*size)
	return v, fit(err, text, size, signed)
}

func fit(err error, text string, size int, signed bool) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("%.40s does not fit into %d bits", text, 8*size)
	}
	if signed {
		return fmt.Errorf("%.40s is no whole number", text)
	}
	return fmt.Errorf("%.40s is no whole number from 0", text)
}

// named is the number with that name.
func named(list []abi.Name, name, what string) (uint64, error) {
	var names []string
	for _, n := range list {
		if n.Name == name {
			return n.Value, nil
		}
		names = append(names, n.Name)
	}
	return 0, fmt.Errorf("there is no %s %q: did you mean %q? There are %s", what, name, nearest(name, names), strings.Join(names, ", "))
}
