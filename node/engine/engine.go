package engine

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"omx/node/catalog"
	"omx/node/engine/frame"
	"omx/node/engine/library"
)

// What crosses to the worker as it is belongs to package frame.
type (
	Message    = frame.Message    // one turn of a conversation
	Call       = frame.Call       // a model's wish that a tool be called
	Logprob    = frame.Logprob    // how likely a token was, and which others were
	TopLogprob = frame.TopLogprob // a token that might have come
	Begun      = frame.Begun      // the beginning of an answer
)

// Choice says whether an answer may, must or must not call tools.
type Choice string

// Any other Choice is the name of the tool that must be called, behind "=".
const (
	ChoiceAuto     Choice = ""
	ChoiceNone     Choice = "none"
	ChoiceRequired Choice = "required"
)

// Prompt is what an engine needs to answer. It also crosses the mesh.
type Prompt struct {
	Model    catalog.ModelID `json:"model"`
	Messages []Message       `json:"messages,omitempty"`
	// Raw is text to go on from as it is, without the model's chat template; then
	// there are no Messages.
	Raw string `json:"raw,omitempty"`
	// MaxTokens ends the answer; 0 or less means at the end of the context.
	MaxTokens int `json:"max_tokens,omitempty"`
	// Shift has an answer that fills its context go on: of the tokens behind the first
	// NumKeep of the prompt, half are forgotten. It ends with ShiftContexts times the
	// context then. Below 0, NumKeep is the whole prompt; a mark of a text's beginning
	// is not counted, and stays. Whoever cannot returns ErrCannot.
	Shift   bool `json:"shift,omitempty"`
	NumKeep int  `json:"num_keep,omitempty"`
	// Temperature 0 always takes the likeliest token; the rest is then unused.
	Temperature float32 `json:"temperature,omitempty"`
	TopP        float32 `json:"top_p,omitempty"` // 0 or from 1: all
	TopK        int     `json:"top_k,omitempty"` // 0: all
	MinP        float32 `json:"min_p,omitempty"` // 0: all
	// Penalties for tokens that are among the last RepeatLast: 0 none. RepeatPenalty
	// divides, 1 and 0 are none; RepeatLast 0 is 64, -1 the whole context.
	PresencePenalty  float32 `json:"presence_penalty,omitempty"`
	FrequencyPenalty float32 `json:"frequency_penalty,omitempty"`
	RepeatPenalty    float32 `json:"repeat_penalty,omitempty"`
	RepeatLast       int     `json:"repeat_last,omitempty"`
	// Grammar in GBNF restricts the answer.
	Grammar string `json:"grammar,omitempty"`
	// Schema is what Grammar was made of, for engines that take no GBNF: a JSON
	// schema, or "json" in quotes for any JSON.
	Schema json.RawMessage `json:"schema,omitempty"`
	// Tools that the model may call, each as OpenAI has it: {"type":"function",…}.
	Tools []json.RawMessage `json:"tools,omitempty"`
	// Choice is of Tools; OneCall allows at most one call.
	Choice  Choice `json:"choice,omitempty"`
	OneCall bool   `json:"one_call,omitempty"`
	// Think turns a model's thinking on or off where its template can; nil leaves
	// it as the template has it.
	Think *bool `json:"think,omitempty"`
	// Logprobs is how many of the likeliest tokens to tell for each token of the
	// answer, beside that one itself: 0 none are told, 1 only its own, at most 21.
	Logprobs int `json:"logprobs,omitempty"`
	// Seed 0 lets the engine draw one.
	Seed uint32 `json:"seed,omitempty"`
	// Stop are texts that end the answer and are not part of it; at most 16.
	Stop []string `json:"stop,omitempty"`
	// Claim is about the queue; Tenant is set from Scope, Cost from the rest.
	Claim Claim `json:"-"`
	// Keep is how long the model is to stay loaded after this; below 0 for good, nil
	// as it is. It is for other servers: of its own models Local is told by Keep.
	Keep *time.Duration `json:"-"`
	// Scope is whose prompt it is. What was read for one prompt serves the next
	// that begins the same only within a scope: else the time to the first token
	// would tell one tenant what another has asked.
	Scope uint64 `json:"scope,omitempty"`
	// Begun, if there is one, is how another engine has begun this very answer. The
	// engine goes on from there and says none of it again; MaxTokens and the usage
	// count it. Whoever cannot returns ErrCannot.
	Begun *Begun `json:"begun,omitempty"`
}

// Token is a piece of an answer: valid UTF-8, never empty. A slow reader gets
// several tokens as one.
type Token struct {
	Text    string
	N       int  // output tokens that the text covers
	Thought bool // what the model thinks before it answers
	Called  bool // it comes after a call of a tool, which only the end tells
	// Logprobs are of the tokens that the text covers, if the prompt asks for them.
	Logprobs []Logprob
}

// Finish says why an answer ended.
type Finish string

const (
	FinishStop   Finish = "stop"   // the model said so, or a stop text came
	FinishLength Finish = "length" // MaxTokens or the end of the context
)

