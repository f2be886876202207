// Package engine measures what serving a model costs beside the bare binding: the
// same model, library and settings in a process of its own whose loop decodes,
// takes the likeliest token and turns it into text, and nothing else. It takes
// decoding, reading prompts, the time to first token, prompts that begin the same,
// and what the loss of a worker costs. Package bench and the command line may
// import it.
package engine
