// Package upstream answers by means of another server: one that speaks OpenAI's
// API (vLLM, llama-server, SGLang, LM Studio, another omx), or Ollama by its own.
//
// The server is asked every few seconds which models it has; while it does not
// answer, its models are listed with the reason. What it sends is foreign: every
// line, answer and number has a bound. Redirects are not followed, since they
// would take the key elsewhere, and no error or log line has text of a prompt.
//
// Imported by node; it imports node/engine, node/catalog and node/files.
package upstream
