package api

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strconv"
	"time"
)

// Conn is a client that does as little as a client can: what is measured is the
// node. It keeps one connection.
type Conn struct {
	net.Conn
	r     *bufio.Reader
	usage []byte
}

// Dial connects to a node's API.
func Dial(addr string) (*Conn, error) {
	c, err := net.DialTimeout("tcp", addr, time.Minute)
	if err != nil {
		return nil, err
	}
	return newConn(c), nil
}

func newConn(c net.Conn) *Conn { return &Conn{Conn: c, r: bufio.NewReaderSize(c, 4096)} }

// Post is a request, as it is sent.
func Post(path string, body []byte) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

// body asks for an answer in one piece or as a stream.
func body(stream bool) []byte {
	return fmt.Appendf(nil, `{"model":%q,"stream":%v,"messages":[{"role":"system","content":"You are brief."},{"role":"user","content":"How warm is it in the hall now?"}]}`, modelName, stream)
}

// request asks the simulated model.
func request(stream bool) []byte { return Post("/v1/chat/completions", body(stream)) }

// Send writes a request and reads the head of the answer. It returns the length
// of its body, -1 for a stream.
func (c *Conn) Send(request []byte) (length int, err error) {
	if _, err := c.Write(request); err != nil {
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

// whole sends a request and reads an answer in one piece.
func (c *Conn) whole(request []byte) error {
	n, err := c.Send(request)
	if err == nil && n < 0 {
		err = fmt.Errorf("the answer has no length")
	}
	if err == nil {
		_, err = c.r.Discard(n)
	}
	return err
}

// What begins the text of a piece, by chat completions and by completions.
var texts = [][]byte{[]byte(`"content":"`), []byte(`"text":"`)}

var (
	usage  = []byte(`"usage":`)
	failed = []byte(`data: {"error":`)
	done   = []byte("data: [DONE]")
)

func isPiece(line []byte) bool {
	for _, begin := range texts {
		if _, text, ok := bytes.Cut(line, begin); ok {
			return text[0] != '"'
		}
	}
	return false
}

// Next waits for a piece of text; false at the end of the answer, which is read
// to its last byte. After an error the connection is of no more use.
func (c *Conn) Next() (bool, error) {
	for {
		line, err := c.r.ReadSlice('\n')
		switch {
		case err != nil:
			return false, err
		case isPiece(line):
			return true, nil
		case bytes.HasPrefix(line, failed):
			return false, fmt.Errorf("the answer broke off: %s", bytes.TrimSpace(line))
		case bytes.Contains(line, usage):
			c.usage = append(c.usage[:0], bytes.TrimPrefix(line, []byte("data: "))...)
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

// Usage is the JSON of the last answer's usage, where it was asked for; valid
// until the next call of Next.
func (c *Conn) Usage() []byte { return c.usage }
