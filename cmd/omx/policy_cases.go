package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"omx/node/files"
	"omx/policies/abi"
)

// Bounds of what is read from a file of cases.
const (
	maxCaseFile   = 16 << 20 // bytes; a case of 4096 rows with every figure is about 4 MiB
	maxCases      = 10_000
	maxCaseEvents = 10_000
)

// policyCase is a decision and what it must be, as people write it: by the names
// of the interface's reference.
type policyCase struct {
	name   string
	shape  abi.Shape // without stride and extension, which depend on the policy
	events [][]byte  // that the policy hears before
	header []setting
	rows   [][]byte // whole rows
	models [][]byte
	copies [][]byte
	items  []item
	expect expectation
}

type item struct {
	tag   abi.Tag
	value string
}

type rawFields = map[string]json.RawMessage

type rawCase struct {
	Name      string      `json:"name"`
	Kind      string      `json:"kind"`
	Events    []rawFields `json:"events"`
	Header    rawFields   `json:"header"`
	Rows      []rawFields `json:"rows"`
	Models    []rawFields `json:"models"`
	Copies    []rawFields `json:"copies"`
	Extension []rawFields `json:"extension"`
	Expect    expectation `json:"expect"`
}

// loadCases reads a file of cases, or all of a folder that end in .json.
func loadCases(path string) ([]policyCase, error) {
	list := []string{path}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read samples: %w", err)
	}
	if info.IsDir() {
		if list, err = filepath.Glob(filepath.Join(path, "*.json")); err != nil || len(list) == 0 {
			return nil, fmt.Errorf("read samples: %s holds no .json file", path)
		}
	}
	var all []policyCase
	for _, file := range list {
		b, err := files.ReadBounded(file, maxCaseFile)
		if err != nil {
			return nil, fmt.Errorf("read samples: %w", err)
		}
		cases, err := parseCases(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if all = append(all, cases...); len(all) > maxCases {
			return nil, fmt.Errorf("%s: more than %d samples", file, maxCases)
		}
	}
	return all, nil
}

