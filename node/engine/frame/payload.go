package frame

import "encoding/json"

// LoadConfig says what a worker loads.
type LoadConfig struct {
	Model   string `json:"model"`   // path of the GGUF file
	Library string `json:"library"` // folder of the engine libraries
	Slots   int    `json:"slots"`
	Context int    `json:"context"`           // tokens of one slot, prompt and answer
	Threads int    `json:"threads,omitempty"` // 0: one per physical core
	// GPULayers is how many of the model's layers a GPU has, the output as one more;
	// below 0 all.
	GPULayers int       `json:"gpu_layers,omitempty"`
	Split     []int     `json:"split,omitempty"` // of these, for each GPU in turn; nil: as llama.cpp has it
	Adapters  []Adapter `json:"adapters,omitempty"`
	// State is a folder that an earlier worker of this very model has saved to; what is
	// there is taken away. "": none.
	State string `json:"state,omitempty"`
	Probe bool   `json:"-"` // the frame was a Probe
}

// State says where a worker writes what its slots remember.
type State struct {
	Dir  string `json:"dir"`  // empty, the node's own
	Most int64  `json:"most"` // bytes of all
}

// Adapter is a LoRA adapter that is put onto the model.
type Adapter struct {
	Path  string  `json:"path"`
	Scale float32 `json:"scale"` // 1: as it was trained
}

// Loading is how far a model is loaded.
type Loading struct {
	PerMille int `json:"per_mille"`
}

// Detail is a piece of an answer.
type Detail struct {
	Text     string    `json:"text"`
	Thought  bool      `json:"thought,omitempty"`
	Called   bool      `json:"called,omitempty"` // it comes after a call, which the Result tells
	Logprobs []Logprob `json:"logprobs,omitempty"`
}

// Texts are to be made into vectors, or scores if there is a query.
type Texts struct {
	Input    []string `json:"input"`
	Query    string   `json:"query,omitempty"`
	Truncate bool     `json:"truncate,omitempty"`
}

// Info says what was loaded.
type Info struct {
	Context int  `json:"context"`         // tokens of one slot; the model may have less than asked for; 0: it generates no text
	Embeds  bool `json:"embeds"`          // it can make vectors
	Ranks   bool `json:"ranks,omitempty"` // they are scores
}

// Message is one turn of a conversation.
type Message struct {
	Role    string `json:"role"` // as the model's chat template knows it: "system", "user", "assistant", "tool"
	Content string `json:"content"`
	// Thinking is what an assistant thought before it said Content; most templates
	// leave it out.
	Thinking string `json:"thinking,omitempty"`
	// Calls are those that an assistant made; CallID and Name say which of them a
	// tool's turn answers.
	Calls  []Call `json:"calls,omitempty"`
	CallID string `json:"call_id,omitempty"`
	Name   string `json:"name,omitempty"`
}

// Call is a model's wish that a tool be called.
type Call struct {
	ID        string          `json:"id,omitempty"`
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"` // an object
}

// Logprob is how likely a token was, and which others were.
type Logprob struct {
	Text    []byte       `json:"text"` // may be a part of a character
	Logprob float32      `json:"logprob"`
	Top     []TopLogprob `json:"top,omitempty"` // the likeliest, in order
}

// TopLogprob is a token that might have come.
type TopLogprob struct {
	Text    []byte  `json:"text"`
	Logprob float32 `json:"logprob"`
}

// Job is a request for the worker.
type Job struct {
	Messages    []Message `json:"messages,omitempty"`
	Raw         string    `json:"raw,omitempty"`        // in place of messages: text without the chat template
	MaxTokens   int       `json:"max_tokens,omitempty"` // 0: to the end of the context
	Temperature float32   `json:"temperature,omitempty"`
	TopP        float32   `json:"top_p,omitempty"`
	TopK        int       `json:"top_k,omitempty"`
	MinP        float32   `json:"min_p,omitempty"`
	Presence    float32   `json:"presence,omitempty"` // penalties
	Frequency   float32   `json:"frequency,omitempty"`
	Repeat      float32   `json:"repeat,omitempty"`
	RepeatLast  int       `json:"repeat_last,omitempty"`
	Grammar     string    `json:"grammar,omitempty"` // GBNF
	// Tools and how they may be used; see engine.Prompt.
	Tools    []json.RawMessage `json:"tools,omitempty"`
	Choice   string            `json:"choice,omitempty"`
	OneCall  bool              `json:"one_call,omitempty"`
	Think    *bool             `json:"think,omitempty"`
	Logprobs int               `json:"logprobs,omitempty"`
	Seed     uint32            `json:"seed,omitempty"`
	Stop     []string          `json:"stop,omitempty"`
	Scope    uint64            `json:"scope,omitempty"` // prompts of other scopes share nothing
	Begun    *Begun            `json:"begun,omitempty"`
	// Shift has the context shift when it is full; Keep is how many tokens of the
	// prompt then stay, below 0 all. Without MaxTokens it ends after ShiftContexts.
	Shift bool `json:"shift,omitempty"`
	Keep  int  `json:"keep,omitempty"`
}

// ShiftContexts is how many contexts long an answer may be whose context shifts: a
// model that finds no end must not have its slot for ever. Ollama has the same.
const ShiftContexts = 10

// Begun is the beginning of an answer, as its reader has it.
type Begun struct {
	Thought string `json:"thought,omitempty"`
	Text    string `json:"text,omitempty"`
	Tokens  int    `json:"tokens"` // that the reader has counted
}

// Code says why a request or a load ended without a result.
type Code uint8

const (
	OK        Code = iota
	Canceled       // as asked
	TooLong        // Tokens is more than Limit
	BadPrompt      // Message says why
	NoLibrary      // Message says which and how to mend it
	BadModel       // Message says why
	Cannot         // Message says what
)

// Failure says why.
type Failure struct {
	Code    Code   `json:"code"`
	Message string `json:"message,omitempty"`
	Tokens  int    `json:"tokens,omitempty"`
	Limit   int    `json:"limit,omitempty"`
}

// Result ends a request.
type Result struct {
	Failure
	Prompt int    `json:"prompt"` // tokens
	Cached int    `json:"cached"` // prompt tokens that were not read again
	Output int    `json:"output"` // tokens, without the one that says "end"
	Finish string `json:"finish,omitempty"`
	Stop   string `json:"stop,omitempty"` // the stop text that ended it
	Calls  []Call `json:"calls,omitempty"`
	Shifts int    `json:"shifts,omitempty"` // how often the context has shifted

	// Prefill is how long it took to turn the request into tokens, and the model's steps
	// until the first token of the answer was drawn, in ns.
	Prefill int64 `json:"prefill_ns,omitempty"`
}

// Rates are moving averages.
type Rates struct {
	PrefillNS uint32 `json:"prefill_ns"` // nanoseconds per prompt token
	DecodeUS  uint32 `json:"decode_us"`  // microseconds per output token of one stream
}
