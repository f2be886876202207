package mesh

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// Token is a piece of an answer: N tokens that read as Text. Extra is set in place
// of both where there is more to say than a text: what it means is not known here.
type Token struct {
	Text  []byte // valid until the next call on its stream
	N     uint32
	Extra []byte // valid as long
}

const (
	tokenHead   = 4 // N
	refusedHead = 6 // code, milliseconds to wait
	failedHead  = 2 // code
)

// appendToken appends a whole token frame.
func appendToken(b, text []byte, n uint32) []byte {
	b = appendHeader(b, kindToken, tokenHead+len(text))
	b = binary.BigEndian.AppendUint32(b, n)
	return append(b, text...)
}

func parseToken(p []byte) (Token, error) {
	if len(p) < tokenHead {
		return Token{}, fmt.Errorf("%w: token frame of %d bytes", ErrProtocol, len(p))
	}
	return Token{N: binary.BigEndian.Uint32(p), Text: p[tokenHead:]}, nil
}

// appendRefused appends a whole refusal frame.
func appendRefused(b []byte, e *RefusedError) []byte {
	msg := clip(e.Message)
	b = appendHeader(b, kindRefused, refusedHead+len(msg))
	b = binary.BigEndian.AppendUint16(b, uint16(e.Code))
	wait := min(max(e.RetryAfter, 0), maxRetryAfter)
	b = binary.BigEndian.AppendUint32(b, uint32(wait.Milliseconds()))
	return append(b, msg...)
}

func parseRefused(p []byte) (*RefusedError, error) {
	if len(p) < refusedHead {
		return nil, fmt.Errorf("%w: refusal of %d bytes", ErrProtocol, len(p))
	}
	wait := time.Duration(binary.BigEndian.Uint32(p[2:])) * time.Millisecond
	return &RefusedError{
		Code:       Code(binary.BigEndian.Uint16(p)),
		RetryAfter: min(wait, maxRetryAfter),
		Message:    clip(string(p[refusedHead:])),
	}, nil
}

// appendFailed appends a whole failure frame.
func appendFailed(b []byte, e *FailedError) []byte {
	msg := clip(e.Message)
	b = appendHeader(b, kindFailed, failedHead+len(msg))
	b = binary.BigEndian.AppendUint16(b, uint16(e.Code))
	return append(b, msg...)
}

func parseFailed(p []byte) (*FailedError, error) {
	if len(p) < failedHead {
		return nil, fmt.Errorf("%w: failure of %d bytes", ErrProtocol, len(p))
	}
	return &FailedError{Code: Code(binary.BigEndian.Uint16(p)), Message: clip(string(p[failedHead:]))}, nil
}

// clip bounds a message and keeps it valid text: it ends up in logs and JSON.
func clip(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxMessage)], "")
}
