// Package engine runs models on this machine and says how fast and how busy they
// are.
//
// Local keeps one worker process for each model that is loaded, with a bounded queue
// before its slots: by priority, and in shares for tenants. It loads models when they
// are asked for, within a budget of memory, and unloads them when they are idle. Sim
// answers the same interface without a model, for tests and testnets. Group joins
// several engines behind one; package upstream has one that asks another server. All
// pass one conformance suite, package enginetest.
//
// Which request runs where is not decided here, and nothing here is reached from
// the network. Imported by node, cmd/omx and testnet; it imports node/catalog for
// names and records, and its own folders:
//
//	frame    what node and worker say to each other
//	worker   the worker process: llama.cpp, continuous batching
//	library  the engine libraries: pinned, installed, found, for each kind of GPU
//	libffi   a clear line when libffi is missing
//	gguf     the header of a model file, read with bounds
//	fit      what memory a model takes, and which layers go where
//	chat     conversations by the model's own template; thoughts and calls in answers
//	grammar  JSON schemas as grammars
//	text     tokens joined to text, ended by stop texts
//	demo     the demonstration model
//
// Two import this package:
//
//	upstream    an engine in front of another server
//	enginetest  the suite that every engine passes, for tests only
package engine
