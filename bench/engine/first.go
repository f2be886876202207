package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/montanaflynn/stats"
)

// First is the time to first token, from sending a request to its first piece.
type First struct {
	Requests int       `json:"requests"` // in each way, by turns
	Prompt   int       `json:"prompt"`   // tokens of the last one's prompt
	Bare     Quantiles `json:"bare"`
	Hop      Quantiles `json:"hop"`   // to the bare binding's process and back, which is not in Bare
	Plain    Quantiles `json:"plain"` // of an HTTP server that sleeps where the model works, beside the sleep
	Engine   Quantiles `json:"engine"`
	HTTP     Quantiles `json:"http"`
	Own      Quantiles `json:"own"` // omx's own part: of each over HTTP, what is not spent in the model
}

// Quantiles of a time.
type Quantiles struct {
	P50 time.Duration `json:"p50_ns"`
	P99 time.Duration `json:"p99_ns"`
}

func quantiles(d stats.Float64Data) Quantiles { return Quantiles{quantile(d, 50), quantile(d, 99)} }

func quantile(d stats.Float64Data, percent float64) time.Duration {
	v, err := stats.Percentile(d, percent)
	if err != nil { // none
		return 0
	}
	return time.Duration(v)
}

// firstLetters is the prompt of a small request.
const firstLetters = 16

// firstOf is how long an answer is of which the first token is timed: an answer of
// one token ends with it, and handling its end would be in the time.
const firstOf = 4

// firstTurn is how many requests one way asks before the next has its turn. The first
// tenth of them is not timed: the one before has left the processor's caches to it. So
// each way meets what it meets on a machine that does nothing else.
const firstTurn = 20

// firstTokens asks for a few tokens after a new prompt, in each way in turns.
func (r *rig) firstTokens(ctx context.Context, requests int) (f First, err error) {
	f.Requests = requests
	texts := newPrompts(2)
	times := make([]stats.Float64Data, len(r.ways))
	var hops, plains, own stats.Float64Data
	var model time.Duration // what it took for the last one
	for len(times[len(times)-1]) < requests {
		for j, by := range r.ways {
			for i := range firstTurn {
				t, err := by.ask(ctx, texts.list(1, firstLetters), firstOf)
				if err != nil && !errors.Is(err, errShort) {
					return f, fmt.Errorf("%s: %w", by.name, err)
				}
				f.Prompt = t.prompt
				if i < firstTurn/10 || len(times[j]) == requests {
					continue
				}
				times[j] = append(times[j], float64(t.first))
				switch by.name {
				case variantBare:
					hops = append(hops, float64(t.hop))
				case variantHTTP:
					if t.model <= 0 {
						return f, errors.New("an answer does not say what the model took")
					}
					own, model = append(own, float64(t.first-t.model)), t.model
				}
			}
		}
		for i := range firstTurn {
			p, err := r.plain.first(ctx, texts.list(1, firstLetters)[0], model)
			if err != nil {
				return f, fmt.Errorf("plain HTTP: %w", err)
			}
			if i >= firstTurn/10 {
				plains = append(plains, float64(p))
			}
		}
		if ctx.Err() != nil {
			return f, ctx.Err()
		}
	}
	f.Bare, f.Engine, f.HTTP = quantiles(times[0]), quantiles(times[1]), quantiles(times[2])
	f.Hop, f.Plain, f.Own = quantiles(hops), quantiles(plains), quantiles(own)
	return f, nil
}

// Prefix is two prompts that begin the same and end differently, over HTTP.
type Prefix struct {
	Pairs  int           `json:"pairs"`
	Tokens int           `json:"tokens"` // of what they share, in the last pair
	Cached float64       `json:"cached"` // share of it that was not read again, the least
	First  time.Duration `json:"first"`  // time to first token, medians
	Second time.Duration `json:"second"`
}

// prefixes asks pairs, each with another prefix.
func (r *rig) prefixes(ctx context.Context, n counts) (p Prefix, err error) {
	p.Pairs, p.Cached = n.prefixes, 1
	texts := newPrompts(3)
	var first, second stats.Float64Data
	for range n.prefixes {
		prefix := texts.next(n.letters * 5 / 6)
		count, err := r.askBare(ctx, []string{prefix}, 0)
		if err != nil {
			return p, err
		}
		a, err := r.http.ask(ctx, []string{prefix + texts.next(answerLetters)}, 1)
		if err != nil {
			return p, err
		}
		b, err := r.http.ask(ctx, []string{prefix + texts.next(answerLetters)}, 1)
		if err != nil {
			return p, err
		}
		p.Tokens = count.prompt
		p.Cached = min(p.Cached, float64(b.cached)/float64(max(count.prompt, 1)))
		first, second = append(first, float64(a.first)), append(second, float64(b.first))
	}
	p.First, p.Second = quantile(first, 50), quantile(second, 50)
	return p, nil
}

// ratio is the second's time to the first's.
func (p Prefix) ratio() float64 {
	if p.First <= 0 {
		return 1
	}
	return float64(p.Second) / float64(p.First)
}
