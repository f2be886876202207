package grammar

// Bounds on a schema and on what comes of it.
const (
	maxSchema     = 256 << 10 // bytes
	maxDepth      = 32        // schemas within one another, references followed
	maxGrammar    = 256 << 10 // bytes
	maxProperties = 256       // of one object
	maxChoices    = 256       // of one enum or anyOf
	maxRepeat     = 1024      // minItems and such: each costs the engine a rule

	// Bounds on a pattern. Its length also bounds the work that its classes make.
	maxPattern = 1024 // characters
	maxGroups  = 64   // within one another
	maxCount   = 1024 // of one {m,n}, as maxRepeat
	maxSize    = 8192 // nodes of its tree, once counts are written out
	maxStates  = 2048 // of its automaton; each is up to one rule of the grammar
	// maxSteps is over all patterns and steps of a grammar: what is looked at while
	// automata are made. A usual one takes 10,000 at most; so many take tens of
	// milliseconds.
	maxSteps = 1 << 18

	// Bounds on the figures that limit numbers.
	maxFigure   = 400 // characters of one
	maxExponent = 400 // above what any float64 has

	// maxUnits bounds multipleOf, in units of its last place: ten times it fits into 64
	// bits, with a digit's worth to spare.
	maxUnits = 100_000_000_000_000_000
)
