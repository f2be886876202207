// Package worker is the process that runs one model: what "omx worker" does.
//
// It loads llama.cpp and one model file, then answers requests that arrive as
// frames on standard input, several at once by continuous batching: each step
// decodes one token for every running request and a bounded piece of the prompts
// that are being read. It is a process of its own because a wrong call or a bad
// model file ends llama.cpp with abort(), which nothing in Go can catch.
//
// The worker ends at once when its standard input closes, so a node that is
// killed leaves no worker behind. It opens no socket.
//
// Not here: the queue, restarts and everything else a node decides (package
// engine). Imported by engine only.
package worker
