package mesh

import (
	"errors"
	"fmt"
	"time"
)

// Code says why a request was refused or failed. The numbers are part of the
// wire format: they are never reused and never renumbered.
type Code uint16

const (
	CodeBusy       Code = 1  // no slot and no room in the queue
	CodeNoModel    Code = 2  // the model is not here
	CodeTooLong    Code = 3  // prompt and answer exceed the model's context
	CodeShed       Code = 4  // admission dropped it to protect others; may be retried later
	CodeRejected   Code = 5  // admission forbids it; retrying does not help
	CodeLost       Code = 6  // the engine died under it
	CodeDraining   Code = 7  // the node is leaving
	CodeBadRequest Code = 8  // the payload could not be understood
	CodeInternal   Code = 9  // anything else on the serving side
	CodeCannot     Code = 10 // the model, or its engine, cannot do this
	CodeNoMemory   Code = 11 // the model cannot be loaded beside others now
	CodeTicket     Code = 12 // its ticket does not count, see Open
)

var codeNames = [...]string{"", "busy", "no model", "too long", "shed", "rejected", "lost", "draining", "bad request", "internal", "cannot", "no memory", "ticket"}

func (c Code) String() string {
	if c > 0 && int(c) < len(codeNames) {
		return codeNames[c]
	}
	return fmt.Sprintf("code %d", uint16(c))
}

var (
	// ErrUnreachable means the request never reached the peer.
	ErrUnreachable = errors.New("peer is unreachable")
	// ErrLost means the connection broke after the request was sent.
	ErrLost = errors.New("connection to peer was lost")
	// ErrProtocol means the other side broke the wire format.
	ErrProtocol = errors.New("protocol violation")
	// ErrDone ends an answer that is complete.
	ErrDone = errors.New("answer is complete")
	// ErrClosed means this mesh, or this stream, is closed.
	ErrClosed = errors.New("mesh is closed")
)

// RefusedError is a peer's answer that it will not run a request; nothing ran,
// so another peer may be asked at once. RetryAfter 0 means no hint.
type RefusedError struct {
	Code       Code
	RetryAfter time.Duration
	Message    string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("peer refused the request: %v: %s", e.Code, e.Message)
}

// FailedError is a peer's answer that a request it had accepted ended badly.
type FailedError struct {
	Code    Code
	Message string
}

func (e *FailedError) Error() string {
	return fmt.Sprintf("peer failed in the request: %v: %s", e.Code, e.Message)
}
