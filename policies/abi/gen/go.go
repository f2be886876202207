package main

import (
	"fmt"
	"go/format"
	"strings"
)

func formatted(src string) ([]byte, error) { return format.Source([]byte(src)) }

// prefixes of the names of enums and flags; those without one are plain.
var goPrefix = map[string]string{"op": "Op", "event": "Event", "state": "State", "tag": "Tag", "model": "Model", "copy": "Copy"}

var goType = map[string]string{"u16": "uint16", "u32": "uint32", "i32": "int32", "u64": "uint64"}

// exported is a schema name as Go exports it.
func exported(name string) string {
	if name == "ok" {
		return "OK"
	}
	for _, initials := range []string{"rtt", "rif"} {
		if rest, ok := strings.CutPrefix(name, initials); ok {
			return strings.ToUpper(initials) + rest
		}
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// goFile is the host's side.
func goFile(s *schema) string {
	var b strings.Builder
	b.WriteString("// Code generated from omx1.schema; DO NOT EDIT.\n\npackage abi\n\n")
	fmt.Fprintf(&b, "// Version of the interface.\nconst (\n\tMajor = %d\n\tMinor = %d\n)\n\n", s.major, s.minor)
	for _, n := range s.names {
		goNames(&b, n)
	}
	b.WriteString("// Sizes in bytes.\nconst (\n")
	for _, t := range s.structs {
		fmt.Fprintf(&b, "%sSize = %d\n", exported(t.name), t.size)
	}
	b.WriteString(")\n\n")
	for _, t := range s.structs {
		goStruct(&b, t)
	}
	for _, t := range s.structs {
		fmt.Fprintf(&b, "// %sFields tells where each field of %s lies.\nvar %sFields = [...]Field{\n", exported(t.name), article(t.name), exported(t.name))
		for _, f := range t.fields {
			fmt.Fprintf(&b, "{%q, %d, %d, %t, %q},\n", f.name, f.offset, f.size, f.kind == "i32", f.text)
		}
		b.WriteString("}\n\n")
	}
	return b.String()
}

func article(name string) string { return "a " + exported(name) }

func goNames(b *strings.Builder, n *names) {
	typed := map[string]string{"kind": "Kind", "status": "Status", "action": "Action", "op": "Op", "event": "EventKind", "state": "CopyState", "tag": "Tag"}
	kind := typed[n.name]
	if n.flags {
		kind = "uint32"
		fmt.Fprintf(b, "// Flags of a %s.\nconst (\n", n.name)
	} else {
		base := "uint16"
		if n.name == "action" {
			base = "uint8"
		}
		fmt.Fprintf(b, "// %s says %s.\ntype %s %s\n\nconst (\n", kind, n.text, kind, base)
	}
	for _, v := range n.values {
		fmt.Fprintf(b, "%s%s %s = %d // %s\n", goPrefix[n.name], exported(v.name), kind, v.number, v.text)
	}
	b.WriteString(")\n\n")
	// The names as authors write them.
	list := exported(n.name) + "Names"
	if n.flags {
		list = exported(n.name) + "FlagNames"
	}
	fmt.Fprintf(b, "// %s are the names as the schema writes them.\nvar %s = [...]Name{\n", list, list)
	for _, v := range n.values {
		fmt.Fprintf(b, "{%q, %d, %q},\n", v.name, v.number, v.text)
	}
	b.WriteString("}\n\n")
}

// goStruct writes a struct that lies in memory as in a view; one with parts
// embeds them.
func goStruct(b *strings.Builder, t *structure) {
	name := exported(t.name)
	parts := t.parts()
	if len(parts) == 1 {
		fmt.Fprintf(b, "// %s: %s.\ntype %s struct {\n", name, t.text, name)
		goFields(b, t.fields)
		b.WriteString("}\n\n")
		return
	}
	fmt.Fprintf(b, "// %s: %s.\ntype %s struct {\n", name, t.text, name)
	for _, p := range parts {
		fmt.Fprintf(b, "%s%s\n", name, exported(p[0].part))
	}
	b.WriteString("}\n\n")
	for _, p := range parts {
		fmt.Fprintf(b, "// %s%s: %s.\ntype %s%s struct {\n", name, exported(p[0].part), p[0].partText, name, exported(p[0].part))
		goFields(b, p)
		b.WriteString("}\n\n")
	}
}

func goFields(b *strings.Builder, fields []field) {
	for _, f := range fields {
		fmt.Fprintf(b, "%s %s // %s\n", exported(f.name), goType[f.kind], f.text)
	}
}
