package abi

// Version the host speaks. A guest returns Major<<16 | minor from omx_abi; the
// host takes an equal major and any minor up to its own.
const (
	Magic = 0x31584d4f // "OMX1"
	Major = 1
	Minor = 0
)

// Kind is which decision a view asks for.
type Kind uint16

const (
	Admit     Kind = 1 // may this request in; one row: this node
	Route     Kind = 2 // which node serves it; a row per candidate
	Replicate Kind = 3 // which node keeps which model; reserved
)

func (k Kind) String() string {
	switch k {
	case Admit:
		return "admit"
	case Route:
		return "route"
	case Replicate:
		return "replicate"
	}
	return "unknown"
}

// Names of what a module exports.
const (
	ExportMemory = "memory"
	ExportABI    = "omx_abi"   // () -> i32: Major<<16 | minor
	ExportBuf    = "omx_buf"   // (kind, rows i32) -> i32: offset of the view area, 8-aligned, 0 refuses
	ExportAdmit  = "omx_admit" // (ptr, len i32) -> i64: status<<32 | verdict
	ExportRoute  = "omx_route" // (ptr, len i32) -> i64: status<<32 | row index
)

// MaxRows is the most rows a view of any kind carries.
const MaxRows = 4096

// Sizes in bytes.
const (
	HeaderSize = 112
	RowSize    = 80
	scoreSize  = 4
)

// Header fields: offset in bytes.
const (
	offMagic      = 0   // u32
	offMinor      = 4   // u16
	offKind       = 6   // u16
	offCount      = 8   // u32 rows
	offStride     = 12  // u16 bytes per row
	offHeader     = 14  // u16 bytes of header, where the rows start
	offScores     = 16  // u32 offset of the scores
	offExt        = 20  // u32 offset of the extension, 0 none
	offExtLen     = 24  // u32
	offLen        = 28  // u32 bytes of the whole view
	offNow        = 32  // u64 µs
	offSeed       = 40  // u64 for tie breaks and sampling
	offRequest    = 48  // u64 request id
	offModel      = 56  // u64 model handle
	offTenant     = 64  // u64 tenant handle, 0 anonymous
	offPrompt     = 72  // u32 prompt tokens
	offMaxOut     = 76  // u32 most output tokens asked for
	offExpectOut  = 80  // u32 expected output tokens
	offPriority   = 84  // i32 below 0 may be shed first
	offDeadline   = 88  // u32 ms left, 0 none
	offReqFlags   = 92  // u32
	offAttempt    = 96  // u32 earlier tries of this request
	offHops       = 100 // u32 nodes it has passed
	offSelfRow    = 104 // u32 row of this node, None if it is no candidate
	offHdrReserve = 108 // u32
)

// Row fields: offset in bytes within a row.
const (
	rowNode       = 0  // u64 node handle
	rowFlags      = 8  // u32
	rowRTT        = 12 // u32 µs
	rowRTTAge     = 16 // u32 ms
	rowQueued     = 20 // u32 requests
	rowRunning    = 24 // u32 requests
	rowSlots      = 28 // u32 requests
	rowLoadAge    = 32 // u32 ms
	rowSentSince  = 36 // u32 requests this node sent there after that sample, not ended yet
	rowInFlight   = 40 // u32 requests of this node there now
	rowPrefill    = 44 // u32 ns per prompt token
	rowDecode     = 48 // u32 µs per output token
	rowSpeedAge   = 52 // u32 ms
	rowPrefix     = 56 // u32 prompt tokens already cached there
	rowErrors     = 60 // u32 failures per thousand requests of this node there
	rowErrorsAge  = 64 // u32 ms
	rowMemFree    = 68 // u32 MiB
	rowMemFreeAge = 72 // u32 ms
	rowZone       = 76 // u32
)

// Request flags.
const (
	Streamed  uint32 = 1 << iota // the client reads tokens as they come
	FromPeer                     // another node sent it here
	Estimated                    // the prompt token count is an estimate
)

// Row flags.
const (
	Self     uint32 = 1 << iota // this node
	Loaded                      // the model answers now; without it, it must be loaded first
	Draining                    // takes no new requests
	Suspect                     // may be gone
	Relayed                     // reached through a third node
)

const (
	// None marks a row index or a figure that is not there; as an age it means
	// the figure beside it was never sampled.
	None = ^uint32(0)
	// Never as a score keeps a row out of the picks. Lower scores are better.
	Never = ^uint32(0)
)
