package engine

import (
	"fmt"
	"time"
)

const (
	maxMessages = 4096      // turns of one conversation
	maxPrompt   = 8 << 20   // bytes of one prompt: what the API takes in one request
	maxBegun    = 1 << 24   // tokens of an answer: longer than any context
	maxStops    = 16        // stop texts of one request: the largest API has 4
	maxGrammar  = 256 << 10 // bytes: of a JSON schema with hundreds of fields
	maxStop     = 1024      // bytes of one; each token is compared with all
	maxModels   = 64        // per node: one process each
	maxTools    = 256       // of one request; each costs prompt tokens
	maxToolSize = 256 << 10 // bytes of all tools of a request
	maxLogprobs = 21        // a token and the 20 that OpenAI allows
	usualOutput = 256       // tokens of an answer, for its place in a queue
	maxInputs   = 2048      // texts to embed in one request, as OpenAI allows

	// maxTenants is for how many tenants a queue remembers how much they had, before
	// it forgets those who have no more than others.
	maxTenants = 1024
	paceShare  = 8                      // weight of the past in how fast a queue moves
	idlePoll   = 100 * time.Millisecond // before a busy model is looked at again

	// maxPending is what a worker may be ahead of a slow reader, in bytes. A
	// context of 64 Ki tokens is about 256 KiB of text.
	maxPending = 4 << 20
	// logprobSize is about what the likely tokens of one token take there.
	logprobSize = 2 << 10
	// maxStderr is what is kept of a worker's last words.
	maxStderr = 4 << 10

	loadTimeout  = 10 * time.Minute // a model of 100 GB from a disk that gives 200 MB/s
	probeTimeout = time.Minute      // drivers of several GPUs take seconds each
	writeTimeout = 10 * time.Second // a worker reads at once, or it hangs
	closeTimeout = 2 * time.Second  // from the end of stdin to the kill

	maxState         = 2 << 30          // bytes of what one model remembers on disk: a context of 16 Ki tokens of an 8 B model
	saveTimeout      = 30 * time.Second // for writing that to a slow disk
	defaultKeepAlive = 5 * time.Minute  // as Ollama has it
	// defaultHang is far above the longest step: 512 prompt tokens of a large model on
	// a small machine take tens of seconds. Workers speak at least every five.
	defaultHang = 2 * time.Minute

	// After a crash the worker starts again, later each time; a model that has
	// crashed its worker maxCrashes times within crashWindow is set aside: it
	// would only take the machine's time.
	firstBackoff = 250 * time.Millisecond
	maxBackoff   = 5 * time.Second
	maxCrashes   = 3
	crashWindow  = time.Minute

	// libraryEvery is how often missing engine libraries are looked for, so that
	// installing them needs no restart.
	libraryEvery = 2 * time.Second
)

// check refuses prompts that are out of bounds before anything is kept of them.
func (p *Prompt) check() error {
	size := len(p.Raw)
	for i := range p.Messages {
		size += sizeOf(&p.Messages[i])
	}
	if p.Begun != nil {
		size += len(p.Begun.Thought) + len(p.Begun.Text)
	}
	tools := 0
	for _, t := range p.Tools {
		tools += len(t)
	}
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrBadPrompt}, args...)...)
	}
	switch {
	case len(p.Messages) == 0 && p.Raw == "":
		return bad("it has no messages")
	case len(p.Messages) > 0 && p.Raw != "":
		return bad("it has messages, and text to go on from as well")
	case len(p.Messages) > maxMessages:
		return bad("it has %d messages, at most %d", len(p.Messages), maxMessages)
	case size > maxPrompt:
		return bad("it has %d bytes, at most %d", size, maxPrompt)
	case len(p.Grammar) > maxGrammar:
		return bad("its grammar has %d bytes, at most %d", len(p.Grammar), maxGrammar)
	case len(p.Schema) > maxGrammar:
		return bad("its JSON schema has %d bytes, at most %d", len(p.Schema), maxGrammar)
	case len(p.Tools) > maxTools || tools > maxToolSize:
		return bad("it has %d tools of %d bytes, at most %d of %d", len(p.Tools), tools, maxTools, maxToolSize)
	case p.Raw != "" && len(p.Tools) > 0:
		return bad("tools go with messages only")
	case p.Logprobs < 0 || p.Logprobs > maxLogprobs:
		return bad("it asks for %d likely tokens, at most %d", p.Logprobs, maxLogprobs)
	case p.Begun != nil && (p.Begun.Tokens < 0 || p.Begun.Tokens > maxBegun):
		return bad("its answer has begun with %d tokens, at most %d", p.Begun.Tokens, maxBegun)
	case p.Begun != nil && p.Logprobs > 0:
		return fmt.Errorf("%w: an answer with the likelihood of its tokens cannot be gone on with", ErrCannot)
	case len(p.Stop) > maxStops:
		return bad("it has %d stop texts, at most %d", len(p.Stop), maxStops)
	}
	for _, s := range p.Stop {
		if len(s) > maxStop {
			return bad("a stop text has %d bytes, at most %d", len(s), maxStop)
		}
	}
	return nil
}

func sizeOf(m *Message) int {
	n := len(m.Role) + len(m.Content) + len(m.Thinking) + len(m.CallID) + len(m.Name)
	for i := range m.Calls {
		n += len(m.Calls[i].ID) + len(m.Calls[i].Name) + len(m.Calls[i].Arguments)
	}
	return n
}

func (r *EmbedRequest) check() error {
	size := len(r.Query)
	for _, text := range r.Input {
		size += len(text)
		if text == "" {
			return fmt.Errorf("%w: an input is empty", ErrBadPrompt)
		}
	}
	if len(r.Input) == 0 || len(r.Input) > maxInputs || size > maxPrompt {
		return fmt.Errorf("%w: it has %d inputs of %d bytes, at most %d of %d", ErrBadPrompt, len(r.Input), size, maxInputs, maxPrompt)
	}
	return nil
}

// claim is the prompt's, completed.
func (p *Prompt) claim() Claim {
	c := p.Claim
	size := len(p.Raw)
	for i := range p.Messages {
		size += sizeOf(&p.Messages[i])
	}
	out := p.MaxTokens
	if out <= 0 {
		out = usualOutput
	}
	c.Tenant, c.Cost = p.Scope, uint32(size/4+min(out, usualOutput))
	return c
}
