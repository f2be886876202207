//go:build wasip1

// Package omx is the policy SDK for Go: what a policy sees, field by field, and
// helpers to answer. ABI.md, which comes with omx, explains the interface.
//
// A policy is a main package with an empty main that exports the decisions it
// takes. A routing policy gives every row a score, lower is better, and answers
// with the lowest:
//
//	//go:wasmexport omx_route
//	func route(view unsafe.Pointer, length uint32) uint64 {
//		v, ok := omx.Open(view, length)
//		if !ok {
//			return omx.Answer(omx.BadRequest, 0)
//		}
//		for i := range v.Count {
//			score := omx.Never
//			if r := v.Row(i); r.Usable() {
//				score = r.RTT
//			}
//			v.SetScore(i, score)
//		}
//		return v.Lowest()
//	}
//
//	//go:wasmexport omx_wants
//	func wants(kind uint32) uint64 { return omx.LoadPart }
//
//	func main() {}
//
// The others are omx_admit and omx_replicate, of the same type as omx_route;
// omx_event(event unsafe.Pointer, length uint32), see OpenEvent; and
// omx_init(params unsafe.Pointer, length uint32) uint32, 0 if they are taken.
//
// The host may send shorter rows than a Row: where omx_wants asks for no more
// than LoadPart, a row ends after that part, and what a Row shows beyond belongs
// to the next one. Read only what you asked for; a policy without omx_wants gets
// whole rows.
//
// Nothing here allocates once the first view is there; a policy that allocates
// per call pays for collecting its garbage out of its fuel.
package omx

import "unsafe"

// generated: begin guest

// Version of the interface this file describes: major << 16 | minor.
const Version = 1<<16 | 0

// Kind: which decision is asked for.
const (
	Admit     = 1 // may this request in; one row: this node
	Route     = 2 // which node serves it; a row per candidate
	Replicate = 3 // which node keeps which model; a row per node
)

// Status: how a decision ended.
const (
	OK          = 0 // the value is the answer
	BadRequest  = 1 // the view cannot be read; the built-in rule decides
	NoCandidate = 2 // nobody should serve this
	Abstain     = 3 // no opinion: the built-in rule decides
	Unsupported = 4 // this kind is not decided here; the built-in rule decides
)

// Action: what admission says.
const (
	Allow  = 0 // now
	Queue  = 1 // when a slot is free
	Shed   = 2 // later: come back after the wait
	Reject = 3 // never
)

// Op: what replication wants done.
const (
	OpFetch  = 1 // the node gets a copy of the model
	OpDrop   = 2 // the node gives its copy up
	OpLoad   = 3 // the node makes the model answer, before anybody asks
	OpUnload = 4 // the node keeps the file but frees its memory
)

// Event: what happened.
const (
	EventDispatched = 1  // a request was sent to a node
	EventFirst      = 2  // its first token came
	EventDone       = 3  // it ended well
	EventFailed     = 4  // the node broke it off
	EventProbed     = 5  // a node answered a probe
	EventJoined     = 6  // a node came up
	EventLeft       = 7  // a node went away
	EventTick       = 8  // a second has passed
	EventAdmitted   = 9  // a request was let in
	EventRefused    = 10 // a request was shed or rejected
)

// State: of a copy of a model.
const (
	StatePartial = 1 // some of it is there
	StateOnDisk  = 2 // all of it is there
	StateLoading = 3 // it is being loaded
	StateLoaded  = 4 // it answers
)

// Tag: of an item of the extension.
const (
	TagModelName    = 1 // text
	TagTenantName   = 2 // text
	TagLabel        = 3 // text, key=value, of the request
	TagNodeLabel    = 4 // u32 row, then text key=value
	TagZone         = 5 // u32 zone in which the request must stay
	TagExcluded     = 6 // u64 handle of a node that must not serve it
	TagPrefixBlocks = 7 // per block of the prompt, in order: u64 hash of all up to its end, u32 tokens of it
	TagAlternate    = 8 // u64 handle of a model that would do as well
	TagAdapter      = 9 // u64 handle of the adapter asked for
)

