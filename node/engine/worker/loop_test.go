package worker

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"omx/node/engine/chat"
	"omx/node/engine/frame"
)

// script is a model of one token per byte. To "name=answer=" it answers "answer". It checks what the loop asks of it.
type script struct {
	t      *testing.T
	room   int
	slots  map[int][]token // what each slot remembers
	whole  bool            // it can only forget all
	fixed  bool            // it cannot shift
	torn   bool            // it fails to
	fail   error
	steps  [][]entry
	drawn  []token
	open   int // samplers not freed
	shared int
}

func (m *script) context() int                { return m.room }
func (m *script) text(t token, _ bool) []byte { return []byte{byte(t)} }
func (m *script) end(t token) bool            { return t == 0 }

func (m *script) encode(job *frame.Job, _ int) (*encoded, error) {
	messages := job.Messages
	var out []token
	for _, b := range []byte(messages[0].Content) {
		out = append(out, token(b))
	}
	e := &encoded{tokens: out, n: len(out), bos: len(out) > 0 && out[0] == '^', grammar: job.Grammar}
	if job.Begun != nil {
		e.written = job.Begun.Text
		if job.Think != nil {
			e.written, _ = chat.Rejoin("<think>", false, job.Begun.Thought, job.Begun.Text)
		}
		for _, b := range []byte(e.written) {
			e.begun = append(e.begun, token(b))
		}
	}
	if job.Think != nil {
		e.parser = chat.NewParser(chat.ParserOptions{})
	}
	if len(job.Tools) > 0 {
		e.parser = chat.NewParser(chat.ParserOptions{Tools: []chat.Tool{{RawMessage: job.Tools[0]}}, ID: func() string { return "1" }})
	}
	return e, nil
}

func (m *script) decode(batch []entry) error {
	if len(batch) == 0 || len(batch) > batchTokens {
		m.t.Errorf("a step of %d tokens; llama.cpp would abort", len(batch))
	}
	m.steps = append(m.steps, slices.Clone(batch))
	m.drawn = make([]token, len(batch))
	for i, e := range batch {
		held := m.slots[e.slot]
		if e.pos != len(held) || e.pos >= m.room {
			m.t.Errorf("slot %d: position %d, it holds %d of %d", e.slot, e.pos, len(held), m.room)
		}
		held = append(held, e.token)
		m.slots[e.slot] = held
		m.drawn[i] = -1
		if e.sample {
			m.drawn[i] = answerAfter(held)
		}
	}
	return m.fail
}

// answerAfter is the next token of "name=answer=ans…": 0 at its end.
func answerAfter(held []token) token {
	text := make([]byte, len(held))
	for i, t := range held {
		text[i] = byte(t)
	}
	parts := strings.SplitN(string(text), "=", 3)
	if len(parts) < 3 || len(parts[2]) >= len(parts[1]) {
		return 0
	}
	return token(parts[1][len(parts[2])])
}

func (m *script) forget(slot, from int) bool {
	if m.whole && from > 0 {
		return false
	}
	m.slots[slot] = m.slots[slot][:from]
	return true
}

func (m *script) canShift() bool { return !m.fixed }

func (m *script) shift(slot, keep, n int) (int, bool) {
	if len(m.slots[slot]) != m.room || keep+n > m.room || n < 1 {
		m.t.Errorf("slot %d: shift of %d behind %d, it holds %d of %d", slot, n, keep, len(m.slots[slot]), m.room)
	}
	if m.torn {
		m.slots[slot] = nil
		return 0, false
	}
	m.slots[slot] = slices.Delete(m.slots[slot], keep, keep+n)
	return keep, true
}

func (m *script) share(from, to, n int) bool {
	if m.whole || n > len(m.slots[from]) {
		m.slots[to] = nil
		return false
	}
	m.slots[to] = slices.Clone(m.slots[from][:n])
	m.shared++
	return true
}

func (m *script) logprob(_ int, t token, top int) frame.Logprob {
	return frame.Logprob{Text: []byte{byte(t)}, Top: make([]frame.TopLogprob, top)}
}

