package policies_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"omx/policies/abi"
)

// field is one line of a layout: where a value lies, and how wide it is.
type field struct {
	name         string
	offset, size int
}

var sizeOf = map[string]int{"u16": 2, "u32": 4, "i32": 4, "u64": 8}

// encoded tells where the host's codec puts each field of a struct, by writing
// all ones into one field after the other.
func encoded(zero any, encode func(v any) []byte) (fields []field) {
	t := reflect.TypeOf(zero)
	base := encode(reflect.New(t).Interface())
	for i := range t.NumField() {
		v := reflect.New(t)
		f := v.Elem().Field(i)
		if f.CanInt() {
			f.SetInt(-1)
		} else {
			f.SetUint(1<<f.Type().Bits() - 1)
		}
		got := encode(v.Interface())
		first, last := -1, -1
		for at := range got {
			if got[at] != base[at] {
				if first < 0 {
					first = at
				}
				last = at
			}
		}
		fields = append(fields, field{t.Field(i).Name, first, last - first + 1})
	}
	return fields
}

func encodedHeader() []field {
	return encoded(abi.Header{}, func(v any) []byte {
		b := make([]byte, abi.Size(0))
		abi.PutHeader(b, v.(*abi.Header), 0)
		return b
	})
}

func encodedRow() []field {
	return encoded(abi.Row{}, func(v any) []byte {
		b := make([]byte, abi.Size(1))
		abi.PutHeader(b, &abi.Header{}, 1)
		abi.PutRow(b, 0, v.(*abi.Row))
		return b[abi.HeaderSize:][:abi.RowSize]
	})
}

// framed are the header's fields that are not the request's, by what the codec
// must have written there for a view of three rows.
var framed = map[string]uint64{
	"magic": abi.Magic, "minor": abi.Minor, "count": 3, "stride": abi.RowSize, "header": abi.HeaderSize,
	"scores": abi.HeaderSize + 3*abi.RowSize, "ext": 0, "extLen": 0, "length": uint64(abi.Size(3)), "reserved": 0,
}

var parsers = map[string]struct {
	file  string
	parse func(t *testing.T, text, part string) []field
}{
	"reference": {"ABI.md", parseTable},
	"sdk":       {"assembly/omx.ts", parseClass},
}

// parseTable reads the table under a heading of ABI.md.
func parseTable(t *testing.T, text, part string) (fields []field) {
	_, text, _ = strings.Cut(text, "\n### "+part+"\n")
	line := regexp.MustCompile(`^\| (\w+) \| (\d+) \| (\w+) \| .+ \|$`)
	for _, l := range strings.Split(text, "\n") {
		if strings.HasPrefix(l, "#") {
			break
		}
		if m := line.FindStringSubmatch(l); m != nil {
			at, _ := strconv.Atoi(m[2])
			fields = append(fields, field{m[1], at, sizeOf[m[3]]})
		}
	}
	return fields
}

// parseClass reads the fields of a class of the SDK, which the compiler lays out
// in order, each at a multiple of its size.
func parseClass(t *testing.T, text, part string) (fields []field) {
	_, text, _ = strings.Cut(text, "\nexport class "+part+" {\n")
	line := regexp.MustCompile(`^  (\w+): (\w+);`)
	at := 0
	for _, l := range strings.Split(text, "\n") {
		if l == "}" {
			break
		}
		if m := line.FindStringSubmatch(l); m != nil {
			size := sizeOf[m[2]]
			if size == 0 || at%size != 0 {
				t.Errorf("%s.%s: %s at %d", part, m[1], m[2], at)
				return nil
			}
			fields = append(fields, field{m[1], at, size})
			at += size
		}
	}
	return fields
}

