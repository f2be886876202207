package sign

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// message is what is signed of a module.
func message(code []byte) []byte {
	sum := sha256.Sum256(code)
	return append([]byte(domain), sum[:]...)
}

// Sign adds a signature of the module to a signature file, nil for a new one; an
// earlier signature by the same key is replaced.
func Sign(k Key, code, file []byte) ([]byte, error) {
	list, err := parseSignatures(file)
	if err != nil {
		return nil, err
	}
	id := k.Public().ID()
	list = slices.DeleteFunc(list, func(s signature) bool { return s.id == id })
	if len(list) >= maxKeys {
		return nil, fmt.Errorf("sign policy: it has %d signatures already, the most there can be", len(list))
	}
	list = append(list, signature{id, ed25519.Sign(k.private, message(code))})
	var out []byte
	for _, s := range list {
		out = fmt.Appendf(out, "%s %s %s\n", sigWord, s.id, base64.StdEncoding.EncodeToString(s.bytes))
	}
	return out, nil
}

type signature struct {
	id    string
	bytes []byte
}

func parseSignatures(file []byte) (list []signature, err error) {
	all, err := lines(file)
	if err != nil {
		return nil, fmt.Errorf("read signatures: %w", err)
	}
	for _, l := range all {
		if len(l.words) != 3 || l.words[0] != sigWord || !isID(l.words[1]) || len(list) == maxKeys {
			return nil, fmt.Errorf("read signatures: line %d is not %s KEYID BASE64: sign the policy again", l.number, sigWord)
		}
		b, err := decode(l.words[2], ed25519.SignatureSize)
		if err != nil {
			return nil, fmt.Errorf("read signatures: line %d: %w", l.number, err)
		}
		list = append(list, signature{l.words[1], b})
	}
	return list, nil
}

// isID tells whether a word can name a key. It comes from whoever wrote the file
// and is shown to people, so nothing but digits may pass.
func isID(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == idBytes && s == strings.ToLower(s)
}

// Trust says whose signatures count.
type Trust struct {
	all     bool // each of them must have signed, and not only one
	signers []signer
}

type signer struct {
	name string
	key  Public
}

// ParseTrust reads a trust file: lines of "omx-pub-1 BASE64 NAME", and "require
// all" or "require any", which is the default, at most once.
func ParseTrust(text []byte) (Trust, error) {
	var t Trust
	required := false
	all, err := lines(text)
	if err != nil {
		return t, fmt.Errorf("read trust: %w", err)
	}
	for _, l := range all {
		switch {
		case len(l.words) == 2 && l.words[0] == "require" && (l.words[1] == "all" || l.words[1] == "any"):
			if required {
				return t, fmt.Errorf("read trust: line %d says again what is required: leave one line", l.number)
			}
			required, t.all = true, l.words[1] == "all"
			continue
		case len(l.words) < 2 || l.words[0] != pubWord || len(t.signers) == maxKeys:
			return t, fmt.Errorf("read trust: line %d is not %s BASE64 NAME, or require all, or require any", l.number, pubWord)
		}
		key, err := decode(l.words[1], ed25519.PublicKeySize)
		if err != nil {
			return t, fmt.Errorf("read trust: line %d: %w", l.number, err)
		}
		s := signer{strings.Join(l.words[2:], " "), Public{key}}
		if s.name == "" {
			s.name = s.key.ID()
		}
		s.name = strings.ToValidUTF8(s.name[:min(len(s.name), maxName)], "")
		if slices.ContainsFunc(t.signers, func(o signer) bool { return o.key.key.Equal(s.key.key) }) {
			return t, fmt.Errorf("read trust: line %d names a key that is there already, and one person would count as two: remove it", l.number)
		}
		t.signers = append(t.signers, s)
	}
	if len(t.signers) == 0 {
		return t, errors.New("read trust: it names no key: add a line omx-pub-1 BASE64 NAME")
	}
	return t, nil
}

// Verify says who of those trusted has signed a module; the error says why that
// is not enough.
func (t Trust) Verify(code, file []byte) (names []string, err error) {
	list, err := parseSignatures(file)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("it is not signed, and a signature is required: sign it with: omx policy sign")
	}
	text := message(code)
	var missing, changed []string
	for _, s := range t.signers {
		switch tried, ok := s.signed(text, list); {
		case ok:
			names = append(names, s.name)
		case tried:
			changed = append(changed, s.name)
		default:
			missing = append(missing, s.name)
		}
	}
	switch {
	case len(names) > 0 && !t.all: // one is enough, whatever others signed before
		return names, nil
	case len(changed) > 0:
		return names, fmt.Errorf("it was changed after %s signed it: get the signed file, or have it signed again", strings.Join(changed, ", "))
	case len(names) == 0:
		return nil, fmt.Errorf("it is signed by %s, and none of these keys is trusted", ids(list))
	case len(missing) > 0:
		return names, fmt.Errorf("the signature of %s is missing, and all are required", strings.Join(missing, ", "))
	}
	return names, nil
}

// signed tells whether there is a signature by this key, and one that holds:
// files put together from several may have an older one too.
func (s signer) signed(text []byte, list []signature) (tried, ok bool) {
	id := s.key.ID()
	for _, sig := range list {
		if sig.id == id {
			tried = true
			if ed25519.Verify(s.key.key, text, sig.bytes) {
				return true, true
			}
		}
	}
	return tried, false
}

// maxShown keys are listed in a message.
const maxShown = 3

func ids(list []signature) string {
	var shown []string
	for _, s := range list[:min(len(list), maxShown)] {
		shown = append(shown, s.id)
	}
	if more := len(list) - len(shown); more > 0 {
		shown = append(shown, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(shown, ", ")
}
