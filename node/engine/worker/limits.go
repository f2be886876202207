package worker

import "time"

const (
	// batchTokens is the most one step decodes. llama.cpp aborts the process
	// when a batch is longer than the n_batch its context was made with, so both
	// come from here. 512 is llama.cpp's own physical batch.
	batchTokens = 512
	// promptStep is how long reading prompts may hold up running answers in one
	// step, and thus how late a cancelled request gives its slot back.
	promptStep = 50 * time.Millisecond
	// minChunk keeps slow machines moving: fewer tokens at once waste most of a
	// step on reading the weights.
	minChunk   = 16
	firstChunk = 64 // before the speed is known

	// Vectors are made of that many tokens at a time, and of so many texts; see
	// openEmbedder. 2,048 are about three pages.
	maxEmbedTokens = 2048
	maxEmbedTexts  = 32

	// MaxSlots bounds the requests that run at once: each needs its own part of
	// the context memory, and a step must have room for all of them.
	MaxSlots    = 64
	inputBuffer = 64 << 10 // bytes read from the node at once: most requests fit

	// maxTokenBytes is about the longest text of one token in known
	// vocabularies (runs of spaces); longer prompts are refused unread.
	maxTokenBytes = 256
	// maxTemplate bounds the conversation as text, before it is tokenised.
	maxTemplate = 64 << 20

	// Bounds on how tokens are drawn; beyond them all answers are alike.
	maxTemperature    = 100
	maxPenalty        = 100
	minRepeat         = 0.01
	defaultRepeatLast = 64 // tokens that are looked back on, for each token

	// minShared is how many tokens another slot must have beyond the best free one
	// for its memory to be copied: that moves the whole slot's, about as much work as
	// reading tens of tokens.
	minShared = 64

	// leastShift is the part of a context that a shift must find behind what is kept, a
	// quarter: it moves the memory of all slots, so it must not come every few tokens.
	// In four slots of 2,048 tokens of the demonstration model it took 14 to 22 ms, as
	// much as about five steps (one thread; 2026-11).
	leastShift = 4

	// maxLogLine bounds what is copied of one log line.
	maxLogLine = 4096

	// progressStep is by how much a model must have been loaded further, per mille,
	// for it to be told.
	progressStep = 20

	maxDevices = 64      // told of one machine: no mainboard has as many
	maxMaps    = 4 << 20 // bytes of /proc/self/maps: a line of 100 for each mapping

	// ratesEvery is how often measured speeds are sent while requests run.
	ratesEvery = 250 * time.Millisecond
	aliveEvery = 5 * time.Second
)
