package chat

const (
	maxSource  = 256 << 10 // bytes of a template; the longest known have 25 KiB
	maxTag     = 32 << 10  // bytes between braces: what is in there nests, on the stack
	maxNesting = 64        // brackets within one another in a tag
	maxDepth   = 64        // macros within one another; they read schemas, which are less deep
	maxSteps   = 1 << 18   // rounds of loops and calls of macros in one rendering; real ones take some thousand
	maxOutput  = 8 << 20   // bytes of a conversation; far more than any context holds
	maxWritten = 64 << 20  // bytes written on the way: what macros return is written again by their callers
	maxValue   = 128       // levels of JSON in tools and arguments

	maxTools = 256       // of one request
	maxCall  = 256 << 10 // bytes of a call, held back until it is whole
	maxSpace = 4 << 10   // blanks held back, as they are dropped before a call
	maxHead  = 256       // bytes of a message header of gpt-oss
)
