package blob

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"omx/node/catalog"
	"omx/node/files"
)

// Manifest is what a model's name points at.
type Manifest struct {
	Model  catalog.ModelID `json:"model"`
	Digest Digest          `json:"digest"`
	Bytes  int64           `json:"bytes"`            // of the file; Set fills it in
	Source string          `json:"source,omitempty"` // where it came from, for people: at most MaxSource bytes
	Added  time.Time       `json:"added"`            // UTC; Set fills in a zero one
	// Adapters are further blobs that the model is served with, at most MaxAdapters.
	Adapters []Digest        `json:"adapters,omitempty"`
	Params   json.RawMessage `json:"params,omitempty"` // a JSON object of at most MaxParams bytes, or nothing
}

// Validate says what is wrong with a manifest.
func (m *Manifest) Validate() error {
	if _, err := fileName(m.Model); err != nil {
		return err
	}
	switch {
	case m.Digest.IsZero():
		return fmt.Errorf("model %s: a zero digest %w", m.Model, ErrBadName)
	case m.Bytes < 0 || m.Bytes > MaxBlob:
		return fmt.Errorf("model %s: %d bytes are not possible; 0 to %d are", m.Model, m.Bytes, int64(MaxBlob))
	case len(m.Source) > MaxSource || !utf8.ValidString(m.Source) || strings.ContainsFunc(m.Source, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("model %s: its source is not one line of at most %d bytes", m.Model, MaxSource)
	case m.Added.Year() < 1 || m.Added.Year() > 9999:
		return fmt.Errorf("model %s: it was added in the year %d; write 1 to 9999", m.Model, m.Added.Year())
	case len(m.Adapters) > MaxAdapters || slices.ContainsFunc(m.Adapters, Digest.IsZero):
		return fmt.Errorf("model %s: its %d adapters are not possible; name at most %d blobs", m.Model, len(m.Adapters), MaxAdapters)
	case len(m.Params) > MaxParams:
		return fmt.Errorf("model %s: its parameters have %d bytes, %d are possible", m.Model, len(m.Params), MaxParams)
	case len(m.Params) > 0 && (!json.Valid(m.Params) || bytes.TrimLeft(m.Params, " \t\r\n")[0] != '{'):
		return fmt.Errorf("model %s: its parameters are no JSON object", m.Model)
	}
	return nil
}

// sealed is a file that knows whether it is whole.
type sealed struct {
	SHA256 string          `json:"sha256"` // of the bytes of Body
	Body   json.RawMessage `json:"omx-1"`
}

// seal writes v with its checksum, in one line of JSON.
func seal(v any) ([]byte, error) {
	body, err := compact(v)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	b, err := compact(sealed{hex.EncodeToString(sum[:]), body})
	return append(b, '\n'), err
}

// unseal reads what seal wrote; whatever else it is given is ErrDamaged.
func unseal(b []byte, v any) error {
	var s sealed
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	if sum := sha256.Sum256(s.Body); s.SHA256 != hex.EncodeToString(sum[:]) {
		return fmt.Errorf("%w: its checksum is wrong", ErrDamaged)
	}
	if err := json.Unmarshal(s.Body, v); err != nil {
		return fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return nil
}

// compact is json.Marshal without the care for HTML, which makes 6 bytes of one.
func compact(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// parseManifest reads the manifest in the file of that name.
func parseManifest(file string, b []byte) (m Manifest, err error) {
	want, err := modelOf(file)
	if err != nil {
		return m, fmt.Errorf("%w: it %v", ErrDamaged, err)
	}
	if err := unseal(b, &m); err != nil {
		return Manifest{}, err
	}
	if m.Model != want {
		return Manifest{}, fmt.Errorf("%w: it is about model %q", ErrDamaged, m.Model)
	}
	if err := m.Validate(); err != nil {
		return Manifest{}, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return m, nil
}

// readManifest reads one manifest; missing is fs.ErrNotExist.
func readManifest(path, file string) (Manifest, error) {
	b, err := files.ReadBounded(path, maxManifest)
	if err != nil {
		return Manifest{}, err
	}
	m, err := parseManifest(file, b)
	if err != nil {
		return m, fmt.Errorf("manifest %s %w", path, err)
	}
	return m, nil
}

// writeManifest gives the bytes of a valid manifest.
func writeManifest(m *Manifest) ([]byte, error) {
	m.Added = m.Added.UTC().Round(0) // without the monotonic clock, which means nothing tomorrow
	if err := m.Validate(); err != nil {
		return nil, err
	}
	b, err := seal(m)
	if err == nil && len(b) > maxManifest {
		err = errors.New("manifest is longer than what is read back")
	}
	return b, err
}