// Flags of a request.
const (
	Streamed  = 1 // the client reads tokens as they come
	FromPeer  = 2 // another node sent it here
	Estimated = 4 // the prompt token count is an estimate
)

// Flags of a node.
const (
	Self        = 1   // this node
	Loaded      = 2   // the model answers now; without it, it must be loaded first
	Draining    = 4   // takes no new requests; the host never sends one there, whatever the policy says
	Suspect     = 8   // a request there has just failed
	Relayed     = 16  // reached through a third node
	Stored      = 32  // the model is on its disk
	Loading     = 64  // the model is being loaded there
	ExactPrefix = 128 // the prefix figure is the node's own and no estimate
	MeteredLink = 256 // traffic to it costs money
)

// Flags of a model.
const (
	ModelPinned = 1 // the operator wants it kept
	ModelHere   = 2 // this node holds a copy
)

// Flags of a copy of a model.
const (
	CopyVerified = 1 // its digest was checked
	CopyHeld     = 2 // the operator wants it kept there
)

// Header: The request, and what is known of the mesh around it.
type Header struct {
	Magic          uint32 // `OMX1`, 0x31584d4f
	Minor          uint16 // minor version of the host
	Kind           uint16 // 1 admit, 2 route, 3 replicate
	Count          uint32 // rows
	Stride         uint16 // bytes per row
	Header         uint16 // bytes of this header: where the rows start
	Scores         uint32 // bytes from the view's start to where the policy writes: a score per row (route), actions (replicate)
	Ext            uint32 // bytes from the view's start to the extension; 0 none
	ExtLen         uint32 // bytes of the extension
	Length         uint32 // bytes of the whole view
	Now            uint64 // µs; the host's clock, of no fixed start
	Seed           uint64 // for tie breaks and sampling
	Request        uint64 // request id
	Model          uint64 // model handle
	Tenant         uint64 // tenant handle; 0 anonymous
	Session        uint64 // conversation handle; 0 none
	Affinity       uint64 // hash of the prompt's beginning, keyed per tenant; 0 none
	Previous       uint64 // handle of the node that answered the conversation last; 0 none
	Entry          uint64 // handle of the node whose client asked
	Peer           uint64 // handle of the node that sent it here; 0 a client of this node
	Clock          uint32 // ms; now on the clock of all fields named …At, which wraps after 49 days
	ViewAt         uint32 // ms; when this picture of the mesh was put together
	Prompt         uint32 // prompt tokens
	MaxOut         uint32 // most output tokens asked for; 0 unknown
	ExpectOut      uint32 // output tokens expected
	SpreadOut      uint32 // standard deviation of that; 0 unknown
	Priority       int32  // below 0 may be shed first
	Class          uint32 // class of service, as the operator numbers them
	Deadline       uint32 // ms left; 0 none
	WantFirst      uint32 // ms to the first token that are wanted; 0 none
	WantEach       uint32 // µs per output token that are wanted; 0 none
	Flags          uint32 // of the request
	Attempt        uint32 // earlier tries of this request
	Hops           uint32 // nodes it has passed
	SelfRow        uint32 // row of this node; 0xffffffff if it is no candidate
	Turn           uint32 // turn of the conversation; 0 unknown
	ClientRTT      uint32 // µs; 0 unknown
	Nodes          uint32 // nodes known, up or not
	NodesUp        uint32 // nodes that are up
	Skew           uint32 // ms by which clocks of nodes may differ; 0 unknown
	Demand1m       uint32 // requests per hour for this model at this node, over about a minute
	Demand10m      uint32 // the same over ten minutes
	Demand1h       uint32 // the same over an hour
	Replicas       uint32 // nodes that are up and hold the model
	Saturation     uint32 // per mille of the slots of those nodes that are taken, by their last word
	QueueTokens    uint32 // prompt tokens that wait at this node
	QueueOldest    uint32 // ms that the oldest waiting request has waited at this node
	Tenants        uint32 // tenants with a request at this node
	TenantInFlight uint32 // requests of this tenant at this node
	TenantTokens   uint32 // tokens this tenant used at this node, over about a minute
	Offered        uint32 // requests that asked to be admitted here in the last ten seconds or so
	Admitted       uint32 // those of them that were
	ModelsAt       uint32 // bytes from the view's start to the models (replicate)
	Models         uint16 // how many
	ModelStride    uint16 // bytes per model
	CopiesAt       uint32 // bytes from the view's start to the copies (replicate)
	Copies         uint16 // how many
	CopyStride     uint16 // bytes per copy
}

