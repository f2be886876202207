package upstream

import "time"

const (
	defaultSlots = 4
	maxSlots     = 1024 // requests that a server gets at once

	maxLine   = 1 << 20   // bytes of one piece of a stream: a token's 20 likeliest are 2 KiB
	maxStream = 256 << 20 // bytes of one answer: a context of 100,000 tokens with those
	maxList   = 8 << 20   // bytes of a list of models; a model's details may hold its licence
	maxEmbed  = 256 << 20 // bytes: 2048 vectors of 8192 numbers in decimal
	maxCount  = 16 << 20  // bytes: a million tokens as numbers
	maxError  = 16 << 10  // bytes that are read of an error
	maxSaid   = 200       // bytes that are told of it
	maxKey    = 4 << 10   // bytes of a key

	maxModels    = 64       // that are listed, as many as other engines have
	maxListed    = 1024     // that a list may have: some servers offer everything there is
	maxTemplate  = 64 << 10 // bytes of a chat template that is kept
	maxSkipped   = 256      // names that are remembered as told
	maxCalls     = 64       // of tools in one answer
	maxCallName  = 256      // bytes of a call's name, and of its id
	maxArguments = 1 << 20  // bytes of all calls' arguments
	maxTop       = 20       // likely tokens that are told for one
	maxVector    = 1 << 16  // numbers of one
	maxTokens    = 1 << 30  // a count above is none
	maxWait      = time.Minute
	maxTries     = 3   // of a request whose connection was closed before it came
	maxRanges    = 128 // of characters, in a set of a pattern
	maxShown     = 8   // models whose details are asked for in one check: it must stay short

	// openAIStops is how many stop texts OpenAI's API takes; most servers take more.
	openAIStops = 4
	// rawTokens is the length of an answer to bare text if neither the request nor
	// the server says one: OpenAI's default of 16 is for other times.
	rawTokens = 2048

	// firstBackoff is the wait after a server was first found not to answer; it
	// doubles up to maxBackoff.
	firstBackoff = time.Second
	maxBackoff   = 15 * time.Second
	// drainTimeout is how long the end of a connection's answer is waited for after
	// its last event, so that the connection can be used again.
	drainTimeout = 50 * time.Millisecond
	maxDrain     = 4 << 10
)
