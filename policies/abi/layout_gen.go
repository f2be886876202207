// Code generated from omx1.schema; DO NOT EDIT.

package abi

// Version of the interface.
const (
	Major = 1
	Minor = 0
)

// Kind says which decision is asked for.
type Kind uint16

const (
	Admit     Kind = 1 // may this request in; one row: this node
	Route     Kind = 2 // which node serves it; a row per candidate
	Replicate Kind = 3 // which node keeps which model; a row per node
)

// KindNames are the names as the schema writes them.
var KindNames = [...]Name{
	{"admit", 1, "may this request in; one row: this node"},
	{"route", 2, "which node serves it; a row per candidate"},
	{"replicate", 3, "which node keeps which model; a row per node"},
}

// Status says how a decision ended.
type Status uint16

const (
	OK          Status = 0 // the value is the answer
	BadRequest  Status = 1 // the view cannot be read; the built-in rule decides
	NoCandidate Status = 2 // nobody should serve this
	Abstain     Status = 3 // no opinion: the built-in rule decides
	Unsupported Status = 4 // this kind is not decided here; the built-in rule decides
)

// StatusNames are the names as the schema writes them.
var StatusNames = [...]Name{
	{"ok", 0, "the value is the answer"},
	{"badRequest", 1, "the view cannot be read; the built-in rule decides"},
	{"noCandidate", 2, "nobody should serve this"},
	{"abstain", 3, "no opinion: the built-in rule decides"},
	{"unsupported", 4, "this kind is not decided here; the built-in rule decides"},
}

// Action says what admission says.
type Action uint8

const (
	Allow  Action = 0 // now
	Queue  Action = 1 // when a slot is free
	Shed   Action = 2 // later: come back after the wait
	Reject Action = 3 // never
)

// ActionNames are the names as the schema writes them.
var ActionNames = [...]Name{
	{"allow", 0, "now"},
	{"queue", 1, "when a slot is free"},
	{"shed", 2, "later: come back after the wait"},
	{"reject", 3, "never"},
}

// Op says what replication wants done.
type Op uint16

const (
	OpFetch  Op = 1 // the node gets a copy of the model
	OpDrop   Op = 2 // the node gives its copy up
	OpLoad   Op = 3 // the node makes the model answer, before anybody asks
	OpUnload Op = 4 // the node keeps the file but frees its memory
)

// OpNames are the names as the schema writes them.
var OpNames = [...]Name{
	{"fetch", 1, "the node gets a copy of the model"},
	{"drop", 2, "the node gives its copy up"},
	{"load", 3, "the node makes the model answer, before anybody asks"},
	{"unload", 4, "the node keeps the file but frees its memory"},
}

// EventKind says what happened.
type EventKind uint16

const (
	EventDispatched EventKind = 1  // a request was sent to a node
	EventFirst      EventKind = 2  // its first token came
	EventDone       EventKind = 3  // it ended well
	EventFailed     EventKind = 4  // the node broke it off
	EventProbed     EventKind = 5  // a node answered a probe
	EventJoined     EventKind = 6  // a node came up
	EventLeft       EventKind = 7  // a node went away
	EventTick       EventKind = 8  // a second has passed
	EventAdmitted   EventKind = 9  // a request was let in
	EventRefused    EventKind = 10 // a request was shed or rejected
)

// EventNames are the names as the schema writes them.
var EventNames = [...]Name{
	{"dispatched", 1, "a request was sent to a node"},
	{"first", 2, "its first token came"},
	{"done", 3, "it ended well"},
	{"failed", 4, "the node broke it off"},
	{"probed", 5, "a node answered a probe"},
	{"joined", 6, "a node came up"},
	{"left", 7, "a node went away"},
	{"tick", 8, "a second has passed"},
	{"admitted", 9, "a request was let in"},
	{"refused", 10, "a request was shed or rejected"},
}

// CopyState says of a copy of a model.
type CopyState uint16

