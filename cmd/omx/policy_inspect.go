package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"omx/policies/abi"
	"omx/wasm"
)

type policyInspectCmd struct {
	File  string `arg:"" help:"Policy module (.wasm), also one that a node refuses, or the name of a built-in one."`
	Large bool   `name:"policy-large" help:"Allow modules of the size that Go makes."`
	JSON  bool   `help:"Print JSON."`
}

// inspection is all that is told of a module.
type inspection struct {
	File     string          `json:"file"`
	Digest   string          `json:"sha256"`
	Bytes    int             `json:"bytes"`
	Refused  string          `json:"refused,omitempty"` // why a node does not take it
	ABI      string          `json:"abi,omitempty"`
	Metered  int             `json:"metered_bytes,omitempty"`
	Decides  []decides       `json:"decides,omitempty"`
	Shape    *moduleShape    `json:"module"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
	Samples  []carriedSample `json:"samples,omitempty"`
}

type decides struct {
	Kind     string   `json:"kind"`
	RowBytes int      `json:"row_bytes"` // of each row that it reads
	Items    []string `json:"items"`     // of the extension that it reads
}

type carriedSample struct {
	Kind   string `json:"kind"`
	Rows   int    `json:"rows"`
	Status string `json:"status"`
	Value  uint32 `json:"value"`
}

// Run shows a module whether or not a node would take it; only what is no module
// at all is an error.
func (c *policyInspectCmd) Run(e *env) error {
	code, err := readPolicy(c.File)
	if err != nil {
		return err
	}
	shape, err := readShape(code)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	sum := sha256.Sum256(code)
	in := inspection{File: c.File, Digest: hex.EncodeToString(sum[:]), Bytes: len(code), Shape: shape}
	if err := in.load(e, code, wasm.Limits{Large: c.Large}); err != nil {
		in.Refused = err.Error()
	}
	if c.JSON {
		return writeJSON(e, in)
	}
	_, err = e.stdout.Write(in.text())
	return err
}

// load finds out what only a node that takes the module knows.
func (in *inspection) load(e *env, code []byte, lim wasm.Limits) error {
	p, err := openModule(e.ctx, in.File, code, lim)
	if err != nil {
		return err
	}
	defer p.close()
	info := p.Info()
	in.ABI, in.Metered, in.Metadata = fmt.Sprintf("omx%d.%d", info.Major, info.Minor), info.Metered, info.Metadata
	samples, err := wasm.Samples(code)
	if err != nil {
		return err
	}
	for _, s := range samples {
		v, err := abi.Open(s.View)
		if err != nil {
			return err
		}
		in.Samples = append(in.Samples, carriedSample{s.Kind.String(), int(v.Count), s.Answer.Status().String(), s.Answer.Value()})
	}
	i, err := p.instance(e.ctx)
	if err != nil {
		return err
	}
	for _, k := range info.Kinds {
		d := decides{Kind: k.String(), Items: []string{}}
		var tags uint32
		d.RowBytes, tags = i.Wants(k)
		for _, t := range abi.TagNames {
			if tags>>t.Value&1 != 0 {
				d.Items = append(d.Items, t.Name)
			}
		}
		in.Decides = append(in.Decides, d)
	}
	return i.Close()
}

func (in *inspection) text() []byte {
	var b bytes.Buffer
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	list := func(name string, items []string) {
		for _, item := range items {
			line(name, "%s", item)
			name = ""
		}
	}
	fmt.Fprintln(&b, in.File)
	if in.Refused != "" {
		line("refused", "%s", in.Refused)
	} else {
		line("taken", "yes, as %s", in.ABI)
	}
	line("sha256", "%s", in.Digest)
	if in.Metered > 0 {
		line("size", "%d bytes; metering adds %d", in.Bytes, in.Metered-in.Bytes+in.Shape.custom)
	} else {
		line("size", "%d bytes", in.Bytes)
	}
	for _, d := range in.Decides {
		items := "no items of the extension"
		if len(d.Items) > 0 {
			items = strings.Join(d.Items, ", ")
		}
		line("decides", "%s, on %d bytes of each row and %s", d.Kind, d.RowBytes, items)
	}
	s := in.Shape
	if s.Broken != "" {
		line("broken", "%s", s.Broken)
	}
	list("memory", s.Memories)
	list("table", s.Tables)
	line("functions", "%d; globals %d; start function: %t", s.Functions, s.Globals, s.Start)
	list("imports", s.Imports)
	list("exports", s.Exports)
	var sections []string
	for _, sec := range s.Sections {
		sections = append(sections, fmt.Sprintf("%s, %d bytes", sec.Name, sec.Bytes))
	}
	list("sections", sections)
	if len(in.Metadata) > 0 {
		var pretty bytes.Buffer
		if json.Indent(&pretty, in.Metadata, "            ", "  ") == nil {
			line("metadata", "%s", pretty.String())
		}
	}
	for n, s := range in.Samples {
		line("sample", "%d: %s of %d rows: %s %d", n+1, s.Kind, s.Rows, s.Status, s.Value)
	}
	return b.Bytes()
}
