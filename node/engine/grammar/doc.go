// Package grammar turns JSON schemas into the grammars by which llama.cpp
// restricts an answer (GBNF). It reads schemas of clients and trusts nothing in
// them: depth, size and what comes of them are bounded, and a keyword that would
// change the answer and is not known is an error, not silence. Package node may
// import it.
package grammar