// parseCases reads a JSON list of cases. Unknown names are errors, and so is
// what does not fit its field.
func parseCases(b []byte) ([]policyCase, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var raw []rawCase
	if err := d.Decode(&raw); err != nil {
		return nil, fmt.Errorf("not a list of samples: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is more behind the list of samples")
	}
	if len(raw) == 0 || len(raw) > maxCases {
		return nil, fmt.Errorf("%d samples; from 1 to %d can be given", len(raw), maxCases)
	}
	cases := make([]policyCase, len(raw))
	for i := range raw {
		if raw[i].Name == "" {
			raw[i].Name = fmt.Sprintf("sample %d", i+1)
		}
		if err := cases[i].parse(&raw[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", raw[i].Name, err)
		}
	}
	return cases, nil
}

func (c *policyCase) parse(raw *rawCase) (err error) {
	kind, ok := abi.ParseKind(raw.Kind)
	most := map[abi.Kind]int{abi.Admit: 1, abi.Route: abi.MaxRows, abi.Replicate: abi.MaxNodes}[kind]
	switch {
	case !ok:
		return fmt.Errorf("kind %q: there are admit, route and replicate", raw.Kind)
	case len(raw.Rows) == 0 || len(raw.Rows) > most:
		return fmt.Errorf("%d rows; %s has from 1 to %d", len(raw.Rows), kind, most)
	case len(raw.Models) > abi.MaxModels || len(raw.Copies) > abi.MaxCopies:
		return fmt.Errorf("%d models and %d copies; %d and %d are possible", len(raw.Models), len(raw.Copies), abi.MaxModels, abi.MaxCopies)
	case kind != abi.Replicate && len(raw.Models)+len(raw.Copies) > 0:
		return fmt.Errorf("only replicate has models and copies")
	case len(raw.Events) > maxCaseEvents:
		return fmt.Errorf("%d events; %d are possible", len(raw.Events), maxCaseEvents)
	}
	c.name, c.expect = raw.Name, raw.Expect
	c.shape = abi.Shape{Kind: kind, Rows: len(raw.Rows), Models: len(raw.Models), Copies: len(raw.Copies)}
	if c.header, err = headerLayout.settings(raw.Header); err != nil {
		return err
	}
	for _, list := range []struct {
		to     *[][]byte
		layout *layout
		from   []rawFields
	}{{&c.rows, &rowLayout, raw.Rows}, {&c.models, &modelLayout, raw.Models}, {&c.copies, &copyLayout, raw.Copies}, {&c.events, &eventLayout, raw.Events}} {
		for i, fields := range list.from {
			b, err := list.layout.encode(fields)
			if err != nil {
				return fmt.Errorf("%s %d: %w", list.layout.name, i, err)
			}
			*list.to = append(*list.to, b)
		}
	}
	for _, fields := range raw.Extension {
		for name, value := range fields {
			it, err := parseItem(name, value)
			if err != nil {
				return err
			}
			c.items = append(c.items, it)
		}
	}
	slices.SortStableFunc(c.items, func(a, b item) int { return int(a.tag) - int(b.tag) })
	return c.expect.check(c)
}

// as is the shape of the view for a policy that reads so much of each row and
// wants these items of the extension.
func (c *policyCase) as(stride int, tags uint32) abi.Shape {
	s := c.shape
	s.Stride = stride
	for _, it := range c.items {
		if tags>>it.tag&1 != 0 {
			s.Ext += abi.ItemSize(len(it.value))
		}
	}
	return s
}

// write puts the view into b, which holds s.Size() bytes; s is as the policy
// wants it.
func (c *policyCase) write(b []byte, s abi.Shape, tags uint32) {
	h := abi.Begin(b, &s)
	for _, set := range c.header {
		set.put(b)
	}
	for i, row := range c.rows {
		copy(b[abi.HeaderSize+i*s.Stride:][:s.Stride], row)
	}
	for i, m := range c.models {
		copy(b[int(h.ModelsAt)+i*abi.ModelSize:], m)
	}
	for i, m := range c.copies {
		copy(b[int(h.CopiesAt)+i*abi.CopySize:], m)
	}
	if s.Ext > 0 {
		ext := b[h.Ext:]
		for _, it := range c.items {
			if tags>>it.tag&1 != 0 {
				ext = abi.PutItem(ext, it.tag, it.value)
			}
		}
	}
}

// parseItem reads an item of the extension: a text or a number, by its tag.
func parseItem(name string, raw json.RawMessage) (item, error) {
	tag, err := named(abi.TagNames[:], name, "item")
	if err != nil {
		return item{}, err
	}
	it := item{tag: abi.Tag(tag)}
	size := 8
	switch it.tag {
	case abi.TagModelName, abi.TagTenantName, abi.TagLabel:
		if err := json.Unmarshal(raw, &it.value); err != nil || len(it.value) > abi.MaxExt/4 {
			return item{}, fmt.Errorf("%s: give a text of at most %d bytes", name, abi.MaxExt/4)
		}
		return it, nil
	case abi.TagZone:
		size = 4
	case abi.TagExcluded, abi.TagAlternate, abi.TagAdapter:
	default:
		return item{}, fmt.Errorf("%s cannot be given in a sample", name)
	}
	var b [8]byte
	v, err := number(raw, size, false)
	if err != nil {
		return item{}, fmt.Errorf("%s: %w", name, err)
	}
	setting{0, size, v}.put(b[:])
	it.value = string(b[:size])
	return it, nil
}

// nearest is the name that is closest to one that is not there.
func nearest(name string, names []string) string {
	best, least := "", 1<<30
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance is how many letters must be put in, left out or changed.
func distance(a, b string) int {
	a = a[:min(len(a), 64)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
