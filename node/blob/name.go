package blob

import (
	"errors"
	"fmt"
	"strings"

	"omx/node/catalog"
)

const (
	namePrefix = "m-" // no hidden file, and none that Windows keeps for a device
	nameSuffix = ".json"
)

// fileName is the file of a model's manifest. It can be read by people, names the
// model in one way only, and has no capital letters: on file systems that do not
// tell A from a, two models stay two files.
//
//	/ ,    : =    A _a    _ __    a-z 0-9 . - @ +  themselves
func fileName(m catalog.ModelID) (string, error) {
	if m.IsZero() {
		return "", fmt.Errorf("the empty name %w: name a model", ErrBadName)
	}
	var b strings.Builder
	b.WriteString(namePrefix)
	for _, c := range []byte(m.String()) {
		switch {
		case c == '/':
			b.WriteByte(',')
		case c == ':':
			b.WriteByte('=')
		case c == '_':
			b.WriteString("__")
		case 'A' <= c && c <= 'Z':
			b.WriteByte('_')
			b.WriteByte(c | 0x20)
		case plain(c):
			b.WriteByte(c)
		default: // a ModelID has no others; should it get some, they must not reach a path
			return "", fmt.Errorf("model %q %w: it contains %q", m, ErrBadName, c)
		}
	}
	b.WriteString(nameSuffix)
	if b.Len() > maxFileName {
		return "", fmt.Errorf("model %q %w: use fewer capital letters and _", m, ErrBadName)
	}
	return b.String(), nil
}

// modelOf is fileName backwards. What fileName does not make is refused.
func modelOf(file string) (catalog.ModelID, error) {
	s, ok1 := strings.CutPrefix(file, namePrefix)
	s, ok2 := strings.CutSuffix(s, nameSuffix)
	if !ok1 || !ok2 {
		return catalog.ModelID{}, errors.New("is not named as a manifest is")
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == ',':
			c = '/'
		case c == '=':
			c = ':'
		case c == '_' && i+1 < len(s) && s[i+1] == '_':
			i++
		case c == '_' && i+1 < len(s) && 'a' <= s[i+1] && s[i+1] <= 'z':
			i++
			c = s[i] &^ 0x20
		case !plain(c):
			return catalog.ModelID{}, fmt.Errorf("is not named as a manifest is: it has %q", c)
		}
		b = append(b, c)
	}
	return catalog.ParseModelID(string(b))
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte(".-@+", c) >= 0
}
