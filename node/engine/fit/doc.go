// Package fit says what memory a model will take before it is loaded, and which of
// its layers go where.
//
// Estimate is arithmetic on a file's header, checked in the tests against what
// llama.cpp allocates; Plan fills devices with layers as llama.cpp counts them.
// Nothing is measured or loaded here. It imports gguf of omx and nothing else.
package fit
