package gguf

// Bounds of a header. Real files stay far below: the largest vocabularies have
// about 256 Ki tokens and 512 Ki merges, in 20 MB.
const (
	maxPairs   = 4096
	maxTensors = 64 << 10
	maxKey     = 1024     // the specification allows 65535; the longest seen have 60
	maxTexts   = 2 << 20  // in all arrays
	maxHeader  = 64 << 20 // all of it
	maxDims    = 4
	maxAlign   = 1 << 20

	// What is kept of a file.
	maxArchitecture = 64
	maxLabel        = 256       // a longer name or licence is left out
	maxTemplate     = 256 << 10 // the longest seen are about 20 KB
	maxToken        = 1024      // a longer begin or end token is left out

	// Figures beyond these are mistakes: the largest models have some 130 blocks
	// that are 16 Ki wide.
	maxBlocks = 1024
	maxWidth  = 1 << 24
)
