package wasm

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"omx/policies/abi"
)

// Report is what Check finds out about a module.
type Report struct {
	Digest   string          `json:"digest"` // SHA-256, hexadecimal
	Bytes    int             `json:"bytes"`
	Metered  int             `json:"metered_bytes"`
	Kinds    []string        `json:"kinds"`
	ABI      [2]int          `json:"abi"`                // major, minor
	Imports  []string        `json:"imports"`            // module.name
	Metadata json.RawMessage `json:"metadata,omitempty"` // what it says of itself
	Pages    uint32          `json:"memory_pages"`       // of 64 KiB, at the start
	MaxPages uint32          `json:"max_pages"`          // it may grow to
	Samples  []Trial         `json:"samples"`
}

// Trial is what one decision on a sample view cost.
type Trial struct {
	Kind   string        `json:"kind"`
	Rows   int           `json:"rows"`
	Status string        `json:"status"`
	Value  uint32        `json:"value"`
	Fuel   uint64        `json:"fuel"`
	Budget uint64        `json:"budget"` // fuel it may use
	Time   time.Duration `json:"ns"`     // the call, without writing the view; fastest of many; 0 without a clock
}

// How often a sample is timed: a few milliseconds in all.
const (
	timedRounds = 32
	timedCalls  = 32
)

// Check loads a module, has it decide on sample views of 1, 8, 64 and the
// most rows and reports. clock tells the time since any moment and may be nil. The error is
// the one that Load gives, and the report then holds what was found before it.
func Check(ctx context.Context, code []byte, lim Limits, clock func() time.Duration) (Report, error) {
	rep := Report{Bytes: len(code), Imports: []string{}}
	m, err := inspect(code[:min(len(code), maxModuleBytes)])
	if err != nil {
		return rep, err
	}
	rep.Imports = m.importNames()
	h, err := NewHost(ctx, Config{})
	if err != nil {
		return rep, err
	}
	defer h.Close(ctx)
	i, err := h.Load(ctx, "check", code, lim)
	if err != nil {
		return rep, err
	}
	info := i.Info()
	rep.Metered, rep.Metadata = info.Metered, info.Metadata
	rep.Digest = hex.EncodeToString(info.Digest[:])
	rep.ABI = [2]int{int(info.Major), int(info.Minor)}
	rep.Pages, rep.MaxPages = info.MemoryPages, info.MaxPages
	for _, d := range deciders {
		if !slices.Contains(info.Kinds, d.kind) {
			continue
		}
		rep.Kinds = append(rep.Kinds, d.kind.String())
		for _, rows := range []int{1, 8, 64, rowsOf(d.kind, abi.MaxRows)} {
			if rows > rowsOf(d.kind, rows) {
				break
			}
			s, err := i.trial(d.kind, rows, clock)
			if err != nil {
				return rep, refuse("fails on a sample view of %d rows: %w", rows, err)
			}
			rep.Samples = append(rep.Samples, s)
		}
	}
	return rep, nil
}

func (i *Instance) trial(k abi.Kind, rows int, clock func() time.Duration) (Trial, error) {
	a, fuel, err := i.try(k, rows)
	stride, _ := i.Wants(k)
	shape := sampleShape(k, rows, stride)
	s := Trial{Kind: k.String(), Rows: rows, Status: a.Status().String(), Value: a.Value(), Fuel: fuel, Budget: i.lim.fuel(k, rows, shape.Models)}
	if err != nil || clock == nil {
		return s, err
	}
	for range timedRounds {
		start := clock()
		for range timedCalls {
			if _, _, err := i.Call(k, shape.Size(), rows); err != nil {
				return s, err
			}
		}
		if took := (clock() - start) / timedCalls; s.Time == 0 || took < s.Time {
			s.Time = took
		}
	}
	return s, nil
}
