package api

import "time"

// Bounds on what a client can make this node hold or wait for.
const (
	maxBody     = 4 << 20 // a prompt of about a million tokens
	maxDepth    = 64      // nested JSON; chat bodies need 4, the rest is for schemas
	maxMessages = 4096    // as engines take; a tool and its result are two
	maxStops    = 16      // of one request, as engines take; OpenAI allows 4
	maxStop     = 256     // bytes of one stop string
	maxTokens   = 1 << 20 // asked for; engines have less
	maxHeader   = 64 << 10

	maxTools     = 256       // of one request, as engines take; OpenAI allows 128
	maxToolBytes = 256 << 10 // of all of them: they are a part of the prompt
	maxCalls     = 128       // of one turn of an assistant
	maxCallID    = 256       // bytes
	maxTop       = 20        // likely tokens beside each of the answer's own, as OpenAI allows

	pieceSize = 64 << 10             // bytes that are written at once; thousands of vectors are 100 MiB of JSON
	maxInputs = 2048                 // texts to embed or to rank in one request, as OpenAI allows
	maxWidth  = 1 << 16              // numbers of a vector; models make 256 to 8192
	maxKeep   = 365 * 24 * time.Hour // of a model in memory; for longer there is "for good"

	maxBlob      = 1 << 40          // bytes of one file of a model; the largest in one file are half of that
	maxFiles     = 64               // of one model: parts and adapters
	maxFileName  = 255              // bytes, as file systems have it
	maxSource    = 2048             // bytes of an address to fetch a model from
	stallTimeout = 30 * time.Second // a client that sends nothing of a file for this long is gone
	// progressEvery is how often a download tells how far it is: eyes see no more.
	progressEvery = 100 * time.Millisecond

	headerTimeout = 10 * time.Second // slow clients do not hold connections
	bodyTimeout   = 30 * time.Second // 4 MiB at 1.2 Mbit/s
	idleTimeout   = 2 * time.Minute
	writeTimeout  = 10 * time.Second // a client that reads nothing for this long is gone

	maxRequestID = 128 // of a client's x-request-id
)
