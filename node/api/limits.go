package api

import "time"

// Bounds on what a client can make this node hold or wait for.
const (
	maxBody     = 4 << 20 // a prompt of about a million tokens
	maxDepth    = 64      // nested JSON; chat bodies need 4, the rest is for schemas
	maxMessages = 1024
	maxStops    = 16      // of one request, as engines take; OpenAI allows 4
	maxStop     = 256     // bytes of one stop string
	maxTokens   = 1 << 20 // asked for; engines have less
	maxHeader   = 64 << 10

	headerTimeout = 10 * time.Second // slow clients do not hold connections
	bodyTimeout   = 30 * time.Second // 4 MiB at 1.2 Mbit/s
	idleTimeout   = 2 * time.Minute
	writeTimeout  = 10 * time.Second // a client that reads nothing for this long is gone

	maxRequestID = 128 // of a client's x-request-id
)
