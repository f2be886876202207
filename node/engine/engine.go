package engine

import (
	"context"
	"errors"
	"time"

	"omx/node/catalog"
	"omx/node/engine/library"
)

// Message is one turn of a conversation.
type Message struct {
	Role    string `json:"role"` // as the model's chat template knows it: "system", "user", "assistant"
	Content string `json:"content"`
}

// Prompt is what an engine needs to answer. It also crosses the mesh.
type Prompt struct {
	Model    catalog.ModelID `json:"model"`
	Messages []Message       `json:"messages,omitempty"`
	// Raw is text to go on from as it is, without the model's chat template; then
	// there are no Messages.
	Raw string `json:"raw,omitempty"`
	// MaxTokens ends the answer; 0 or less means at the end of the context.
	MaxTokens int `json:"max_tokens,omitempty"`
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
	// Seed 0 lets the engine draw one.
	Seed uint32 `json:"seed,omitempty"`
	// Stop are texts that end the answer and are not part of it; at most 16.
	Stop []string `json:"stop,omitempty"`
	// Scope is whose prompt it is. What was read for one prompt serves the next
	// that begins the same only within a scope: else the time to the first token
	// would tell one tenant what another has asked.
	Scope uint64 `json:"scope,omitempty"`
}

// Token is a piece of an answer: valid UTF-8, never empty. A slow reader gets
// several tokens as one.
type Token struct {
	Text string
	N    int // output tokens that the text covers
}

// Finish says why an answer ended.
type Finish string

const (
	FinishStop   Finish = "stop"   // the model said so, or a stop text came
	FinishLength Finish = "length" // MaxTokens or the end of the context
)

// Usage is what a request took. Spans are nanoseconds in JSON.
type Usage struct {
	PromptTokens int           `json:"prompt_tokens"`
	CachedTokens int           `json:"cached_tokens"` // of the prompt's, that did not have to be read
	OutputTokens int           `json:"output_tokens"` // without the one that says "end"
	QueueWait    time.Duration `json:"queue_wait"`    // until a slot was free
	TTFT         time.Duration `json:"ttft"`          // from the call to the first text
	Total        time.Duration `json:"total"`
	Finish       Finish        `json:"finish"`
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
}

// Engine answers prompts. Its methods may be called at once from anywhere.
type Engine interface {
	// Generate answers p, calling emit for each piece in turn. An error of emit
	// and the end of ctx end the request and are returned; the slot is free
	// within one step of the model then (100 ms where a token takes less). The
	// usage is right as far as it goes when there is an error, too.
	Generate(ctx context.Context, p *Prompt, emit func(Token) error) (Usage, error)
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
)