// ShiftContexts is how many contexts long an answer may be whose context shifts.
const ShiftContexts = frame.ShiftContexts

// Usage is what a request took. Spans are nanoseconds in JSON.
type Usage struct {
	PromptTokens int           `json:"prompt_tokens"`
	CachedTokens int           `json:"cached_tokens"`     // of the prompt's, that did not have to be read
	OutputTokens int           `json:"output_tokens"`     // without the one that says "end"
	QueueWait    time.Duration `json:"queue_wait"`        // until a slot was free
	TTFT         time.Duration `json:"ttft"`              // from the call to the first text
	Prefill      time.Duration `json:"prefill,omitempty"` // of it, what the model took up to the first token; 0: not known
	Total        time.Duration `json:"total"`
	Finish       Finish        `json:"finish"`
	Stop         string        `json:"stop,omitempty"`   // the stop text that ended the answer
	Calls        []Call        `json:"calls,omitempty"`  // of tools; no part of the text
	Shifts       int           `json:"shifts,omitempty"` // how often the context has shifted, as far as it is known
}

// EmbedRequest asks for the meaning of texts as vectors.
type EmbedRequest struct {
	Model catalog.ModelID `json:"model"`
	Input []string        `json:"input"` // at most 2048
	// Truncate cuts what is too long for the model; else that is ErrTooLong.
	Truncate bool `json:"truncate,omitempty"`
	// Query, if there is one, asks how well each input answers it instead: vectors
	// then have one number. Only models made for ranking can.
	Query string         `json:"query,omitempty"`
	Claim Claim          `json:"-"` // about the queue
	Keep  *time.Duration `json:"-"` // as of a Prompt
}

// Embeddings are vectors of length 1, one for each input in order; scores are as
// the model gives them.
type Embeddings struct {
	Vectors      [][]float32   `json:"vectors"`
	PromptTokens int           `json:"prompt_tokens"`
	QueueWait    time.Duration `json:"queue_wait"`
	Total        time.Duration `json:"total"`
}

// Status is what an engine says of one of its models.
type Status struct {
	ID      catalog.ModelID
	Digest  string // SHA-256 of the file, hex; "" until it is known
	Bytes   int64
	State   catalog.State
	Err     string        // why the model cannot be used; "" if it can
	Load    catalog.Load  // At is not set: the figures are of now
	Speed   catalog.Speed // measured; zero until a request ran; At is not set
	Context int           // tokens of one request, prompt and answer; 0 until loaded
	// Memory is how many bytes the model takes when it is loaded, as estimated; VRAM
	// how many of them on GPUs.
	Memory, VRAM int64
	Progress     int           // of loading, per mille
	Expires      time.Time     // when it is unloaded, if nobody asks; zero: not by itself, or not loaded
	Pinned       bool          // never unloaded for others
	Wait         time.Duration // how long one more request would wait for a slot; 0 if it is not known
	Embeds       bool          // it can make embeddings
	Writes       bool          // it can write text
	GPULayers    int           // layers on GPUs, the output as one more
	Modified     time.Time     // of the file
	Details      Details
}

// Details is what a model's file or server says of it, as far as it does.
type Details struct {
	Family       string // architecture: "llama", "qwen3"
	Parameters   string // as people say it: "7.2B"
	Quantization string // "Q4_K_M"
	Template     string // chat template
	Trained      int    // tokens of context the model was made for
	Tools        bool   // the template knows of tools
	Thinks       bool   // the template knows of thoughts
}

// SetAside is in Status.Err of a model that has crashed too often.
const SetAside = "set aside until the node starts again"

// Engine answers prompts. Its methods may be called at once from anywhere.
type Engine interface {
	// Generate answers p, calling emit for each piece in turn. An error of emit
	// and the end of ctx end the request and are returned; the slot is free
	// within one step of the model then (100 ms where a token takes less). The
	// usage is right as far as it goes when there is an error, too.
	Generate(ctx context.Context, p *Prompt, emit func(Token) error) (Usage, error)
	// Embed makes embeddings, or scores.
	Embed(ctx context.Context, r *EmbedRequest) (Embeddings, error)
	// Count tells how many tokens a prompt has for its model.
	Count(ctx context.Context, p *Prompt) (int, error)
	// Models lists the models in the order they were configured.
	Models() []Status
	// Close ends all requests with ErrLost and waits for what the engine started.
	Close() error
}

// Errors of Generate, for errors.Is. Messages say more.
var (
	ErrNoModel   = errors.New("model cannot be used here")
	ErrNoLibrary = library.ErrMissing // the message ends with the command that mends it
	ErrBusy      = errors.New("engine queue is full")
	ErrLost      = errors.New("engine lost the request")
	ErrTooLong   = errors.New("prompt is longer than the model's context")
	ErrBadPrompt = errors.New("prompt cannot be used")
	ErrNoMemory  = errors.New("there is not enough memory for the model")
	ErrCannot    = errors.New("the model or its engine cannot do this")
)
