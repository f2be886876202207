package worker

import (
	"strings"

	"github.com/hybridgroup/yzma/pkg/llama"
)

// controls are the texts of the tokens that steer a model, "<|im_end|>" and the like,
// by their first two bytes.
type controls map[string][]string

func controlsOf(v llama.Vocab) controls {
	c := controls{}
	for t := range llama.VocabNTokens(v) {
		if llama.VocabIsControl(v, llama.Token(t)) {
			c.add(llama.VocabGetText(v, llama.Token(t)))
		}
	}
	return c
}

func (c controls) add(text string) {
	if len(text) >= 2 {
		c[text[:2]] = append(c[text[:2]], text)
	}
}

// wordJoiner is a character without width or meaning.
const wordJoiner = "\u2060"

// defuse breaks up what would steer the model if it were read as the template's own:
// whoever writes a message could else end it and go on as the assistant or the system.
func (m *loaded) defuse(s string) string { return m.controls.defuse(s) }

func (c controls) defuse(s string) string {
	var out strings.Builder
	from := 0
	for i := 0; i+2 <= len(s); i++ {
		for _, text := range c[s[i:i+2]] {
			if strings.HasPrefix(s[i:], text) {
				out.WriteString(s[from : i+1])
				out.WriteString(wordJoiner)
				from = i + 1
				break
			}
		}
	}
	if from == 0 {
		return s
	}
	out.WriteString(s[from:])
	return out.String()
}