// A text's vector is its length and the number of texts it was made with.
func (m *script) texts(t *frame.Texts) ([][]token, int, *frame.Failure) {
	if t.Query != "" {
		return nil, 0, &frame.Failure{Code: frame.Cannot, Message: "it does not rank"}
	}
	var all [][]token
	for _, text := range t.Input {
		all = append(all, make([]token, len(text)))
	}
	return all, 100, nil
}

func (m *script) vectors(texts [][]token) ([][]float32, error) {
	var all [][]float32
	total := 0
	for _, t := range texts {
		total += len(t)
		all = append(all, []float32{float32(len(t)), float32(len(texts))})
	}
	if total > 100 || len(texts) > maxEmbedTexts {
		m.t.Errorf("a step of %d tokens of %d texts; llama.cpp would abort", total, len(texts))
	}
	return all, m.fail
}

func (m *script) stateSize(slot int) int64 { return int64(len(m.slots[slot])) }

func (m *script) save(slot int, path string, held []token) error {
	if !slices.Equal(held, m.slots[slot]) {
		m.t.Errorf("slot %d holds %d tokens, %d are saved", slot, len(m.slots[slot]), len(held))
	}
	b := make([]byte, len(held))
	for i, t := range held {
		b[i] = byte(t)
	}
	return os.WriteFile(path, b, 0o600)
}

func (m *script) load(slot int, path string) ([]token, error) {
	b, err := os.ReadFile(path)
	if err != nil || len(b) == 0 {
		return nil, errors.New("it is empty")
	}
	for _, x := range b {
		m.slots[slot] = append(m.slots[slot], token(x))
	}
	return slices.Clone(m.slots[slot]), nil
}

func (m *script) sampler(*frame.Job) (sampler, error) { m.open++; return m, nil }
func (m *script) accept(t token) bool                 { return t != '#' } // a grammar, as it were
func (m *script) free()                               { m.open-- }
func (m *script) sample(i int) token {
	if m.drawn[i] == -1 {
		m.t.Errorf("drawn after entry %d, which is not for drawing; llama.cpp would abort", i)
	}
	return m.drawn[i]
}

type rig struct {
	*script
	*loop
}

func newRig(t *testing.T, slots, room int) *rig {
	r := &rig{script: &script{t: t, room: room, slots: map[int][]token{}}}
	r.loop = newLoop(r.script, slots, io.Discard)
	return r
}

func (r *rig) submit(request uint32, prompt string, job frame.Job) {
	job.Messages = []frame.Message{{Content: prompt}}
	r.do(command{request: request, job: &job})
}

// finish runs until nothing is under way and returns the texts and results.
func (r *rig) finish() (map[uint32]string, map[uint32]frame.Result) {
	return r.finishRaw(r.script.t, func(frame.Frame) {})
}

// finishRaw also shows each frame.
func (r *rig) finishRaw(t *testing.T, see func(frame.Frame)) (map[uint32]string, map[uint32]frame.Result) {
	t.Helper()
	for n := 0; r.working(); n++ {
		if err := r.step(); err != nil || n > 10_000 {
			r.script.t.Fatal("stuck: ", err)
		}
	}
	texts, results := map[uint32]string{}, map[uint32]frame.Result{}
	covered := map[uint32]int{}
	for rd := frame.NewReader(bytes.NewReader(r.frames)); ; {
		f, err := rd.Next()
		if err != nil {
			break
		}
		see(f)
		switch f.Kind {
		case frame.Piece:
			texts[f.Request] += string(f.Payload)
			covered[f.Request] += int(f.Tokens)
		case frame.Rich:
			var d frame.Detail
			if err := f.Decode(&d); err != nil {
				r.script.t.Fatal(err)
			}
			if d.Called || d.Thought { // the rest is for see
				texts[f.Request] += d.Text
			}
			covered[f.Request] += int(f.Tokens)
		case frame.End:
			var res frame.Result
			if err := f.Decode(&res); err != nil {
				r.script.t.Fatal(err)
			}
			results[f.Request] = res
			if covered[f.Request] > res.Output {
				r.script.t.Errorf("request %d: %d tokens covered, %d drawn", f.Request, covered[f.Request], res.Output)
			}
		}
	}
	r.frames = r.frames[:0]
	if r.open != 0 {
		r.script.t.Errorf("%d samplers were not freed", r.open)
	}
	return texts, results
}

