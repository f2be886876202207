package upstream

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
)

// lines reads lines that end in LF or CRLF, within bounds.
type lines struct {
	r    *bufio.Reader
	left int64 // bytes that may still come
	buf  []byte
}

// next returns a line without its end, valid until the next call; at the end of
// the stream the error is io.EOF.
func (l *lines) next() ([]byte, error) {
	l.buf = l.buf[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		if l.left -= int64(len(part)); l.left < 0 {
			return nil, fmt.Errorf("%w: an answer of more than %d bytes", errGarbage, int64(maxStream))
		}
		if len(l.buf)+len(part) > maxLine {
			return nil, fmt.Errorf("%w: a line of more than %d bytes", errGarbage, maxLine)
		}
		if err == nil && len(l.buf) == 0 {
			return trim(part), nil
		}
		l.buf = append(l.buf, part...)
		switch {
		case err == nil, err == io.EOF && len(l.buf) > 0:
			return trim(l.buf), nil
		case err != bufio.ErrBufferFull:
			return nil, err
		}
	}
}

func trim(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

// events reads server-sent events. Only their data counts: what kind of event it
// is, OpenAI's streams say in the data.
type events struct {
	*lines
	data  []byte
	begun bool
}

// next returns the data of an event, valid until the next call.
func (e *events) next() ([]byte, error) {
	e.data = e.data[:0]
	some := false
	for {
		line, err := e.lines.next()
		if err == io.EOF && some {
			return e.data, nil // some servers leave out the last empty line
		}
		if err != nil {
			return nil, err
		}
		if !e.begun {
			e.begun, line = true, bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		if len(line) == 0 {
			if some {
				return e.data, nil
			}
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":")) // a comment has an empty field
		if string(field) != "data" {
			continue
		}
		if some {
			e.data = append(e.data, '\n')
		}
		if some, e.data = true, append(e.data, bytes.TrimPrefix(value, []byte(" "))...); len(e.data) > maxLine {
			return nil, fmt.Errorf("%w: an event of more than %d bytes", errGarbage, maxLine)
		}
	}
}
