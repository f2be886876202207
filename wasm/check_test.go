package wasm

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"omx/policies/abi"
)

func TestCheck(t *testing.T) {
	code := builtin(t, "expected-time")
	var now time.Duration
	tick := func() time.Duration { now += time.Millisecond; return now }
	rep, err := Check(t.Context(), code, Limits{}, tick)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(code)
	if rep.Digest != hex.EncodeToString(digest[:]) || rep.Bytes != len(code) || rep.Metered <= len(code) ||
		!slices.Equal(rep.Kinds, []string{"route"}) || rep.ABI != [2]int{abi.Major, abi.Minor} ||
		len(rep.Imports) != 0 || rep.Pages != 1 || rep.MaxPages < 17 {
		t.Errorf("report %+v", rep)
	}
	if len(rep.Samples) != 4 {
		t.Fatalf("samples %+v", rep.Samples)
	}
	for n, rows := range []int{1, 8, 64} {
		s := rep.Samples[n]
		if s.Rows != rows || s.Kind != "route" || s.Status != "ok" || s.Fuel == 0 || s.Fuel >= s.Budget || s.Time != time.Millisecond/timedCalls {
			t.Errorf("sample %+v", s)
		}
		if n > 0 && s.Fuel <= rep.Samples[n-1].Fuel {
			t.Errorf("%d rows cost %d, fewer rows %d", rows, s.Fuel, rep.Samples[n-1].Fuel)
		}
	}

	rep, err = Check(t.Context(), builtin(t, "bounded-queue"), Limits{}, nil)
	if err != nil || len(rep.Samples) != 1 || rep.Samples[0].Time != 0 || rep.Samples[0].Rows != 1 {
		t.Errorf("admission: %+v, %v", rep, err)
	}
}

func TestCheckRefused(t *testing.T) {
	modules := corpus(t, "refused")
	rep, err := Check(t.Context(), modules["wasi"], Limits{}, nil)
	if !errors.Is(err, ErrModule) || !slices.Equal(rep.Imports, []string{"wasi_snapshot_preview1.sock_accept", "env.now"}) {
		t.Errorf("imports %v, %v", rep.Imports, err)
	}
	for name, code := range modules {
		if _, err := Check(t.Context(), code, Limits{}, nil); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
