package chat

import "strings"

// thinking is how models mark what they think, as their templates have it.
var thinking = [...]struct{ begin, end string }{{"<think>", "</think>"}, {"[THINK]", "[/THINK]"}, {"<|START_THINKING|>", "<|END_THINKING|>"}}

// Rejoin writes the beginning of an answer as a model with that template has written
// it, of which a Parser gave a thought and a text. Blanks around marks, which parsers
// drop, are those that models write mostly. It returns false for templates with
// other marks.
func Rejoin(source string, inThought bool, thought, text string) (string, bool) {
	if strings.Contains(source, "<|channel|>") {
		return "", false // gpt-oss marks text, too
	}
	if !inThought && thought == "" {
		return text, true
	}
	mark := thinking[0]
	for _, m := range thinking {
		if strings.Contains(source, m.begin) {
			mark = m
			break
		}
	}
	out := thought
	if !inThought {
		out = mark.begin + "\n" + thought
	}
	if text != "" {
		out += "\n" + mark.end + "\n\n" + text
	}
	return out, true
}