const (
	StatePartial CopyState = 1 // some of it is there
	StateOnDisk  CopyState = 2 // all of it is there
	StateLoading CopyState = 3 // it is being loaded
	StateLoaded  CopyState = 4 // it answers
)

// StateNames are the names as the schema writes them.
var StateNames = [...]Name{
	{"partial", 1, "some of it is there"},
	{"onDisk", 2, "all of it is there"},
	{"loading", 3, "it is being loaded"},
	{"loaded", 4, "it answers"},
}

// Tag says of an item of the extension.
type Tag uint16

const (
	TagModelName    Tag = 1 // text
	TagTenantName   Tag = 2 // text
	TagLabel        Tag = 3 // text, key=value, of the request
	TagNodeLabel    Tag = 4 // u32 row, then text key=value
	TagZone         Tag = 5 // u32 zone in which the request must stay
	TagExcluded     Tag = 6 // u64 handle of a node that must not serve it
	TagPrefixBlocks Tag = 7 // per block of the prompt, in order: u64 hash of all up to its end, u32 tokens of it
	TagAlternate    Tag = 8 // u64 handle of a model that would do as well
	TagAdapter      Tag = 9 // u64 handle of the adapter asked for
)

// TagNames are the names as the schema writes them.
var TagNames = [...]Name{
	{"modelName", 1, "text"},
	{"tenantName", 2, "text"},
	{"label", 3, "text, key=value, of the request"},
	{"nodeLabel", 4, "u32 row, then text key=value"},
	{"zone", 5, "u32 zone in which the request must stay"},
	{"excluded", 6, "u64 handle of a node that must not serve it"},
	{"prefixBlocks", 7, "per block of the prompt, in order: u64 hash of all up to its end, u32 tokens of it"},
	{"alternate", 8, "u64 handle of a model that would do as well"},
	{"adapter", 9, "u64 handle of the adapter asked for"},
}

// Flags of a request.
const (
	Streamed  uint32 = 1 // the client reads tokens as they come
	FromPeer  uint32 = 2 // another node sent it here
	Estimated uint32 = 4 // the prompt token count is an estimate
)

// RequestFlagNames are the names as the schema writes them.
var RequestFlagNames = [...]Name{
	{"streamed", 1, "the client reads tokens as they come"},
	{"fromPeer", 2, "another node sent it here"},
	{"estimated", 4, "the prompt token count is an estimate"},
}

// Flags of a row.
const (
	Self        uint32 = 1   // this node
	Loaded      uint32 = 2   // the model answers now; without it, it must be loaded first
	Draining    uint32 = 4   // takes no new requests; the host never sends one there, whatever the policy says
	Suspect     uint32 = 8   // a request there has just failed
	Relayed     uint32 = 16  // reached through a third node
	Stored      uint32 = 32  // the model is on its disk
	Loading     uint32 = 64  // the model is being loaded there
	ExactPrefix uint32 = 128 // the prefix figure is the node's own and no estimate
	MeteredLink uint32 = 256 // traffic to it costs money
)

// RowFlagNames are the names as the schema writes them.
var RowFlagNames = [...]Name{
	{"self", 1, "this node"},
	{"loaded", 2, "the model answers now; without it, it must be loaded first"},
	{"draining", 4, "takes no new requests; the host never sends one there, whatever the policy says"},
	{"suspect", 8, "a request there has just failed"},
	{"relayed", 16, "reached through a third node"},
	{"stored", 32, "the model is on its disk"},
	{"loading", 64, "the model is being loaded there"},
	{"exactPrefix", 128, "the prefix figure is the node's own and no estimate"},
	{"meteredLink", 256, "traffic to it costs money"},
}

// Flags of a model.
const (
	ModelPinned uint32 = 1 // the operator wants it kept
	ModelHere   uint32 = 2 // this node holds a copy
)

// ModelFlagNames are the names as the schema writes them.
var ModelFlagNames = [...]Name{
	{"pinned", 1, "the operator wants it kept"},
	{"here", 2, "this node holds a copy"},
}

