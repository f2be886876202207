// Package api is the HTTP surface of one node: the shapes of OpenAI
// (chat completions, completions, responses, embeddings), Anthropic (messages)
// and Ollama (all but push), ranking as Jina and Cohere have it, the lists of
// models, what changes them, health, and views for the command line.
//
// Each shape is an adapter around one request core: it parses a body into a
// Chat, hands it to a Chatter and writes what comes back in its own format:
// text, thoughts, calls of tools and likely tokens, each where that API's clients
// look for them. What an API has and this node has not is refused by name; what is
// not known is ignored. headers.go lists the headers of an answer. The package
// decides nothing and knows no engine, mesh or policy. Package node imports it; it
// imports node/catalog for names and node/keys for who may ask.
package api
