package chat

import "strings"

// blanks that may be dropped around thoughts and calls. They are bytes: an answer
// may be cut within a letter.
const blanks = " \t\r\n"

// Piece is a part of an answer: text, a piece of a thought, or a whole call.
type Piece struct {
	Text    string
	Thought bool // Text is a thought
	Call    *Call
}

// ParserOptions say what to look for.
type ParserOptions struct {
	Tools     []Tool        // calls are looked for only if there are any
	InThought bool          // the prompt has already begun a thought: see OpensThought
	ID        func() string // 24 letters and digits that no other call has
}

// Parser reads an answer while it comes. What it gives depends on the text only,
// not on how it was cut, but for how much text a Piece has. Text that cannot be
// read as a thought or a call is given back as it is.
type Parser struct {
	funcs   map[string]function
	id      func() string
	buf     string // not yet decided
	space   string // blanks at the end of what was given: dropped if a call or the end of a thought follows
	trim    bool   // blanks are dropped until something follows
	fresh   bool   // nothing but blanks came yet
	bare    bool   // a call may follow that is a bare object
	thought bool
	end     string // what ends the thought
	turns   bool   // the answer is in messages of gpt-oss
	tried   int    // bytes of buf that are known to be no whole call
	out     []Piece
}

// OpensThought tells whether a rendered prompt ends within a thought.
func OpensThought(prompt string) bool {
	prompt = strings.TrimRight(prompt, blanks)
	return strings.HasSuffix(prompt, "<think>")
}

// NewParser makes a parser of one answer. Tools that are none are passed over.
func NewParser(o ParserOptions) *Parser {
	p := &Parser{funcs: map[string]function{}, id: o.ID, fresh: true}
	for _, t := range o.Tools {
		if f, err := t.function(); err == nil {
			p.funcs[f.Name] = f
		}
	}
	p.bare = len(p.funcs) > 0
	if o.InThought {
		p.think("</think>")
	}
	return p
}

// think begins a thought.
func (p *Parser) think(end string) {
	p.space, p.thought, p.end, p.trim = "", true, end, true
}

// answer ends a thought, or begins a message.
func (p *Parser) answer() {
	p.space, p.thought, p.trim, p.fresh, p.bare = "", false, true, true, len(p.funcs) > 0
}

// Add reads more of the answer.
func (p *Parser) Add(text string) []Piece {
	p.buf += text
	for p.buf != "" && p.step(false) {
	}
	return p.take()
}

// Flush ends the answer.
func (p *Parser) Flush() []Piece {
	for p.buf != "" && p.step(true) {
	}
	if !p.trim {
		p.emit(p.space)
	}
	p.space = ""
	return p.take()
}

func (p *Parser) take() []Piece {
	out := p.out
	p.out = nil
	return out
}

// step goes on as far as the next marker; false if more text is needed.
func (p *Parser) step(last bool) bool {
	at, m, whole := p.find(last)
	p.pass(p.buf[:at])
	if p.buf = p.buf[at:]; !whole {
		return false // a marker may be beginning
	}
	c := cursor{s: p.buf, last: last, p: p}
	// A call can only have become whole by what calls end with.
	if last || len(p.buf) >= maxCall+maxHead || p.tried < maxHead || strings.ContainsAny(p.buf[p.tried:], "}]>") {
		m.form(&c)
	} else {
		c.state = more
	}
	if c.state == more && len(p.buf) < maxCall+maxHead { // what ends a call is looked for a little beyond
		p.tried = len(p.buf)
		return false
	}
	p.tried = 0
	if c.state != fine || c.i > maxCall {
		p.pass(p.buf[:len(m.text)]) // it is text
		p.buf = p.buf[len(m.text):]
		return true
	}
	p.buf, p.space, p.trim = p.buf[c.i:], "", true
	for i := range c.calls {
		call := &c.calls[i]
		if call.ID = "call_"; p.id != nil {
			call.ID += p.id()
		}
		p.out = append(p.out, Piece{Call: call})
		p.fresh, p.bare = false, true
	}
	if c.then != nil {
		c.then()
	}
	return true
}

// find looks for the next marker; whole is false if it is not all there yet.
func (p *Parser) find(last bool) (at int, m marker, whole bool) {
	blank := true // up to here
	for i := range len(p.buf) {
		for _, m := range markers[p.buf[i]] {
			if m.when(p, blank) {
				if strings.HasPrefix(p.buf[i:], m.text) {
					return i, m, true
				}
				if !last && strings.HasPrefix(m.text, p.buf[i:]) {
					return i, m, false
				}
			}
		}
		blank = blank && strings.IndexByte(blanks, p.buf[i]) >= 0
	}
	return len(p.buf), m, false
}

// pass gives text, but for blanks at its end, which may be dropped yet.
func (p *Parser) pass(s string) {
	if s == "" {
		return
	}
	body := strings.TrimRight(s, blanks)
	if body == "" && p.trim {
		return
	}
	if body != "" {
		if p.trim {
			body, p.trim = strings.TrimLeft(body, blanks), false
		}
		p.emit(p.space + body)
		p.space = ""
		p.fresh, p.bare = false, false
		s = s[len(strings.TrimRight(s, blanks)):]
	}
	if p.space += s; len(p.space) > maxSpace {
		p.emit(p.space[:len(p.space)-maxSpace])
		p.space = p.space[len(p.space)-maxSpace:]
	}
}

func (p *Parser) emit(s string) {
	if s == "" {
		return
	}
	if n := len(p.out); n > 0 && p.out[n-1].Call == nil && p.out[n-1].Thought == p.thought {
		p.out[n-1].Text += s
		return
	}
	p.out = append(p.out, Piece{Text: s, Thought: p.thought})
}
