package api

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"omx/node/catalog"
)

// Message is one turn of a conversation.
type Message struct {
	Role, Content string
	Thinking      string // of an assistant's turn
	Calls         []Call // of an assistant's turn
	CallID, Name  string // of a tool's turn: which call it answers, and of which tool
}

// Call is a model's wish that a tool be called.
type Call struct {
	ID, Name  string
	Arguments json.RawMessage // an object
}

// Chat is a request in the form all API shapes share. Nil means that the client
// did not say.
type Chat struct {
	Model     catalog.ModelID
	Tenant    catalog.Tenant
	Messages  []Message
	Raw       string // text to go on from as it is, without the model's chat template; then there are no Messages
	MaxTokens int    // 0: until the model ends or its context is full
	// Shift has an answer that fills its context go on: half of what is behind the
	// prompt's first NumKeep tokens, -1 all of them, is forgotten then.
	Shift       bool
	NumKeep     *int
	Temperature *float32
	TopP        *float32
	TopK        *int
	MinP        *float32
	// Penalties for tokens that came before: llama.cpp's presence, frequency and
	// repeat penalty, over the last RepeatLast tokens.
	PresencePenalty, FrequencyPenalty, RepeatPenalty *float32
	RepeatLast                                       *int

	Seed *uint32
	Stop []string
	// Format is "json" in quotes for any JSON, or a JSON schema that the answer must
	// meet; nil: free text.
	Format json.RawMessage
	// Tools that the model may call, each as OpenAI has it: {"type":"function",…}.
	Tools []json.RawMessage
	// Choice is "" (the model decides), "none", "required", or "=" and the name of the
	// tool to call. OneCall allows at most one call.
	Choice  string
	OneCall bool
	// Think turns a model's thinking on or off, where it can.
	Think *bool
	// Logprobs is how many of the likeliest tokens to tell for each token of the
	// answer, beside that itself: 0 none are told, 1 only its own, at most 21.
	Logprobs int
	// KeepAlive is how long the model stays loaded after this; below 0 for good, 0
	// not at all.
	KeepAlive *time.Duration
	Stream    bool
	// Priority below 0 may be shed first; Class is of service, as the operator
	// numbers them.
	Priority int32
	Class    uint32
	// Deadline is how long after Arrived the answer must have begun; 0 none.
	Deadline time.Duration
	Arrived  time.Time
	// EstimatedPromptTokens counts a token per four bytes of text.
	EstimatedPromptTokens int
}

// Meta says who answers and why; it goes into response headers.
type Meta struct {
	Node     catalog.NodeID
	NodeName string
	Decision string // for GET /omx/v1/decisions/
	Policy   string
	// Queue is how long the request waited for a slot, TTFT how long the client
	// for the first token; 0 where that is not known yet.
	Queue, TTFT time.Duration
}

// Result is how a request ended. Finish is "stop" or "length".
type Result struct {
	PromptTokens, OutputTokens int
	CachedTokens               int // of the prompt's, that did not have to be read
	Finish                     string
	Stop                       string // the stop text that ended the answer, if one did
	Calls                      []Call // of tools; none of them is in the text
	QueueWait, TTFT, Total     time.Duration
	Prefill                    time.Duration // what the model itself took up to the first token; 0: not known
	Resumed                    int           // how often another node went on with the answer
}

// Token is a piece of an answer: text that N tokens read as.
type Token struct {
	Text     string
	N        int
	Thought  bool // what the model thinks before it answers
	Logprobs []Logprob
}

// Logprob is how likely a token was, and which others were.
type Logprob struct {
	Text    []byte // may be a part of a character
	Logprob float32
	Top     []TopLogprob // the likeliest, in order
}

// TopLogprob is a token that might have come.
type TopLogprob struct {
	Text    []byte
	Logprob float32
}

// Reply takes an answer as it comes. Begin is called once, before the first
// Token; an error of either means that the client is gone.
type Reply interface {
	Begin(m Meta) error
	Token(t Token) error
}

// Embedding is a request for the meaning of texts as vectors, or, with a Query,
// for how well each of them answers it.
type Embedding struct {
	Chat     // Model, Tenant, Priority, Class, Deadline, Arrived, KeepAlive only
	Input    []string
	Query    string
	Truncate bool // cut what is too long; else that is an error
}

// Vectors is what an Embedding gives: a vector of length 1 for each input, or its
// score alone.
type Vectors struct {
	Meta         Meta
	Vectors      [][]float32
	PromptTokens int
	Total        time.Duration
}

// Chatter answers requests. Errors that a client should understand are *Error.
type Chatter interface {
	Chat(ctx context.Context, c *Chat, reply Reply) (Result, error)
	Embed(ctx context.Context, e *Embedding) (Vectors, error)
	CountTokens(ctx context.Context, c *Chat) (int, error)
}

