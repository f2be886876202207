package abi

//go:generate go run ./gen .

// Magic begins a view: "OMX1".
const Magic = 0x31584d4f

// Field is a field of a struct as the schema writes it.
type Field struct {
	Name   string
	Offset int // bytes
	Size   int // bytes
	Signed bool
	Text   string // unit and meaning
}

// Name is a number of an enum or a bit of flags as the schema writes it.
type Name struct {
	Name  string
	Value uint64
	Text  string
}

func (k Kind) String() string {
	for _, n := range KindNames {
		if n.Value == uint64(k) {
			return n.Name
		}
	}
	return "unknown"
}

// ParseKind is the kind of that name.
func ParseKind(name string) (Kind, bool) {
	for _, n := range KindNames {
		if n.Name == name {
			return Kind(n.Value), true
		}
	}
	return 0, false
}

// Kinds are all there are.
var Kinds = [...]Kind{Admit, Route, Replicate}

// Names of what a module exports.
const (
	ExportMemory     = "memory"
	ExportABI        = "omx_abi"       // () -> i32: Major<<16 | minor
	ExportBuf        = "omx_buf"       // (kind, bytes i32) -> i32: offset of an area, 8-aligned, 0 refuses
	ExportAdmit      = "omx_admit"     // (ptr, len i32) -> i64: status<<32 | verdict
	ExportRoute      = "omx_route"     // (ptr, len i32) -> i64: status<<32 | row index
	ExportReplicate  = "omx_replicate" // (ptr, len i32) -> i64: status<<32 | number of steps
	ExportEvent      = "omx_event"     // (ptr, len i32); optional
	ExportInit       = "omx_init"      // (ptr, len i32) -> i32: 0 ok; optional
	ExportWants      = "omx_wants"     // (kind i32) -> i64: row bytes | tags<<32; optional
	ExportInitialize = "_initialize"   // (); optional
)

// Bounds of a view.
const (
	MaxRows   = 4096
	MaxNodes  = 512 // rows of a replicate view
	MaxModels = 256
	MaxCopies = 4096
	MaxSteps  = 256
	MaxExt    = 16 << 10 // bytes
)

const (
	// PartSize is the length of a part of a row; a stride is a number of parts.
	PartSize  = 64
	scoreSize = 4
)

const (
	// None marks a row index or a figure that is not there.
	None = ^uint32(0)
	// Never as a score keeps a row out of the picks. Lower scores are better.
	Never = ^uint32(0)
	// AnySource in a step leaves it to the host where to fetch from.
	AnySource = ^uint16(0)
)
