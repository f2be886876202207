// Package chat turns a conversation with tools into the text that a model was
// trained on, and what a model writes back into answer, thoughts and tool calls.
//
// A Template is the Jinja source that a model's file carries. What it cannot
// express, such as tools or a system message, is found out when it is compiled
// and said in other words when it is rendered. A Parser reads the answer while it
// comes; what it does not understand stays text. Grammar forces a model to call.
//
// The Jinja library bounds neither memory nor the depth of values: loops, macros
// and output are bounded here, the rest is not. A template is part of a model's
// file, so render it where a crash costs that model only: in its worker process.
package chat
