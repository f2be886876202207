package worker

import (
	"time"

	"omx/node/engine/chat"
	"omx/node/engine/frame"
	"omx/node/engine/text"
)

// token is a model's own number for a piece of text.
type token = int32

// entry is one token of a step.
type entry struct {
	token  token
	pos    int
	slot   int
	sample bool // an output token is drawn after it
}

// model is what the loop needs of a loaded model. Used by one goroutine.
type model interface {
	// context is the number of tokens one slot holds.
	context() int
	// encode turns a request's conversation, or its text, into tokens. A prompt of
	// more than limit tokens may be given up early.
	encode(job *frame.Job, limit int) (*encoded, error)
	// decode runs at most batchTokens entries. After an error the model is of no
	// more use.
	decode(batch []entry) error
	// sampler returns how the tokens of one request are drawn. An error says that
	// its grammar is none.
	sampler(job *frame.Job) (sampler, error)
	// forget drops what a slot holds from a position on. It returns false where
	// the model can only forget all, and has then forgotten nothing.
	forget(slot, from int) bool
	// canShift tells whether shift can be used.
	canShift() bool
	// shift drops n tokens that a slot remembers behind the first keep; those after
	// them move up. It tells how many at the start serve other requests still, and
	// false where it failed; the slot is empty then.
	shift(slot, keep, n int) (intact int, ok bool)
	// share has a slot remember the first n tokens of what another does, in place of
	// its own. It returns false where the model cannot; the slot is empty then.
	share(from, to, n int) bool
	// save writes what a slot remembers to a file, stateSize says about how large that
	// is, load takes it back.
	save(slot int, path string, held []token) error
	stateSize(slot int) int64
	load(slot int, path string) ([]token, error)
	// logprob tells how likely t was after the i-th entry of the last batch, and the
	// top likeliest.
	logprob(i int, t token, top int) frame.Logprob
	// texts turns texts into tokens, each of at most room.
	texts(t *frame.Texts) (all [][]token, room int, failure *frame.Failure)
	// vectors makes one of each of at most maxEmbedTexts texts, of together at most
	// room tokens; valid until the next call.
	vectors(texts [][]token) ([][]float32, error)
	// text is what a token reads as, the marks of tools and thoughts too if they are
	// looked for; end that it ends an answer.
	text(t token, marks bool) []byte
	end(t token) bool
}

// encoded is a request as the model takes it.
type encoded struct {
	tokens    []token
	n         int          // how many there are; an estimate if they are too many
	bos       bool         // the first is the mark of a text's beginning
	grammar   string       // in place of the request's
	parser    *chat.Parser // of the answer; nil: it is text
	inThought bool         // the answer begins within a thought
	begun     []token      // of the answer, with which the prompt goes on
	written   string       // as which the model has written them
}

// sampler draws tokens.
type sampler interface {
	// sample draws after the i-th entry of the last batch.
	sample(i int) token
	// accept notes a token as drawn; false if it could not have been.
	accept(t token) bool
	free()
}

// slot is a place for one running request.
type slot struct {
	index int
	held  []token // what the model remembers in this slot; kept when it is free
	scope uint64  // whose it is

	request uint32  // 0: free
	since   uint64  // order of arrival, also of the last request when it is free
	prompt  []token // and what the answer has begun with
	begun   int     // tokens of that
	read    int     // prompt tokens decoded
	last    token
	output  int           // tokens drawn, without the one that says "end"
	cached  int           // tokens of the prompt that the slot held already
	limit   int           // of output
	keep    int           // tokens of the prompt that a shift keeps
	shifts  int           // how often the context has shifted
	intact  int           // tokens held that serve other requests, once it has
	prefill time.Duration // of making tokens and of the steps up to the first one drawn
	pending int           // drawn tokens that no Piece has covered; below 0: covered, and drawn again
	said    begun
	sampler sampler
	text    *text.Buffer
	parser  *chat.Parser // nil: the answer is text
	calls   []frame.Call
	one     bool // no more than one call is wanted

	top      int             // likely tokens to tell, with its own; 0 none
	logprobs []frame.Logprob // that no Piece has told
}

func (s *slot) busy() bool    { return s.request != 0 }
func (s *slot) reading() bool { return s.busy() && s.read < len(s.prompt) }

// common is the number of tokens at the start that the slot holds already; at
// least one token of the prompt must be decoded to draw from.
func (s *slot) common(prompt []token, scope uint64) int {
	n, most := 0, len(s.held)
	if s.shifts > 0 {
		most = s.intact
	}
	for s.scope == scope && n < most && n < len(prompt)-1 && s.held[n] == prompt[n] {
		n++
	}
	return n
}
