package api

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"
)

const hex = "0123456789abcdef"

// appendString appends s as a JSON string, without allocating. Invalid UTF-8
// becomes U+FFFD; U+2028 and U+2029 are escaped, since scripts trip over them.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 || r == 0x2028 || r == 0x2029 {
			b = append(b, s[start:i]...)
			b = append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
			start = i + size
		}
		i += size
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// asError is err in words for the client; what is not meant for it stays here.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Status: http.StatusInternalServerError, Code: "internal_error", Message: "this node failed to answer; its log says more"}
}

// writeJSON sends a body with the status and headers of e, 200 for nil.
func writeJSON(w http.ResponseWriter, e *Error, body []byte) {
	h := w.Header()
	h["Content-Type"] = typeJSON
	status := http.StatusOK
	if e != nil {
		status = e.Status
		if e.RetryAfter > 0 {
			h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
		}
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone if this fails; there is nobody to tell
}
