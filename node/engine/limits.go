package engine

import (
	"fmt"
	"time"
)

const (
	maxMessages = 4096      // turns of one conversation
	maxPrompt   = 8 << 20   // bytes of one prompt: what the API takes in one request
	maxStops    = 16        // stop texts of one request: the largest API has 4
	maxGrammar  = 256 << 10 // bytes: of a JSON schema with hundreds of fields
	maxStop     = 1024      // bytes of one; each token is compared with all
	maxModels   = 64        // per node: one process each

	// maxPending is what a worker may be ahead of a slow reader, in bytes. A
	// context of 64 Ki tokens is about 256 KiB of text.
	maxPending = 4 << 20
	// maxStderr is what is kept of a worker's last words.
	maxStderr = 4 << 10

	loadTimeout  = 10 * time.Minute // a model of 100 GB from a disk that gives 200 MB/s
	writeTimeout = 10 * time.Second // a worker reads at once, or it hangs
	closeTimeout = 2 * time.Second  // from the end of stdin to the kill

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
		size += len(p.Messages[i].Role) + len(p.Messages[i].Content)
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