// The reference page and the SDK lay a view out as the host's codec does.
func TestLayout(t *testing.T) {
	parts := map[string]struct {
		fields []field
		size   int
	}{"Header": {encodedHeader(), abi.HeaderSize}, "Row": {encodedRow(), abi.RowSize}}
	framedView := make([]byte, abi.Size(3))
	abi.PutHeader(framedView, &abi.Header{}, 3)

	for source, p := range parsers {
		text, err := os.ReadFile(p.file)
		if err != nil {
			t.Fatal(err)
		}
		for part, want := range parts {
			t.Run(source+"/"+part, func(t *testing.T) {
				got := p.parse(t, string(text), part)
				byName := map[string]field{}
				end := 0
				for _, f := range got {
					if f.offset != end {
						t.Errorf("%s is at %d, the field before ends at %d", f.name, f.offset, end)
					}
					end = f.offset + f.size
					byName[strings.ToLower(f.name)] = f
				}
				if end != want.size {
					t.Errorf("ends at %d, want %d", end, want.size)
				}
				for _, w := range want.fields {
					f := byName[strings.ToLower(w.name)]
					if f.offset != w.offset || f.size != w.size {
						t.Errorf("%s: at %d, %d bytes; the codec has it at %d, %d bytes", w.name, f.offset, f.size, w.offset, w.size)
					}
					delete(byName, strings.ToLower(w.name))
				}
				for _, f := range byName {
					v, ok := framed[f.name]
					b := make([]byte, 8)
					copy(b, framedView[f.offset:][:f.size])
					if got := binary.LittleEndian.Uint64(b); !ok || part != "Header" || got != v {
						t.Errorf("%s: the codec has %d there, want %d", f.name, got, v)
					}
				}
			})
		}
	}
}

// The numbers that ABI.md and the SDK give names to are the host's.
func TestConstants(t *testing.T) {
	sdk, err := os.ReadFile("assembly/omx.ts")
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]uint64{
		"MAGIC": abi.Magic, "ADMIT": uint64(abi.Admit), "ROUTE": uint64(abi.Route),
		"OK": uint64(abi.OK), "BAD_REQUEST": uint64(abi.BadRequest), "NO_CANDIDATE": uint64(abi.NoCandidate),
		"ABSTAIN": uint64(abi.Abstain), "UNSUPPORTED": uint64(abi.Unsupported),
		"ALLOW": uint64(abi.Allow), "QUEUE": uint64(abi.Queue), "SHED": uint64(abi.Shed), "REJECT": uint64(abi.Reject),
		"STREAMED": uint64(abi.Streamed), "FROM_PEER": uint64(abi.FromPeer), "ESTIMATED": uint64(abi.Estimated),
		"SELF": uint64(abi.Self), "LOADED": uint64(abi.Loaded), "DRAINING": uint64(abi.Draining),
		"SUSPECT": uint64(abi.Suspect), "RELAYED": uint64(abi.Relayed),
	} {
		m := regexp.MustCompile(`(?m)^export const ` + name + `: u\d+ = (\w+);`).FindSubmatch(sdk)
		if m == nil {
			t.Errorf("the SDK does not have %s", name)
		} else if got, err := strconv.ParseUint(string(m[1]), 0, 64); err != nil || got != v {
			t.Errorf("%s is %s in the SDK, %d in the host", name, m[1], v)
		}
	}
	page, err := os.ReadFile("ABI.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("at most %d |", abi.MaxRows),
		fmt.Sprintf("`OMX1`, 0x%x", abi.Magic),
		fmt.Sprintf("%d.%d is `0x%x`", abi.Major, abi.Minor, abi.Major<<16|abi.Minor),
		fmt.Sprintf("| `%s` | memory |", abi.ExportMemory), fmt.Sprintf("| `%s` | `() -> i32` |", abi.ExportABI),
		fmt.Sprintf("| `%s` | `(kind i32, rows i32) -> i32` |", abi.ExportBuf),
		fmt.Sprintf("| `%s` | `(view i32, length i32) -> i64` |", abi.ExportAdmit),
		fmt.Sprintf("| `%s` | `(view i32, length i32) -> i64` |", abi.ExportRoute),
		fmt.Sprintf("%d streamed, %d from a peer, %d prompt", abi.Streamed, abi.FromPeer, abi.Estimated),
		fmt.Sprintf("%d this node, %d loaded, %d draining, %d suspect, %d relayed", abi.Self, abi.Loaded, abi.Draining, abi.Suspect, abi.Relayed),
		fmt.Sprintf("%d allow, %d queue, %d shed", abi.Allow, abi.Queue, abi.Shed), fmt.Sprintf("%d reject", abi.Reject),
	} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("ABI.md does not say %q", want)
		}
	}
}