// Flags of a copy.
const (
	CopyVerified uint32 = 1 // its digest was checked
	CopyHeld     uint32 = 2 // the operator wants it kept there
)

// CopyFlagNames are the names as the schema writes them.
var CopyFlagNames = [...]Name{
	{"verified", 1, "its digest was checked"},
	{"held", 2, "the operator wants it kept there"},
}

// Sizes in bytes.
const (
	HeaderSize = 256
	RowSize    = 256
	ModelSize  = 64
	CopySize   = 24
	StepSize   = 16
	EventSize  = 88
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
	RowLoad
	RowSeen
	RowMachine
	RowStanding
}

// RowLoad: What it says of its load.
type RowLoad struct {
	Node    uint64 // handle
	Flags   uint32 // of the node
	Slots   uint32 // requests it serves at a time
	Queued  uint32 // requests waiting there
	Running uint32 // requests being served there
	LoadAt  uint32 // ms; when slots, queued, running and pending were sampled; 0 never
	Pending uint32 // prompt tokens that wait there or are being read
	Prefill uint32 // ns per prompt token
	Decode  uint32 // µs per output token of a request that is alone
	SpeedAt uint32 // ms; when prefill, decode and batch were measured; 0 never
	RTT     uint32 // µs of round trip
	RTTAt   uint32 // ms; 0 never
	Batch   uint32 // per mille of decode by which a token takes longer for each further request
	Ready   uint32 // ms until the model answers there; 0 at once
	Zone    uint32 // failure domain
}

// RowSeen: What this node has seen of it.
type RowSeen struct {
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
}

// RowMachine: What machine it is.
type RowMachine struct {
	MemFree   uint32 // MiB
	MemTotal  uint32 // MiB
	VramFree  uint32 // MiB
	VramTotal uint32 // MiB
	DiskFree  uint32 // MiB
	MachineAt uint32 // ms; when these were sampled; 0 never
	Up        uint32 // kbit/s it sends
	Down      uint32 // kbit/s it receives
	LinkAt    uint32 // ms; when those were measured; 0 never
	Loss      uint32 // lost packets per million
	RTTMin    uint32 // µs, shortest round trip of late
	RTTHigh   uint32 // µs, 95 of 100 round trips are shorter
	Device    uint32 // handle of its kind of machine; 0 unknown
	Power     uint32 // mW; 0 unknown
	Throttle  uint32 // per mille of speed lost to heat
	Battery   uint32 // per mille; 0xffffffff none
}

