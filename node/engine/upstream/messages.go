package upstream

import (
	"slices"
	"strconv"

	"omx/node/engine"
)

// linked are the messages with both an id and a name at each call and at each
// result: OpenAI's servers go by the one, Ollama by the other, and a client has
// given what its own API has.
func linked(messages []engine.Message) []engine.Message {
	out := slices.Clone(messages)
	var open []engine.Call // calls without a result yet
	n := 0
	for i := range out {
		m := &out[i]
		if len(m.Calls) > 0 {
			m.Calls, open = slices.Clone(m.Calls), nil
		}
		for j := range m.Calls {
			c := &m.Calls[j]
			if n++; c.ID == "" {
				c.ID = "call_" + strconv.Itoa(n)
			}
			if len(c.Arguments) == 0 {
				c.Arguments = []byte("{}")
			}
			open = append(open, *c)
		}
		if m.Role != "tool" {
			continue
		}
		at := slices.IndexFunc(open, func(c engine.Call) bool {
			return m.CallID == c.ID || m.CallID == "" && (m.Name == c.Name || m.Name == "")
		})
		if at >= 0 {
			m.CallID, m.Name = open[at].ID, open[at].Name
			open = slices.Delete(open, at, at+1)
		}
	}
	return out
}
