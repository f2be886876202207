// Package api is the HTTP surface of one node: the shapes of OpenAI
// (chat completions, completions, responses), Anthropic (messages) and Ollama
// (chat, generate), the lists of models, health, and views for the command line.
//
// Each shape is an adapter around one request core: it parses a body into a
// Chat, hands it to a Chatter and writes what comes back in its own format. The
// package decides nothing and knows no engine, mesh or policy. Package node
// imports it; it imports node/catalog for names.
package api