// Inspector tells what the node knows.
type Inspector interface {
	Nodes() []NodeView
	Models() []ModelView
	Decision(id uint64) (DecisionView, bool)
}

// Error is a failure in words for the client. Code is short and stable.
type Error struct {
	Status     int
	Code       string
	Message    string
	Param      string        // the field at fault, if one is
	RetryAfter time.Duration // 0: no hint
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Message) }

// NodeView is a node as GET /omx/v1/nodes lists it.
type NodeView struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Self      bool     `json:"self,omitempty"`
	State     string   `json:"state"`          // "up", "suspect", "draining" or "down"
	Through   bool     `json:"through_others"` // known through others only: a request there connects first
	Addrs     []string `json:"addrs,omitempty"`
	RTTMillis *float64 `json:"rtt_ms,omitempty"`
	Relay     string   `json:"relay,omitempty"` // the node through which it is connected
	Zone      uint32   `json:"zone"`
	Models    []string `json:"models"`
}

// ModelView is a model as GET /omx/v1/models lists it.
type ModelView struct {
	ID      string       `json:"id"`
	Digest  string       `json:"digest"`
	Bytes   int64        `json:"bytes"`
	Holders []HolderView `json:"holders"`
	// What is known of the model's insides; "" and 0 where it is not.
	Family       string `json:"family,omitempty"`       // architecture: "qwen3"
	Parameters   string `json:"parameters,omitempty"`   // as people say it: "7.2B"
	Quantization string `json:"quantization,omitempty"` // "Q4_K_M"
	Context      int    `json:"context,omitempty"`      // tokens of one request
	Trained      int    `json:"trained,omitempty"`      // tokens of context that the model was made for
	// Of this node's own copy, if it has one.
	Template string     `json:"template,omitempty"`   // chat template
	Memory   int64      `json:"memory,omitempty"`     // bytes that it takes when loaded
	VRAM     int64      `json:"vram,omitempty"`       // of these on GPUs
	Progress int        `json:"progress,omitempty"`   // of loading, per mille
	Wait     float64    `json:"wait_ms,omitempty"`    // how long one more request would wait for a slot, about
	Expires  *time.Time `json:"expires_at,omitempty"` // when it is unloaded, if nobody asks; nil: not by itself
	Modified *time.Time `json:"modified_at,omitempty"`
	// Capabilities are "completion", "tools", "thinking", "embedding", "vision".
	Capabilities []string `json:"capabilities,omitempty"`
}

// HolderView is a copy of a model on a node.
type HolderView struct {
	Node  string `json:"node"`
	Name  string `json:"name"`
	State string `json:"state"` // "loaded", "loading" or "on disk"
	Error string `json:"error,omitempty"`
	// Requests in a slot, those that wait for one, and slots, as the node said last.
	Running uint32 `json:"running"`
	Queued  uint32 `json:"queued"`
	Slots   uint32 `json:"slots"`
}

// DecisionView is a route decision with what the policy saw.
type DecisionView struct {
	ID         string          `json:"id"`
	At         time.Time       `json:"at"`
	Policy     string          `json:"policy"`
	Status     string          `json:"status"`
	TookNS     int64           `json:"took_ns"`
	Fuel       uint64          `json:"fuel"`
	Candidates []CandidateView `json:"candidates"`
	Node       string          `json:"node,omitempty"` // who answered
	Tries      int             `json:"tries"`
	TTFTMillis float64         `json:"ttft_ms"`
	Tokens     int             `json:"tokens"`
	Resumed    int             `json:"resumed,omitempty"` // how often another node went on with the answer
	Error      string          `json:"error,omitempty"`
}

// CandidateView is one row of the view. An age of nil: never sampled; a score of
// nil: left out.
type CandidateView struct {
	Node              string  `json:"node"`
	Name              string  `json:"name"`
	Self              bool    `json:"self,omitempty"`
	Pick              int     `json:"pick,omitempty"` // 1 is tried first
	Score             *uint32 `json:"score"`
	RTTUS             uint32  `json:"rtt_us"`
	RTTAgeMS          *uint32 `json:"rtt_age_ms"`
	Queued            uint32  `json:"queued"`
	Running           uint32  `json:"running"`
	Slots             uint32  `json:"slots"`
	LoadAgeMS         *uint32 `json:"load_age_ms"`
	SentSince         uint32  `json:"sent_since"`
	InFlight          uint32  `json:"in_flight"`
	PrefillNSPerToken uint32  `json:"prefill_ns_per_token"`
	DecodeUSPerToken  uint32  `json:"decode_us_per_token"`
	SpeedAgeMS        *uint32 `json:"speed_age_ms"`
	ErrorsPerMille    uint32  `json:"errors_per_mille"`
}
