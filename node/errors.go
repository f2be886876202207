package node

import (
	"context"
	"errors"
	"net/http"
	"time"

	"omx/node/api"
	"omx/node/engine"
	"omx/node/mesh"
)

// noMemoryWait is what a client is told to wait when no node can load its model.
const noMemoryWait = 10 * time.Second

// Whether another node may do better with a request that failed here, whether
// the failure speaks against the node, and what a client or a peer is told.

// isFinal reports errors that every node would give.
func isFinal(err error) bool {
	if errors.Is(err, engine.ErrTooLong) || errors.Is(err, engine.ErrBadPrompt) || errors.Is(err, errLate) {
		return true
	}
	switch code, _ := peerCode(err); code {
	case mesh.CodeTooLong, mesh.CodeBadRequest:
		return true
	}
	return false
}

// isFault reports errors that make a node suspect; being busy is none.
func isFault(err error) bool {
	for _, e := range []error{mesh.ErrUnreachable, mesh.ErrLost, mesh.ErrProtocol, engine.ErrLost, errSlow, errStalled} {
		if errors.Is(err, e) {
			return true
		}
	}
	code, _ := peerCode(err)
	return code == mesh.CodeLost || code == mesh.CodeInternal
}

// isBusy reports errors that say "later".
func isBusy(err error) (wait time.Duration, busy bool) {
	if errors.Is(err, engine.ErrBusy) {
		var told *engine.BusyError
		if errors.As(err, &told) {
			return max(told.Wait, time.Second), true
		}
		return time.Second, true
	}
	switch code, wait := peerCode(err); code {
	case mesh.CodeBusy, mesh.CodeShed, mesh.CodeDraining:
		return max(wait, time.Second), true
	}
	return 0, false
}

// peerCode is the code of a peer's own answer, 0 for any other error.
func peerCode(err error) (mesh.Code, time.Duration) {
	var refused *mesh.RefusedError
	var failed *mesh.FailedError
	switch {
	case errors.As(err, &refused):
		return refused.Code, refused.RetryAfter
	case errors.As(err, &failed):
		return failed.Code, 0
	}
	return 0, 0
}

// apiError is what a client is told of an error.
func apiError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var known *api.Error
	if errors.As(err, &known) {
		return known
	}
	if wait, busy := isBusy(err); busy {
		return &api.Error{Status: http.StatusServiceUnavailable, Code: "overloaded", RetryAfter: wait,
			Message: "every node that could answer is busy; try again later"}
	}
	if errors.Is(err, errLate) {
		return &api.Error{Status: http.StatusGatewayTimeout, Code: "deadline_exceeded", Message: err.Error() + " that the request has set; give it more time, or try again later"}
	}
	if code, _ := peerCode(err); code == mesh.CodeCannot || errors.Is(err, engine.ErrCannot) {
		return &api.Error{Status: http.StatusNotImplemented, Code: "not_implemented", Message: err.Error()}
	}
	if code, _ := peerCode(err); code == mesh.CodeNoMemory || errors.Is(err, engine.ErrNoMemory) {
		return &api.Error{Status: http.StatusServiceUnavailable, Code: "no_memory", RetryAfter: noMemoryWait, Message: err.Error()}
	}
	if isFinal(err) {
		code := "invalid_request"
		if c, _ := peerCode(err); c == mesh.CodeTooLong || errors.Is(err, engine.ErrTooLong) {
			code = "context_length_exceeded"
		}
		return &api.Error{Status: http.StatusBadRequest, Code: code, Message: err.Error()}
	}
	return &api.Error{Status: http.StatusBadGateway, Code: "no_answer",
		Message: "no node could answer; the last one said: " + err.Error()}
}

// wireCode is what a peer is told of an engine's error.
func wireCode(err error) mesh.Code {
	switch {
	case errors.Is(err, engine.ErrBusy):
		return mesh.CodeBusy
	case errors.Is(err, engine.ErrNoModel), errors.Is(err, engine.ErrNoLibrary):
		return mesh.CodeNoModel
	case errors.Is(err, engine.ErrTooLong):
		return mesh.CodeTooLong
	case errors.Is(err, engine.ErrBadPrompt):
		return mesh.CodeBadRequest
	case errors.Is(err, engine.ErrLost):
		return mesh.CodeLost
	case errors.Is(err, engine.ErrCannot):
		return mesh.CodeCannot
	case errors.Is(err, engine.ErrNoMemory):
		return mesh.CodeNoMemory
	}
	return mesh.CodeInternal
}
