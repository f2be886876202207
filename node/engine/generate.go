package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"omx/node/engine/frame"
)

// generate answers p with the model's worker.
func (s *served) generate(ctx context.Context, p *Prompt, emit func(Token) error) (u Usage, err error) {
	began := time.Now()
	defer func() { u.Total = time.Since(began) }()
	if p.Begun != nil {
		u.OutputTokens = p.Begun.Tokens
	}
	claim := p.claim()
	request, box, proc, err := s.start(ctx, frame.Submit, job(p), &claim)
	u.QueueWait = box.waited(began)
	if err != nil {
		return u, err
	}
	for {
		t, result, err := box.next(ctx)
		if err == nil && t.Text != "" {
			if u.TTFT == 0 {
				u.TTFT = time.Since(began)
			}
			u.OutputTokens += t.N
			if err = ctx.Err(); err == nil {
				err = emit(t)
			}
		}
		switch {
		case err != nil:
			proc.cancel(request)
			return u, err
		case result != nil:
			u.PromptTokens, u.CachedTokens, u.OutputTokens, u.Finish = result.Prompt, result.Cached, result.Output, Finish(result.Finish)
			u.Stop, u.Calls, u.Shifts, u.Prefill = result.Stop, result.Calls, result.Shifts, time.Duration(result.Prefill)
			return u, resultError(result)
		}
	}
}

// job is a prompt as the worker gets it.
func job(p *Prompt) *frame.Job {
	return &frame.Job{Messages: p.Messages, Raw: p.Raw, MaxTokens: max(p.MaxTokens, 0), Temperature: p.Temperature, TopP: p.TopP, TopK: p.TopK, MinP: p.MinP,
		Presence: p.PresencePenalty, Frequency: p.FrequencyPenalty, Repeat: p.RepeatPenalty, RepeatLast: p.RepeatLast,
		Grammar: p.Grammar, Tools: p.Tools, Choice: string(p.Choice), OneCall: p.OneCall, Think: p.Think, Logprobs: p.Logprobs,
		Seed: p.Seed, Stop: p.Stop, Scope: p.Scope, Begun: p.Begun, Shift: p.Shift, Keep: p.NumKeep}
}

// embed makes vectors with the model's worker.
func (s *served) embed(ctx context.Context, r *EmbedRequest) (e Embeddings, err error) {
	began := time.Now()
	defer func() { e.Total = time.Since(began) }()
	request, box, proc, err := s.start(ctx, frame.Embed, frame.Texts{Input: r.Input, Query: r.Query, Truncate: r.Truncate}, &r.Claim)
	e.QueueWait = box.waited(began)
	if err != nil {
		return e, err
	}
	_, result, err := box.next(ctx)
	if err != nil {
		proc.cancel(request)
		return e, err
	}
	e.Vectors, e.PromptTokens = box.vectors, result.Prompt
	return e, resultError(result)
}

// count tells how many tokens a prompt has. It takes no slot: it is done between
// two steps.
func (s *served) count(ctx context.Context, p *Prompt) (int, error) {
	request, box, proc, err := s.start(ctx, frame.Count, job(p), nil)
	if err != nil {
		return 0, err
	}
	_, result, err := box.next(ctx)
	if err != nil {
		proc.cancel(request)
		return 0, err
	}
	return result.Prompt, resultError(result)
}

// start waits for a slot, or without a claim only until the model is loaded, and
// hands the job to the worker. A worker that ends in this very moment has not begun
// the job, so it may wait again; bounded, as a worker that ends so often is set
// aside.
func (s *served) start(ctx context.Context, what frame.Kind, job any, c *Claim) (uint32, *inbox, *process, error) {
	leave := func() {}
	for range maxCrashes {
		if c == nil {
			if err := s.gate.pass(ctx); err != nil {
				return 0, nil, nil, err
			}
		} else if err := s.gate.enter(ctx, *c); err != nil {
			return 0, nil, nil, err
		} else {
			leave = s.gate.leave
		}
		s.mu.Lock()
		proc := s.proc
		s.mu.Unlock()
		if proc != nil {
			box := newInbox(c != nil)
			request, err := proc.submit(what, job, box)
			if err == nil {
				return request, box, proc, nil
			}
			if !errors.Is(err, errEnded) {
				leave()
				return 0, nil, nil, err
			}
			<-proc.ended
			s.shut(proc)
		}
		leave()
	}
	return 0, nil, nil, fmt.Errorf("%w: its worker keeps ending", ErrLost)
}

// shut keeps requests waiting until the worker after ended is there, if run has
// not seen its end yet.
func (s *served) shut(ended *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == ended {
		s.proc = nil
		s.gate.set(false)
	}
}

func resultError(r *frame.Result) error {
	switch r.Code {
	case frame.OK:
		return nil
	case frame.TooLong:
		return fmt.Errorf("%w: it has %d tokens, at most %d are possible here", ErrTooLong, r.Tokens, r.Limit)
	case frame.BadPrompt:
		return fmt.Errorf("%w: %s", ErrBadPrompt, r.Message)
	case frame.Cannot:
		return fmt.Errorf("%w: %s", ErrCannot, r.Message)
	}
	return fmt.Errorf("%w: %s", ErrLost, r.Message)
}
