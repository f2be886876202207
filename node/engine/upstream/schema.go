package upstream

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"omx/node/engine"
)

// patterns finds the patterns in a schema's JSON. Within strings the quotes of such a
// text have backslashes before them, so that it finds none there.
var patterns = regexp.MustCompile(`"pattern"\s*:\s*"(?:[^"\\]|\\.)*"`)

// rewritten is a schema with its patterns as a server can take them.
func rewritten(schema json.RawMessage, write func(pattern string) (string, error)) (json.RawMessage, error) {
	var failed error
	out := patterns.ReplaceAllFunc(schema, func(m []byte) []byte {
		var pattern string
		if json.Unmarshal(m[strings.IndexByte(string(m), ':')+1:], &pattern) != nil {
			return m
		}
		plain, err := write(pattern)
		if err != nil {
			failed = fmt.Errorf("%w: the upstream cannot hold to pattern %q of the schema: %w; leave it out", engine.ErrCannot, clean(pattern), err)
			return m
		}
		b, _ := json.Marshal(plain) // a string always can be
		return append([]byte(`"pattern":`), b...)
	})
	return out, failed
}

// plainGroups writes (?:…) as (…), which matches the same: llama.cpp took the former
// for a repetition of nothing until it was told better, and ended with a fault of
// memory. It refuses groups that look ahead, which no server holds to.
func plainGroups(pattern string) (string, error) {
	var b strings.Builder
	class := false
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		b.WriteByte(c)
		switch {
		case c == '\\' && i+1 < len(pattern):
			i++
			b.WriteByte(pattern[i])
		case c == '[' || c == ']':
			class = c == '['
		case c == '(' && !class && strings.HasPrefix(pattern[i:], "(?"):
			if !strings.HasPrefix(pattern[i:], "(?:") {
				return "", errAhead
			}
			i += len("?:")
		}
	}
	return b.String(), nil
}
