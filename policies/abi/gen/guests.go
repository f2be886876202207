package main

import (
	"fmt"
	"strings"
)

// upper is a schema name in capitals: maxOut is MAX_OUT.
func upper(name string) string {
	var b strings.Builder
	for i, c := range name {
		if i > 0 && c >= 'A' && c <= 'Z' && !(name[i-1] >= 'A' && name[i-1] <= 'Z') {
			b.WriteByte('_')
		}
		b.WriteRune(c)
	}
	return strings.ToUpper(b.String())
}

// snake is a schema name as C and Rust write it.
func snake(name string) string { return strings.ToLower(upper(name)) }

// constant is the name of a number in the SDKs.
func constant(n *names, v value) string {
	switch n.name {
	case "event", "state", "tag", "model", "copy":
		return upper(n.name) + "_" + upper(v.name)
	}
	return upper(v.name)
}

func guestType(t *structure) string { return exported(t.name) }

func assemblyscript(s *schema) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n/** The version of the interface this file describes: major << 16 | minor. */\nexport const VERSION: u32 = %d << 16 | %d;\n", s.major, s.minor)
	for _, n := range s.names {
		fmt.Fprintf(&b, "\n// %s\n", heading(n))
		kind := "u32"
		if n.name == "kind" || n.name == "event" || n.name == "op" {
			kind = "u16"
		}
		for _, v := range n.values {
			fmt.Fprintf(&b, "export const %s: %s = %d; // %s\n", constant(n, v), kind, v.number, v.text)
		}
	}
	for _, t := range s.structs {
		fmt.Fprintf(&b, "\n/** %s. It lies in a view and is never constructed. */\n@unmanaged\nexport class %s {\n", t.text, layoutName(t))
		for _, f := range t.fields {
			fmt.Fprintf(&b, "  %s: %s; // %s\n", f.name, f.kind, f.text)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// layoutName is the class of the raw fields; Header and Row get their methods in
// the part written by hand.
func layoutName(t *structure) string {
	if t.name == "header" || t.name == "row" {
		return guestType(t) + "Fields"
	}
	return guestType(t)
}

func heading(n *names) string {
	if n.flags {
		return "Flags " + n.text + "."
	}
	return strings.ToUpper(n.name[:1]) + n.name[1:] + ": " + n.text + "."
}

func c(s *schema) string {
	types := map[string]string{"u16": "uint16_t", "u32": "uint32_t", "i32": "int32_t", "u64": "uint64_t"}
	var b strings.Builder
	fmt.Fprintf(&b, "\n#define OMX_VERSION (%d << 16 | %d)\n", s.major, s.minor)
	for _, n := range s.names {
		fmt.Fprintf(&b, "\n/* %s */\nenum {\n", heading(n))
		for _, v := range n.values {
			fmt.Fprintf(&b, "  OMX_%s = %d, /* %s */\n", constant(n, v), v.number, v.text)
		}
		b.WriteString("};\n")
	}
	for _, t := range s.structs {
		fmt.Fprintf(&b, "\n/* %s. */\ntypedef struct {\n", t.text)
		for _, f := range t.fields {
			fmt.Fprintf(&b, "  %s %s; /* %s */\n", types[f.kind], snake(f.name), f.text)
		}
		fmt.Fprintf(&b, "} omx_%s_t;\n_Static_assert(sizeof(omx_%s_t) == %d, \"layout of %s\");\n", t.name, t.name, t.size, t.name)
	}
	return b.String()
}

func rust(s *schema) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n/// The version of the interface this file describes: major << 16 | minor.\npub const VERSION: u32 = %d << 16 | %d;\n", s.major, s.minor)
	for _, n := range s.names {
		fmt.Fprintf(&b, "\n// %s\n", heading(n))
		for _, v := range n.values {
			fmt.Fprintf(&b, "pub const %s: u32 = %d; // %s\n", constant(n, v), v.number, v.text)
		}
	}
	for _, t := range s.structs {
		fmt.Fprintf(&b, "\n/// %s.\n#[repr(C)]\n#[derive(Clone, Copy)]\npub struct %s {\n", t.text, guestType(t))
		for _, f := range t.fields {
			fmt.Fprintf(&b, "    /// %s\n    pub %s: %s,\n", f.text, snake(f.name), f.kind)
		}
		fmt.Fprintf(&b, "}\nconst _: [(); %d] = [(); core::mem::size_of::<%s>()];\n", t.size, guestType(t))
	}
	return b.String()
}

// guest is the Go SDK's side; the names are the host's.
func guest(s *schema) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n// Version of the interface this file describes: major << 16 | minor.\nconst Version = %d<<16 | %d\n\n", s.major, s.minor)
	for _, n := range s.names {
		fmt.Fprintf(&b, "// %s\nconst (\n", heading(n))
		for _, v := range n.values {
			fmt.Fprintf(&b, "\t%s%s = %d // %s\n", goPrefix[n.name], exported(v.name), v.number, v.text)
		}
		b.WriteString(")\n\n")
	}
	for _, t := range s.structs {
		fmt.Fprintf(&b, "// %s: %s.\ntype %s struct {\n", guestType(t), t.text, guestType(t))
		for _, f := range t.fields {
			fmt.Fprintf(&b, "\t%s %s // %s\n", exported(f.name), goType[f.kind], f.text)
		}
		b.WriteString("}\n\n")
	}
	src, err := formatted("package p\n" + b.String())
	if err != nil {
		return b.String() // the compiler will tell what is wrong with it
	}
	return strings.TrimPrefix(string(src), "package p\n") + "\n" // as gofmt has it, once there is code behind it
}