// RowStanding: How it stands.
type RowStanding struct {
	CoordX       int32  // µs, network coordinate
	CoordY       int32  // µs
	CoordHeight  uint32 // µs
	CoordError   uint32 // per mille; 0 unknown
	JoinedAt     uint32 // ms; when it was first heard of; 0 unknown
	UpAt         uint32 // ms; since when it has been up; 0 unknown
	Availability uint32 // per million of the time it is up; 0 unknown
	Reputation   uint32 // per mille of its promises kept; 0 unknown
	Region       uint32 // as the operator numbers them
	Site         uint32 // as the operator numbers them
	Asn          uint32 // autonomous system; 0 unknown
	Trust        uint32 // tier, as the operator numbers them
	Context      uint32 // tokens that a slot holds; 0 unknown
	ContextUsed  uint32 // tokens held in all slots
	Energy       uint32 // µJ per output token; 0 unknown
	Price        uint32 // millionths per thousand tokens; 0 unknown
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

// HeaderFields tells where each field of a Header lies.
var HeaderFields = [...]Field{
	{"magic", 0, 4, false, "`OMX1`, 0x31584d4f"},
	{"minor", 4, 2, false, "minor version of the host"},
	{"kind", 6, 2, false, "1 admit, 2 route, 3 replicate"},
	{"count", 8, 4, false, "rows"},
	{"stride", 12, 2, false, "bytes per row"},
	{"header", 14, 2, false, "bytes of this header: where the rows start"},
	{"scores", 16, 4, false, "bytes from the view's start to where the policy writes: a score per row (route), actions (replicate)"},
	{"ext", 20, 4, false, "bytes from the view's start to the extension; 0 none"},
	{"extLen", 24, 4, false, "bytes of the extension"},
	{"length", 28, 4, false, "bytes of the whole view"},
	{"now", 32, 8, false, "µs; the host's clock, of no fixed start"},
	{"seed", 40, 8, false, "for tie breaks and sampling"},
	{"request", 48, 8, false, "request id"},
	{"model", 56, 8, false, "model handle"},
	{"tenant", 64, 8, false, "tenant handle; 0 anonymous"},
	{"session", 72, 8, false, "conversation handle; 0 none"},
	{"affinity", 80, 8, false, "hash of the prompt's beginning, keyed per tenant; 0 none"},
	{"previous", 88, 8, false, "handle of the node that answered the conversation last; 0 none"},
	{"entry", 96, 8, false, "handle of the node whose client asked"},
	{"peer", 104, 8, false, "handle of the node that sent it here; 0 a client of this node"},
	{"clock", 112, 4, false, "ms; now on the clock of all fields named …At, which wraps after 49 days"},
	{"viewAt", 116, 4, false, "ms; when this picture of the mesh was put together"},
	{"prompt", 120, 4, false, "prompt tokens"},
	{"maxOut", 124, 4, false, "most output tokens asked for; 0 unknown"},
	{"expectOut", 128, 4, false, "output tokens expected"},
	{"spreadOut", 132, 4, false, "standard deviation of that; 0 unknown"},
	{"priority", 136, 4, true, "below 0 may be shed first"},
	{"class", 140, 4, false, "class of service, as the operator numbers them"},
	{"deadline", 144, 4, false, "ms left; 0 none"},
	{"wantFirst", 148, 4, false, "ms to the first token that are wanted; 0 none"},
	{"wantEach", 152, 4, false, "µs per output token that are wanted; 0 none"},
	{"flags", 156, 4, false, "of the request"},
	{"attempt", 160, 4, false, "earlier tries of this request"},
	{"hops", 164, 4, false, "nodes it has passed"},
	{"selfRow", 168, 4, false, "row of this node; 0xffffffff if it is no candidate"},
	{"turn", 172, 4, false, "turn of the conversation; 0 unknown"},
	{"clientRTT", 176, 4, false, "µs; 0 unknown"},
	{"nodes", 180, 4, false, "nodes known, up or not"},
	{"nodesUp", 184, 4, false, "nodes that are up"},
	{"skew", 188, 4, false, "ms by which clocks of nodes may differ; 0 unknown"},
	{"demand1m", 192, 4, false, "requests per hour for this model at this node, over about a minute"},
	{"demand10m", 196, 4, false, "the same over ten minutes"},
	{"demand1h", 200, 4, false, "the same over an hour"},
	{"replicas", 204, 4, false, "nodes that are up and hold the model"},
	{"saturation", 208, 4, false, "per mille of the slots of those nodes that are taken, by their last word"},
	{"queueTokens", 212, 4, false, "prompt tokens that wait at this node"},
	{"queueOldest", 216, 4, false, "ms that the oldest waiting request has waited at this node"},
	{"tenants", 220, 4, false, "tenants with a request at this node"},
	{"tenantInFlight", 224, 4, false, "requests of this tenant at this node"},
	{"tenantTokens", 228, 4, false, "tokens this tenant used at this node, over about a minute"},
	{"offered", 232, 4, false, "requests that asked to be admitted here in the last ten seconds or so"},
	{"admitted", 236, 4, false, "those of them that were"},
	{"modelsAt", 240, 4, false, "bytes from the view's start to the models (replicate)"},
	{"models", 244, 2, false, "how many"},
	{"modelStride", 246, 2, false, "bytes per model"},
	{"copiesAt", 248, 4, false, "bytes from the view's start to the copies (replicate)"},
	{"copies", 252, 2, false, "how many"},
	{"copyStride", 254, 2, false, "bytes per copy"},
}

// RowFields tells where each field of a Row lies.
var RowFields = [...]Field{
	{"node", 0, 8, false, "handle"},
	{"flags", 8, 4, false, "of the node"},
	{"slots", 12, 4, false, "requests it serves at a time"},
	{"queued", 16, 4, false, "requests waiting there"},
	{"running", 20, 4, false, "requests being served there"},
	{"loadAt", 24, 4, false, "ms; when slots, queued, running and pending were sampled; 0 never"},
	{"pending", 28, 4, false, "prompt tokens that wait there or are being read"},
	{"prefill", 32, 4, false, "ns per prompt token"},
	{"decode", 36, 4, false, "µs per output token of a request that is alone"},
	{"speedAt", 40, 4, false, "ms; when prefill, decode and batch were measured; 0 never"},
	{"rtt", 44, 4, false, "µs of round trip"},
	{"rttAt", 48, 4, false, "ms; 0 never"},
	{"batch", 52, 4, false, "per mille of decode by which a token takes longer for each further request"},
	{"ready", 56, 4, false, "ms until the model answers there; 0 at once"},
	{"zone", 60, 4, false, "failure domain"},
	{"sentSince", 64, 4, false, "requests sent there after loadAt that have not ended"},
	{"inFlight", 68, 4, false, "requests of this node there now"},
	{"inFlightTokens", 72, 4, false, "prompt and expected output tokens of those"},
	{"usedAt", 76, 4, false, "ms; when a request was last sent there; 0 never"},
	{"errors", 80, 4, false, "failures per thousand requests"},
	{"errorsAt", 84, 4, false, "ms; when the last request ended; 0 never"},
	{"first", 88, 4, false, "µs to the first token, moving average"},
	{"firstPeak", 92, 4, false, "µs, the same that rises at once and sinks over some ten seconds"},
	{"firstAt", 96, 4, false, "ms; 0 never"},
	{"each", 100, 4, false, "µs per output token, moving average"},
	{"done", 104, 4, false, "requests that ended well"},
	{"prefix", 108, 4, false, "prompt tokens of this request cached there"},
	{"prefixAt", 112, 4, false, "ms; when that was known; 0 never"},
	{"rif", 116, 4, false, "requests in flight there by its freshest word"},
	{"rifFirst", 120, 4, false, "µs to the first token seen at about as many in flight; 0 unknown"},
	{"rifAt", 124, 4, false, "ms; 0 never"},
	{"memFree", 128, 4, false, "MiB"},
	{"memTotal", 132, 4, false, "MiB"},
	{"vramFree", 136, 4, false, "MiB"},
	{"vramTotal", 140, 4, false, "MiB"},
	{"diskFree", 144, 4, false, "MiB"},
	{"machineAt", 148, 4, false, "ms; when these were sampled; 0 never"},
	{"up", 152, 4, false, "kbit/s it sends"},
	{"down", 156, 4, false, "kbit/s it receives"},
	{"linkAt", 160, 4, false, "ms; when those were measured; 0 never"},
	{"loss", 164, 4, false, "lost packets per million"},
	{"rttMin", 168, 4, false, "µs, shortest round trip of late"},
	{"rttHigh", 172, 4, false, "µs, 95 of 100 round trips are shorter"},
	{"device", 176, 4, false, "handle of its kind of machine; 0 unknown"},
	{"power", 180, 4, false, "mW; 0 unknown"},
	{"throttle", 184, 4, false, "per mille of speed lost to heat"},
	{"battery", 188, 4, false, "per mille; 0xffffffff none"},
	{"coordX", 192, 4, true, "µs, network coordinate"},
	{"coordY", 196, 4, true, "µs"},
	{"coordHeight", 200, 4, false, "µs"},
	{"coordError", 204, 4, false, "per mille; 0 unknown"},
	{"joinedAt", 208, 4, false, "ms; when it was first heard of; 0 unknown"},
	{"upAt", 212, 4, false, "ms; since when it has been up; 0 unknown"},
	{"availability", 216, 4, false, "per million of the time it is up; 0 unknown"},
	{"reputation", 220, 4, false, "per mille of its promises kept; 0 unknown"},
	{"region", 224, 4, false, "as the operator numbers them"},
	{"site", 228, 4, false, "as the operator numbers them"},
	{"asn", 232, 4, false, "autonomous system; 0 unknown"},
	{"trust", 236, 4, false, "tier, as the operator numbers them"},
	{"context", 240, 4, false, "tokens that a slot holds; 0 unknown"},
	{"contextUsed", 244, 4, false, "tokens held in all slots"},
	{"energy", 248, 4, false, "µJ per output token; 0 unknown"},
	{"price", 252, 4, false, "millionths per thousand tokens; 0 unknown"},
}

// ModelFields tells where each field of a Model lies.
var ModelFields = [...]Field{
	{"model", 0, 8, false, "handle"},
	{"bytes", 8, 8, false, "of its file"},
	{"flags", 16, 4, false, "of the model"},
	{"copies", 20, 4, false, "nodes that are up and hold all of it"},
	{"zones", 24, 4, false, "failure domains those are in"},
	{"least", 28, 4, false, "copies the operator wants at least"},
	{"most", 32, 4, false, "copies the operator wants at most; 0 any number"},
	{"moving", 36, 4, false, "transfers under way"},
	{"demand1m", 40, 4, false, "requests per hour in the mesh as far as this node knows, over about a minute"},
	{"demand10m", 44, 4, false, "the same over ten minutes"},
	{"demand1h", 48, 4, false, "the same over an hour"},
	{"rank", 52, 4, false, "by demand over an hour, the most wanted is 0"},
	{"refetch", 56, 4, false, "s to get a copy from the best holder to this node; 0xffffffff nobody has it"},
	{"usedAt", 60, 4, false, "ms; when it was last asked for; 0 never"},
}

// CopyFields tells where each field of a Copy lies.
var CopyFields = [...]Field{
	{"model", 0, 2, false, "which, by its place in the models"},
	{"node", 2, 2, false, "which, by its row"},
	{"state", 4, 4, false, "of the copy"},
	{"part", 8, 4, false, "per mille of its bytes that are there"},
	{"heldAt", 12, 4, false, "ms; since when; 0 unknown"},
	{"usedAt", 16, 4, false, "ms; when it last answered; 0 never"},
	{"flags", 20, 4, false, "of the copy"},
}

// StepFields tells where each field of a Step lies.
var StepFields = [...]Field{
	{"op", 0, 2, false, "what to do"},
	{"model", 2, 2, false, "which, by its place in the models"},
	{"node", 4, 2, false, "where, by its row"},
	{"source", 6, 2, false, "row of the node to fetch from; 0xffff any"},
	{"priority", 8, 4, false, "higher goes first"},
	{"budget", 12, 4, false, "kbit/s it may take; 0 as the operator allows"},
}

// EventFields tells where each field of a Event lies.
var EventFields = [...]Field{
	{"kind", 0, 2, false, "what happened"},
	{"flags", 2, 2, false, "of the request"},
	{"clock", 4, 4, false, "ms; now on the clock of all fields named …At"},
	{"now", 8, 8, false, "µs"},
	{"request", 16, 8, false, "request id; 0 none"},
	{"node", 24, 8, false, "handle; 0 none"},
	{"model", 32, 8, false, "handle; 0 none"},
	{"tenant", 40, 8, false, "handle; 0 anonymous"},
	{"session", 48, 8, false, "conversation handle; 0 none"},
	{"prompt", 56, 4, false, "prompt tokens"},
	{"output", 60, 4, false, "output tokens so far"},
	{"first", 64, 4, false, "µs to the first token; 0 none yet"},
	{"took", 68, 4, false, "µs so far"},
	{"rif", 72, 4, false, "requests in flight at the node when it began this one, or that a probe told"},
	{"latency", 76, 4, false, "µs: of a probe, what a request there takes to its first token"},
	{"reason", 80, 4, false, "of a refusal: the policy's code"},
	{"reserved", 84, 4, false, "0"},
}
