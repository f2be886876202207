package chat

import (
	"strings"
	"testing"
)

// What a parser has given of an answer, wherever it was cut, reads back the same when
// it is joined again, or as its beginning, where a mark may be beginning.
func TestRejoin(t *testing.T) {
	for name, c := range map[string]struct {
		source, answer string
		inThought      bool
	}{
		"text":            {"<think>", "It is a < b, and <b> too.", false},
		"thought":         {"<think>", "<think>\nWell, a\n\nb </thin> c.\n</think>\n\nIt is so.", false},
		"open thought":    {"<think>", "Well.\n</think>\n\nIt is so.", true},
		"no thought":      {"<think>", "\n</think>\n\nIt is so.", true},
		"mistral":         {"[THINK]", "[THINK]Well.[/THINK]It is so.", false},
		"command":         {"<|START_THINKING|>", "<|START_THINKING|>Well.<|END_THINKING|> It is so.", false},
		"mark in a text":  {"<think>", "<think>\nx\n</think>\n\nThe mark <think> is one.", false},
		"unmarked blanks": {"<think>", "<think>x</think>   y  \n z", false},
	} {
		t.Run(name, func(t *testing.T) {
			for cut := 1; cut <= len(c.answer); cut++ {
				var thought, text string
				read := func(from []Piece, thought, text *string) {
					for _, p := range from {
						if p.Thought {
							*thought += p.Text
						} else {
							*text += p.Text
						}
					}
				}
				read(NewParser(ParserOptions{InThought: c.inThought}).Add(c.answer[:cut]), &thought, &text)
				written, ok := Rejoin(c.source, c.inThought, thought, text)
				if !ok {
					t.Fatal("refused")
				}
				var again, said string
				read(NewParser(ParserOptions{InThought: c.inThought}).Add(written), &again, &said)
				if !strings.HasPrefix(thought, again) || !strings.HasPrefix(text, said) || len(thought)-len(again) > 20 || len(text)-len(said) > 20 {
					t.Errorf("cut at %d: thought %q, text %q; from %q again %q and %q", cut, thought, text, written, again, said)
				}
			}
		})
	}
	if _, ok := Rejoin("a <|channel|> b", false, "", "x"); ok {
		t.Error("channels are joined")
	}
}