func TestLoopAnswersTogether(t *testing.T) {
	r := newRig(t, 3, 100)
	r.submit(1, "a=one=", frame.Job{})
	r.submit(2, "b=second=", frame.Job{MaxTokens: 3})
	r.submit(3, "c=to the stop=", frame.Job{Stop: []string{"stop"}})
	texts, results := r.finish()
	want := map[uint32]string{1: "one", 2: "sec", 3: "to the "}
	for id, text := range want {
		if texts[id] != text {
			t.Errorf("request %d: %q, want %q", id, texts[id], text)
		}
	}
	if results[1].Finish != "stop" || results[2].Finish != "length" || results[3].Finish != "stop" || results[1].Prompt != 6 || results[2].Output != 3 {
		t.Errorf("results %+v", results)
	}
	if n := len(r.steps); n != 11 { // the longest answer decides, not their sum
		t.Errorf("%d steps, want 11", n)
	}
}

func TestLoopBoundsSteps(t *testing.T) {
	r := newRig(t, MaxSlots, 2000)
	r.rates.prefill = 1 // so fast that only the batch is a bound
	for i := range MaxSlots {
		r.submit(uint32(i+1), strings.Repeat("x", 900+i)+"=ab=", frame.Job{})
	}
	texts, _ := r.finish()
	for i := range MaxSlots {
		if texts[uint32(i+1)] != "ab" {
			t.Errorf("request %d: %q", i+1, texts[uint32(i+1)])
		}
	}
	r = newRig(t, 1, 2000)
	r.rates.prefill = float64(promptStep) / 20 // so slow that 20 tokens fill a step
	r.submit(1, strings.Repeat("x", 500)+"=a=", frame.Job{})
	if err := r.step(); err != nil || len(r.steps[0]) != 20 {
		t.Errorf("a step of %d tokens, want 20 (%v)", len(r.steps[0]), err)
	}
}

func TestLoopCancel(t *testing.T) {
	r := newRig(t, 1, 100)
	r.submit(1, "a=long answer=", frame.Job{})
	if err := r.step(); err != nil {
		t.Fatal(err)
	}
	r.do(command{request: 9}) // unknown: nothing happens
	r.do(command{request: 1})
	if r.working() {
		t.Error("the slot is still taken")
	}
	r.submit(2, "b=x=", frame.Job{})
	texts, results := r.finish()
	if results[1].Code != frame.Canceled || texts[2] != "x" {
		t.Errorf("%v %+v", texts, results)
	}
}

func TestLoopContext(t *testing.T) {
	r := newRig(t, 1, 16)
	r.submit(1, "0123456=abcdefghijkl=", frame.Job{})
	r.submit(3, "", frame.Job{})
	r.submit(2, "a=b=", frame.Job{})
	r.submit(4, "a=b=", frame.Job{}) // no slot is free: the node would not send it
	_, results := r.finish()
	if res := results[1]; res.Code != frame.TooLong || res.Tokens != 21 || res.Limit != 15 {
		t.Errorf("too long: %+v", res)
	}
	if results[3].Code != frame.BadPrompt || results[4].Code != frame.BadPrompt {
		t.Errorf("empty %+v, no slot %+v", results[3], results[4])
	}
	r.submit(5, "a=bbbbbbbbbb=", frame.Job{}) // 13 of 16
	texts, results := r.finish()
	if texts[5] != "bbb" || results[5].Finish != "length" {
		t.Errorf("to the end of the context: %q %+v", texts[5], results[5])
	}
}

