package api

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strconv"
	"time"
)

// conn is a client that does as little as a client can: what is measured is the
// node.
type conn struct {
	net.Conn
	r       *bufio.Reader
	request []byte
}

// body asks for an answer in one piece or as a stream.
func body(stream bool) []byte {
	return fmt.Appendf(nil, `{"model":%q,"stream":%v,"messages":[{"role":"system","content":"You are brief."},{"role":"user","content":"How warm is it in the hall now?"}]}`, modelName, stream)
}

func dial(addr string, stream bool) (*conn, error) {
	c, err := net.DialTimeout("tcp", addr, time.Minute)
	if err != nil {
		return nil, err
	}
	b := body(stream)
	return &conn{Conn: c, r: bufio.NewReaderSize(c, 4096),
		request: fmt.Appendf(nil, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(b), b)}, nil
}

// send writes the request and reads the head of the answer. It returns the length
// of its body, -1 for a stream.
func (c *conn) send() (length int, err error) {
	if _, err := c.Write(c.request); err != nil {
		return 0, err
	}
	length = -1
	for first := true; ; first = false {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch name, value, _ := bytes.Cut(line, []byte(": ")); {
		case first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")):
			return 0, fmt.Errorf("the node answers %s", line)
		case len(line) == 0:
			return length, nil
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, err
			}
		}
	}
}

// whole sends the request and reads an answer in one piece.
func (c *conn) whole() error {
	n, err := c.send()
	if err == nil && n < 0 {
		err = fmt.Errorf("the answer has no length")
	}
	if err == nil {
		_, err = c.r.Discard(n)
	}
	return err
}

var (
	content = []byte(`"content":"`)
	nothing = []byte(`"content":""`)
	done    = []byte("data: [DONE]")
)

// next waits for a piece of text; false at the end of the answer, which is read
// to its last byte.
func (c *conn) next() (bool, error) {
	for {
		line, err := c.r.ReadSlice('\n')
		switch {
		case err != nil:
			return false, err
		case bytes.Contains(line, content) && !bytes.Contains(line, nothing):
			return true, nil
		case bytes.HasPrefix(line, done):
			for !bytes.Equal(line, []byte("0\r\n")) { // the last chunk
				if line, err = c.r.ReadSlice('\n'); err != nil {
					return false, err
				}
			}
			_, err = c.r.Discard(len("\r\n"))
			return false, err
		}
	}
}
