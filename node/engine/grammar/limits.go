package grammar

// Bounds on a schema and on what comes of it.
const (
	maxSchema     = 256 << 10 // bytes
	maxDepth      = 32        // schemas within one another, references followed
	maxGrammar    = 256 << 10 // bytes
	maxProperties = 256       // of one object
	maxChoices    = 256       // of one enum or anyOf
	maxRepeat     = 1024      // minItems and such: each costs the engine a rule

	// Bounds on the figures that limit numbers.
	maxFigure   = 400 // characters of one
	maxExponent = 400 // above what any float64 has
)
