package wasm

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"omx/policies/abi"
)

// Custom sections that a policy may carry.
const (
	sectionMetadata = "omx.policy"  // JSON about itself
	sectionSamples  = "omx.samples" // views and what it must answer to them
)

// Sample is a view and the answer that the policy says it gives, which is
// checked when it is loaded: one that was built wrongly, or runs wrongly here,
// never decides.
type Sample struct {
	Kind   abi.Kind
	View   []byte
	Answer abi.Answer
}

// sampleHead is a sample without its view: u16 kind, u16 0, u32 length of the
// view, u64 answer.
const sampleHead = 16

// AppendSamples adds samples to a module, in place of those it carries.
func AppendSamples(module []byte, samples []Sample) []byte {
	var body []byte
	for _, s := range samples {
		body = binary.LittleEndian.AppendUint16(body, uint16(s.Kind))
		body = binary.LittleEndian.AppendUint16(body, 0)
		body = binary.LittleEndian.AppendUint32(body, uint32(len(s.View)))
		body = binary.LittleEndian.AppendUint64(body, uint64(s.Answer))
		body = append(body, s.View...)
	}
	return appendCustom(module, sectionSamples, body)
}

// AppendMetadata adds JSON about itself to a module, in place of what it says.
func AppendMetadata(module, text []byte) []byte { return appendCustom(module, sectionMetadata, text) }

func appendCustom(module []byte, name string, body []byte) []byte {
	section := append(appendU32(nil, uint32(len(name))), name...)
	section = append(section, body...)
	out := append(withoutCustom(module, name), secCustom)
	return append(appendU32(out, uint32(len(section))), section...)
}

// withoutCustom is a copy of a module without its custom sections of a name.
// What cannot be read is kept as it is, for Compile to refuse.
func withoutCustom(module []byte, name string) []byte {
	out := make([]byte, 0, len(module))
	r := &reader{b: module, at: min(len(module), len(magicCore))}
	kept := 0
	for r.more() {
		start := r.at
		id, body := r.byte(), r.bytes(r.u32())
		in := &reader{b: body}
		if r.err == nil && id == secCustom && in.name() == name && in.err == nil {
			out = append(out, module[kept:start]...)
			kept = r.at
		}
	}
	return append(out, module[kept:]...)
}

// Metadata is the JSON that a module carries about itself; ok is false if there
// is none that can be read.
func Metadata(code []byte) (text []byte, ok bool) {
	m, err := inspect(code)
	if err != nil {
		return nil, false
	}
	text = m.metadata()
	return text, text != nil
}

// custom is the body of the module's first custom section of a name.
func (m *module) custom(name string) []byte {
	for _, c := range m.customs {
		if c.name == name {
			return c.body
		}
	}
	return nil
}

func (m *module) metadata() []byte {
	b := m.custom(sectionMetadata)
	if len(b) > maxMetadata || !json.Valid(b) {
		return nil // it is for people; nothing depends on it
	}
	return b
}

func (m *module) samples() (list []Sample, err error) {
	b := m.custom(sectionSamples)
	for len(b) > 0 {
		if len(list) == maxSamples {
			return nil, refuse("carries more than %d samples: leave some out", maxSamples)
		}
		if len(b) < sampleHead {
			return nil, refuse("carries a sample that is cut off: build it again")
		}
		n := binary.LittleEndian.Uint32(b[4:])
		s := Sample{Kind: abi.Kind(binary.LittleEndian.Uint16(b)), Answer: abi.Answer(binary.LittleEndian.Uint64(b[8:]))}
		if b = b[sampleHead:]; uint64(n) > uint64(len(b)) {
			return nil, refuse("carries a sample that is cut off: build it again")
		}
		s.View, b = b[:n:n], b[n:]
		if v, err := abi.Open(s.View); err != nil || abi.Kind(v.Kind) != s.Kind || int(v.Length) != len(s.View) {
			return nil, refuse("carries a sample %d that is no view of its kind: build it again", len(list)+1)
		}
		list = append(list, s)
	}
	return list, nil
}

// runSamples has the policy decide on what it carries, each time with a fresh
// state and without parameters.
func (m *Module) runSamples(ctx context.Context, samples []Sample) error {
	for n, s := range samples {
		i, err := m.New(ctx, InstanceConfig{})
		if err != nil {
			return err
		}
		a, err := i.Try(s)
		if err := errors.Join(err, i.Close()); err != nil {
			return refuse("fails on sample %d that it carries: %w", n+1, err)
		}
		if a != s.Answer {
			return refuse("answers %#x to sample %d that it carries, and not %#x: build it again, or correct the sample", uint64(a), n+1, uint64(s.Answer))
		}
	}
	return nil
}

// Try has the policy decide on a sample.
func (i *Instance) Try(s Sample) (abi.Answer, error) {
	v, err := abi.Open(s.View)
	if err != nil {
		return 0, err
	}
	b, err := i.View(s.Kind, len(s.View))
	if err != nil {
		return 0, err
	}
	copy(b, s.View)
	a, _, err := i.Call(s.Kind, len(s.View), int(v.Count))
	return a, err
}

// Samples are those that a module carries.
func Samples(code []byte) ([]Sample, error) {
	m, err := inspect(code)
	if err != nil {
		return nil, fmt.Errorf("read samples: %w", err)
	}
	return m.samples()
}