// Row: A node.
type Row struct {
	Node           uint64 // handle
	Flags          uint32 // of the node
	Slots          uint32 // requests it serves at a time
	Queued         uint32 // requests waiting there
	Running        uint32 // requests being served there
	LoadAt         uint32 // ms; when slots, queued, running and pending were sampled; 0 never
	Pending        uint32 // prompt tokens that wait there or are being read
	Prefill        uint32 // ns per prompt token
	Decode         uint32 // µs per output token of a request that is alone
	SpeedAt        uint32 // ms; when prefill, decode and batch were measured; 0 never
	RTT            uint32 // µs of round trip
	RTTAt          uint32 // ms; 0 never
	Batch          uint32 // per mille of decode by which a token takes longer for each further request
	Ready          uint32 // ms until the model answers there; 0 at once
	Zone           uint32 // failure domain
	SentSince      uint32 // requests sent there after loadAt that have not ended
	InFlight       uint32 // requests of this node there now
	InFlightTokens uint32 // prompt and expected output tokens of those
	UsedAt         uint32 // ms; when a request was last sent there; 0 never
	Errors         uint32 // failures per thousand requests
	ErrorsAt       uint32 // ms; when the last request ended; 0 never
	First          uint32 // µs to the first token, moving average
	FirstPeak      uint32 // µs, the same that rises at once and sinks over some ten seconds
	FirstAt        uint32 // ms; 0 never
	Each           uint32 // µs per output token, moving average
	Done           uint32 // requests that ended well
	Prefix         uint32 // prompt tokens of this request cached there
	PrefixAt       uint32 // ms; when that was known; 0 never
	RIF            uint32 // requests in flight there by its freshest word
	RIFFirst       uint32 // µs to the first token seen at about as many in flight; 0 unknown
	RIFAt          uint32 // ms; 0 never
	MemFree        uint32 // MiB
	MemTotal       uint32 // MiB
	VramFree       uint32 // MiB
	VramTotal      uint32 // MiB
	DiskFree       uint32 // MiB
	MachineAt      uint32 // ms; when these were sampled; 0 never
	Up             uint32 // kbit/s it sends
	Down           uint32 // kbit/s it receives
	LinkAt         uint32 // ms; when those were measured; 0 never
	Loss           uint32 // lost packets per million
	RTTMin         uint32 // µs, shortest round trip of late
	RTTHigh        uint32 // µs, 95 of 100 round trips are shorter
	Device         uint32 // handle of its kind of machine; 0 unknown
	Power          uint32 // mW; 0 unknown
	Throttle       uint32 // per mille of speed lost to heat
	Battery        uint32 // per mille; 0xffffffff none
	CoordX         int32  // µs, network coordinate
	CoordY         int32  // µs
	CoordHeight    uint32 // µs
	CoordError     uint32 // per mille; 0 unknown
	JoinedAt       uint32 // ms; when it was first heard of; 0 unknown
	UpAt           uint32 // ms; since when it has been up; 0 unknown
	Availability   uint32 // per million of the time it is up; 0 unknown
	Reputation     uint32 // per mille of its promises kept; 0 unknown
	Region         uint32 // as the operator numbers them
	Site           uint32 // as the operator numbers them
	Asn            uint32 // autonomous system; 0 unknown
	Trust          uint32 // tier, as the operator numbers them
	Context        uint32 // tokens that a slot holds; 0 unknown
	ContextUsed    uint32 // tokens held in all slots
	Energy         uint32 // µJ per output token; 0 unknown
	Price          uint32 // millionths per thousand tokens; 0 unknown
}

