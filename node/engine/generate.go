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
	job := &frame.Job{Messages: p.Messages, Raw: p.Raw, MaxTokens: max(p.MaxTokens, 0), Temperature: p.Temperature, TopP: p.TopP, TopK: p.TopK, MinP: p.MinP,
		Presence: p.PresencePenalty, Frequency: p.FrequencyPenalty, Repeat: p.RepeatPenalty, RepeatLast: p.RepeatLast,
		Grammar: p.Grammar, Seed: p.Seed, Stop: p.Stop, Scope: p.Scope}
	request, box, proc, err := s.slot(ctx, job)
	u.QueueWait = time.Since(began)
	if err != nil {
		return u, err
	}
	for {
		text, tokens, result, err := box.next(ctx)
		if err == nil && text != "" {
			if u.TTFT == 0 {
				u.TTFT = time.Since(began)
			}
			u.OutputTokens += tokens
			if err = ctx.Err(); err == nil {
				err = emit(Token{Text: text, N: tokens})
			}
		}
		switch {
		case err != nil:
			proc.cancel(request)
			return u, err
		case result != nil:
			u.PromptTokens, u.CachedTokens, u.OutputTokens, u.Finish = result.Prompt, result.Cached, result.Output, Finish(result.Finish)
			return u, resultError(result)
		}
	}
}

// slot waits for a slot and hands the job to the worker. A worker that ends in
// this very moment has not begun the job, so it may wait again; bounded, as a
// worker that ends so often is set aside.
func (s *served) slot(ctx context.Context, job *frame.Job) (uint32, *inbox, *process, error) {
	for range maxCrashes {
		if err := s.gate.enter(ctx); err != nil {
			return 0, nil, nil, err
		}
		s.mu.Lock()
		proc := s.proc
		s.mu.Unlock()
		if proc != nil {
			request, box, err := proc.submit(job)
			if err == nil {
				return request, box, proc, nil
			}
			if !errors.Is(err, errEnded) {
				s.gate.leave()
				return 0, nil, nil, err
			}
			<-proc.ended
			s.shut(proc)
		}
		s.gate.leave()
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
	}
	return fmt.Errorf("%w: %s", ErrLost, r.Message)
}
