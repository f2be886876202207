package wasm

import (
	"errors"
	"testing"

	"omx/policies/abi"
)

func listener(t *testing.T) *Module {
	t.Helper()
	m, err := newHost(t, Config{}).Compile(t.Context(), "listens", corpus(t, "run")["listens"], Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func fresh(t *testing.T, m *Module) *Instance {
	t.Helper()
	i, err := m.New(t.Context(), InstanceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// Events reach the instance that decides, and no other.
func TestEvents(t *testing.T) {
	m := listener(t)
	i, deaf := fresh(t, m), fresh(t, m)
	event := abi.Event{Kind: uint16(abi.EventDone), Output: 3}
	for range 2 {
		if err := i.Event(event.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	for want, i := range map[uint32]*Instance{6: i, 0: deaf} {
		v := sample(t, i, abi.Route, 8)
		if a, _, err := i.Call(abi.Route, len(v), 8); err != nil || a.Value() != want {
			t.Errorf("answer %d, %v; want %d", a.Value(), err, want)
		}
	}
	if err := i.Event(event.Bytes()[1:]); !errors.Is(err, ErrView) || i.Spoiled() {
		t.Errorf("event that is cut off: %v", err)
	}
	if n := testing.AllocsPerRun(1000, func() {
		if err := i.Event(event.Bytes()); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("an event allocates %v times", n)
	}
	// One that does not listen is not asked.
	if err := loadBuiltin(t, "nearest", true).Event(event.Bytes()); err != nil {
		t.Errorf("event to a policy that does not listen: %v", err)
	}
}

func TestEventsSpoil(t *testing.T) {
	m := listener(t)
	for kind, want := range map[abi.EventKind]error{abi.EventDispatched: ErrOutOfFuel, abi.EventFirst: ErrTrap} {
		i := fresh(t, m)
		event := abi.Event{Kind: uint16(kind)}
		if err := i.Event(event.Bytes()); !errors.Is(err, want) || !i.Spoiled() {
			t.Errorf("%v: %v, want %v", kind, err, want)
		}
		if err := i.Event(event.Bytes()); !errors.Is(err, ErrSpoiled) {
			t.Errorf("%v: event after it was spoiled: %v", kind, err)
		}
		if _, err := i.View(abi.Route, abi.HeaderSize); !errors.Is(err, ErrSpoiled) {
			t.Errorf("%v: view after it was spoiled: %v", kind, err)
		}
	}
}

// What a policy wants is asked once, and rounded up to whole parts of a row.
func TestWants(t *testing.T) {
	i := fresh(t, listener(t))
	if bytes, tags := i.Wants(abi.Route); bytes != 2*abi.PartSize || tags != 5 {
		t.Errorf("wants %d bytes, tags %#x", bytes, tags)
	}
	if bytes, tags := i.Wants(abi.Admit); bytes != abi.RowSize || tags != 0 {
		t.Errorf("of what it does not decide it wants %d bytes, tags %#x", bytes, tags)
	}
}