// Model: A model (replicate).
type Model struct {
	Model     uint64 // handle
	Bytes     uint64 // of its file
	Flags     uint32 // of the model
	Copies    uint32 // nodes that are up and hold all of it
	Zones     uint32 // failure domains those are in
	Least     uint32 // copies the operator wants at least
	Most      uint32 // copies the operator wants at most; 0 any number
	Moving    uint32 // transfers under way
	Demand1m  uint32 // requests per hour in the mesh as far as this node knows, over about a minute
	Demand10m uint32 // the same over ten minutes
	Demand1h  uint32 // the same over an hour
	Rank      uint32 // by demand over an hour, the most wanted is 0
	Refetch   uint32 // s to get a copy from the best holder to this node; 0xffffffff nobody has it
	UsedAt    uint32 // ms; when it was last asked for; 0 never
}

// Copy: A copy of a model at a node (replicate).
type Copy struct {
	Model  uint16 // which, by its place in the models
	Node   uint16 // which, by its row
	State  uint32 // of the copy
	Part   uint32 // per mille of its bytes that are there
	HeldAt uint32 // ms; since when; 0 unknown
	UsedAt uint32 // ms; when it last answered; 0 never
	Flags  uint32 // of the copy
}

// Step: One action that replication answers with.
type Step struct {
	Op       uint16 // what to do
	Model    uint16 // which, by its place in the models
	Node     uint16 // where, by its row
	Source   uint16 // row of the node to fetch from; 0xffff any
	Priority uint32 // higher goes first
	Budget   uint32 // kbit/s it may take; 0 as the operator allows
}

// Event: What happened; handed to omx_event.
type Event struct {
	Kind     uint16 // what happened
	Flags    uint16 // of the request
	Clock    uint32 // ms; now on the clock of all fields named …At
	Now      uint64 // µs
	Request  uint64 // request id; 0 none
	Node     uint64 // handle; 0 none
	Model    uint64 // handle; 0 none
	Tenant   uint64 // handle; 0 anonymous
	Session  uint64 // conversation handle; 0 none
	Prompt   uint32 // prompt tokens
	Output   uint32 // output tokens so far
	First    uint32 // µs to the first token; 0 none yet
	Took     uint32 // µs so far
	RIF      uint32 // requests in flight at the node when it began this one, or that a probe told
	Latency  uint32 // µs: of a probe, what a request there takes to its first token
	Reason   uint32 // of a refusal: the policy's code
	Reserved uint32 // 0
}

// generated: end

const (
	// Magic is "OMX1", with which a view begins.
	Magic = 0x31584d4f
	// None as a figure or a row index: there is none.
	None = ^uint32(0)
	// Never is the score that keeps a row out of the picks.
	Never = ^uint32(0)
	// Most is the largest score a row can have and still be picked.
	Most = Never - 1
	// Any as the source of a step is any node that holds the model.
	Any = ^uint16(0)
	// Steps are the most an answer can have.
	Steps = 256
)

// What a policy reads of each row, for omx_wants.
const (
	LoadPart     uint64 = 64
	SeenPart     uint64 = 128
	MachinePart  uint64 = 192
	StandingPart uint64 = 256
)

// Want is an item of the extension, for omx_wants: LoadPart | Want(TagLabel).
func Want(tag uint32) uint64 { return 1 << (32 + tag) }

// View gives the fields of its header and the way to all else that is in it.
// Indexes are not checked: what is not there must not be asked for.
type View struct{ *Header }

// Open is the view at a place; ok is false if there is none.
func Open(view unsafe.Pointer, length uint32) (v View, ok bool) {
	h := (*Header)(view)
	if uintptr(length) < unsafe.Sizeof(*h) || h.Magic != Magic {
		return View{}, false
	}
	rows := uint64(h.Count)*uint64(h.Stride) + uint64(h.Header)
	return View{h}, rows <= uint64(h.Scores) && h.Scores <= length
}

