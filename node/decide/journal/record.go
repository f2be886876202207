package journal

import "omx/policies/abi"

// Type says what a record is about.
type Type uint8

const (
	TypeDecision Type = 1
	TypeEvent    Type = 2
	TypeFresh    Type = 3
	TypeOutcome  Type = 4
	// TypeGap and TypeStart are not written: the reader tells them from the files.
	TypeGap   Type = 5 // records are missing here
	TypeStart Type = 6 // a node was started: no policy has any state
)

// Record is one entry of a journal; what Type names is filled in.
type Record struct {
	Type     Type
	Kind     abi.Kind // of decision, event and fresh
	Decision Decision
	Event    abi.Event // was handed to the policy that decides Kind
	Fresh    Fresh
	Outcome  Outcome
	Gap      Gap
	Start    Start
}

// Decision is a decision as it was taken.
type Decision struct {
	ID     uint64   // of a route decision, else 0
	View   []byte   // as the policy got it: nothing in the place for its answer
	Scores []uint32 // what it wrote there: route; nil if it failed
	Steps  []byte   // what it wrote there: replicate, abi.StepSize each; nil if it failed
	Answer abi.Answer
	Status abi.Status // abi.OK if the answer was taken
	Fuel   uint64
	Digest [32]byte
}

// Fresh says that from here an instance without any state decides a kind, or, if
// Continued, which policy does: that is repeated now and then.
type Fresh struct {
	Digest     [32]byte
	Params     []byte
	Generation uint64
	Continued  bool
}

// Outcome is how the request of a route decision ended.
type Outcome struct {
	ID     uint64 // of the decision
	TTFT   uint64 // µs from arrival to the first token; 0 none came
	Took   uint64 // µs from arrival to the end
	Tokens uint64 // of the answer
	Err    uint8  // 0 it ended well; else as the node numbers what went wrong
}

// Gap tells of records that are missing.
type Gap struct {
	Lost    uint64 // how many; 0 unknown
	Damaged error  // why, if a file is damaged; nil if they were never written
}

// Start begins what one run of a node wrote.
type Start struct {
	Version string // of omx
}

// Bounds on what is read. A record beyond them is refused before anything is
// allocated for it.
const (
	// maxBody is the part of a view before the answer's place.
	maxBody    = abi.HeaderSize + abi.MaxRows*abi.RowSize + abi.MaxModels*abi.ModelSize + abi.MaxCopies*abi.CopySize
	maxView    = maxBody + abi.MaxRows*4 + abi.MaxSteps*abi.StepSize + abi.MaxExt + 8
	maxParams  = 64 << 10 // as much as the policy host takes
	maxVersion = 64
	maxBlock   = 8 << 20 // several of the largest views
)

// slots of views are kept per kind to compare with: requests for a few models
// come in turns, and each model has rows of its own.
const slots = 4

const kinds = int(abi.Replicate) + 1

// Flags in the first byte of a record, above its type.
const (
	typeMask     = 0x07
	hasDigest    = 0x08 // decision: by another policy than the record before
	hasExt       = 0x10 // decision: with another extension
	hasScores    = 0x20
	hasSteps     = 0x40
	isContinued  = 0x08 // fresh
	slotShift    = 2    // in the second byte, above the kind
	kindMask     = 0x03
	chunk        = 64        // bytes of a view that share a mask of changed words
	chunkWords   = chunk / 8 // bits of the mask
	span         = 8 * chunk // bytes that are compared at once
	maxSkip      = 255
	eventWords   = abi.EventSize / 8
	digestLength = 32
)
