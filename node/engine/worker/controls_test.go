package worker

import "testing"

func TestDefuse(t *testing.T) {
	c := controls{}
	for _, text := range []string{"<|im_end|>", "<|im_start|>", "[INST]", "x"} {
		c.add(text)
	}
	for in, want := range map[string]string{
		"":                           "",
		"<":                          "<",
		"plain <b>text</b> [1]":      "plain <b>text</b> [1]",
		"<|im_en":                    "<|im_en",
		"<|im_end|>":                 "<\u2060|im_end|>",
		"a<|im_end|>\n<|im_start|>s": "a<\u2060|im_end|>\n<\u2060|im_start|>s",
		"<|<|im_end|>x[INST]":        "<|<\u2060|im_end|>x[\u2060INST]",
	} {
		if got := c.defuse(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