// A prompt that begins like one answered before is not read again.
func TestLoopReusesPrefix(t *testing.T) {
	for _, whole := range []bool{false, true} {
		r := newRig(t, 2, 200)
		r.whole = whole
		r.submit(1, "talk=yes=", frame.Job{})
		r.submit(2, "other=no=", frame.Job{})
		r.finish()
		r.steps = nil
		r.submit(3, "talk=yes=", frame.Job{})
		texts, results := r.finish()
		if texts[3] != "yes" || results[3].Prompt != 9 {
			t.Errorf("%q %+v", texts[3], results[3])
		}
		want := 1 // the last token must be decoded to draw from
		if whole {
			want = 9
		}
		if len(r.steps[0]) != want {
			t.Errorf("forgets only all: %v; %d tokens were read, want %d", whole, len(r.steps[0]), want)
		}
	}
}

func TestLoopKeepsScopesApart(t *testing.T) {
	r := newRig(t, 2, 200)
	for i, tt := range []struct {
		scope uint64
		read  int // tokens of 9 that are decoded for the prompt
	}{{1, 9}, {2, 9}, {1, 1}, {2, 1}, {3, 9}, {2, 1}, {1, 9}} {
		r.steps = nil
		r.submit(uint32(i+1), "talk=yes=", frame.Job{Scope: tt.scope})
		texts, _ := r.finish()
		if n := len(r.steps[0]); n != tt.read || texts[uint32(i+1)] != "yes" {
			t.Errorf("request %d of scope %d: %d tokens were read, want %d; %q", i+1, tt.scope, n, tt.read, texts[uint32(i+1)])
		}
	}
}

// said is a node that says these, and then closes.
type said []command

func (s *said) ready() bool { return true }

func (s *said) next() (command, error) {
	if len(*s) == 0 {
		return command{}, io.EOF
	}
	c := (*s)[0]
	*s = (*s)[1:]
	return c, nil
}

// steady is a node that says no more until the work is done.
type steady struct {
	said
	l *loop
}

func (s *steady) ready() bool { return len(s.said) > 0 }

func TestRun(t *testing.T) {
	job := command{request: 1, job: &frame.Job{Messages: []frame.Message{{Content: "a=b="}}}}
	boom := errors.New("boom")
	r := newRig(t, 1, 100)
	r.fail = boom
	if err := r.run(&steady{said{job}, r.loop}); !errors.Is(err, boom) {
		t.Errorf("error %v", err)
	}
	r = newRig(t, 1, 100)
	var out bytes.Buffer
	r.out = &out
	count := job
	count.request, count.count = 2, true
	if err := r.run(&steady{said{count, job}, r.loop}); err != nil {
		t.Error(err)
	}
	var kinds []frame.Kind
	for rd := frame.NewReader(&out); ; {
		f, err := rd.Next()
		if err != nil {
			break
		}
		if f.Kind != frame.Speed {
			kinds = append(kinds, f.Kind)
		}
	}
	if !slices.Equal(kinds, []frame.Kind{frame.End, frame.Piece, frame.End}) {
		t.Errorf("it said %v", kinds)
	}
}

func TestRates(t *testing.T) {
	var r rates
	if r.chunk() != firstChunk {
		t.Errorf("chunk %d before anything is known", r.chunk())
	}
	for range 100 {
		r.step(2*time.Millisecond, 0, 4) // an output token takes 2 ms
		r.step(12*time.Millisecond, 100, 4)
	}
	got, due := r.due(time.Now(), false)
	if !due || got.DecodeUS != 2000 || got.PrefillNS < 99_000 || got.PrefillNS > 101_000 {
		t.Errorf("rates %+v", got)
	}
	if n := r.chunk(); n < 495 || n > 505 {
		t.Errorf("chunk %d, want about 500: 50 ms", n)
	}
	if _, due := r.due(time.Now(), true); due {
		t.Error("rates that did not change are due")
	}
	r = rates{}
	r.step(time.Second, 1, 0)
	if r.chunk() != minChunk {
		t.Errorf("chunk %d on a slow machine", r.chunk())
	}
}