func (v View) at(offset uint32) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(v.Header), offset) }

// Row is row i, below Count.
func (v View) Row(i uint32) *Row {
	return (*Row)(v.at(uint32(v.Header.Header) + i*uint32(v.Stride)))
}

// ModelAt is model i of a replicate view, below Models.
func (v View) ModelAt(i uint32) *Model { return (*Model)(v.at(v.ModelsAt + i*uint32(v.ModelStride))) }

// CopyAt is copy i of a replicate view, below Copies.
func (v View) CopyAt(i uint32) *Copy { return (*Copy)(v.at(v.CopiesAt + i*uint32(v.CopyStride))) }

// Step is step i of a replication answer, below Steps, to be filled in.
func (v View) Step(i uint32) *Step {
	return (*Step)(v.at(v.Scores + i*uint32(unsafe.Sizeof(Step{}))))
}

// Items gives the tags and values of the extension; a value is valid during the
// call, and lies at a multiple of 4.
func (v View) Items(yield func(tag uint32, value []byte) bool) {
	if v.Ext == 0 {
		return
	}
	rest := unsafe.Slice((*byte)(v.at(v.Ext)), v.ExtLen)
	for len(rest) >= 4 {
		tag, end := uint32(rest[0])|uint32(rest[1])<<8, 4+(int(rest[2])|int(rest[3])<<8)
		if end > len(rest) || !yield(tag, rest[4:end]) {
			return
		}
		rest = rest[min((end+3)&^3, len(rest)):]
	}
}

func (v View) score(i uint32) *uint32 { return (*uint32)(v.at(v.Scores + i*4)) }

// SetScore writes the score of row i.
func (v View) SetScore(i, score uint32) { *v.score(i) = score }

// Lowest answers with the row of the lowest score; of equal ones the first, of
// none but Never no candidate.
func (v View) Lowest() uint64 {
	best, pick := Never, None
	for i := range v.Count {
		if s := *v.score(i); s < best {
			best, pick = s, i
		}
	}
	if pick == None {
		return Answer(NoCandidate, 0)
	}
	return Answer(OK, pick)
}

// Age is the ms since a moment that a field named …At gives; None if it is 0: never.
func (h *Header) Age(at uint32) uint32 {
	if at == 0 {
		return None
	}
	return h.Clock - at
}

// Loaded tells that the model answers there now.
func (r *Row) Loaded() bool { return r.Flags&Loaded != 0 }

// Usable is neither draining nor suspect.
func (r *Row) Usable() bool { return r.Flags&(Draining|Suspect) == 0 }

// Requests are those there: by its own word, and sent since. Takes SeenPart.
func (r *Row) Requests() uint64 { return uint64(r.SentSince) + uint64(r.Queued) + uint64(r.Running) }

// Answer is a status and, with OK, a row index, a verdict or a number of steps.
func Answer(status, value uint32) uint64 { return uint64(status)<<32 | uint64(value) }

// Verdict is an admission answer: an action, the policy's own reason code and,
// with Shed, the wait in tenths of a second.
func Verdict(action uint32, reason uint8, wait uint16) uint64 {
	return Answer(OK, action|uint32(reason)<<8|uint32(wait)<<16)
}

// Clamp is a 64-bit sum as a score.
func Clamp(score uint64) uint32 { return uint32(min(score, uint64(Most))) }

// Hash is a well-mixed 64-bit hash of two numbers, for tie breaks and rendezvous.
func Hash(a, b uint64) uint64 {
	x := a ^ b*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// OpenEvent is an event as omx_event gets it.
func OpenEvent(event unsafe.Pointer) *Event { return (*Event)(event) }

// Params are the operator's parameters as omx_init gets them, valid during the call.
func Params(params unsafe.Pointer, length uint32) []byte {
	return unsafe.Slice((*byte)(params), length)
}
