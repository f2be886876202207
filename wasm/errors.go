package wasm

import (
	"errors"
	"fmt"
)

var (
	// ErrModule is in every error that says why a module is refused.
	ErrModule = errors.New("module refused")
	// ErrOutOfFuel: the policy did more work than its budget allows. Spoils the instance.
	ErrOutOfFuel = errors.New("out of fuel")
	// ErrTrap: the policy crashed. Spoils the instance.
	ErrTrap = errors.New("trapped")
	// ErrSpoiled: the instance trapped before and answers no more; load it again.
	ErrSpoiled = errors.New("spoiled by an earlier trap")
	// ErrClosed: the instance or its host was closed.
	ErrClosed = errors.New("closed")
	// ErrView: the policy gave no usable room for a view of that size.
	ErrView = errors.New("no room for the view")
	// ErrKind: the policy does not decide this kind.
	ErrKind = errors.New("kind not decided")
)

// refuse says why a module is not taken; a good reason ends with what to do.
func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrModule, fmt.Errorf(format, args...))
}
