package virtual

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"omx/node/api"
)

const (
	// ghostsFor is how long a node that is gone may be a candidate after its last
	// word: the silence after which a peer counts as gone (node.Config.PeerTimeout),
	// and how often this is looked at.
	ghostsFor = 3*time.Second + 2*lookEvery
	// settleIn is how long nodes may take to find one another again once they can:
	// dials wait for one another for 3 s at most (mesh.PoolConfig).
	settleIn = 5 * time.Second
	// steadyFor is how long views must then stay as they are: longer than it takes to
	// notice that a peer is silent.
	steadyFor = 4 * time.Second
	// endIn is how long after all is well again a request may take: what nobody
	// answers is given up a minute after it was sent on (node.Config.FirstToken).
	endIn = 65 * time.Second
)

// check looks at every request after the last has ended, and at what is left of them.
func (r *play) check() {
	for i, a := range r.report.Answers {
		if a == nil {
			r.add(moment{r.Asked[i].At, fmt.Sprintf("request %d not asked: node-%d is stopped", i, r.Asked[i].Via+1), true})
			continue
		}
		r.line(i, a)
		for _, w := range r.wrong(a) {
			r.broken("request %d: %s", i, w)
		}
		if a.Err == nil {
			r.report.Whole++
		}
	}
	for i := range r.f.hosts {
		n := r.f.Node(i)
		if n == nil {
			continue
		}
		for _, p := range n.Info().Placements {
			if p.Load.Running+p.Load.Queued != 0 {
				r.broken("node-%d still runs %d requests and queues %d, though all have ended", i+1, p.Load.Running, p.Load.Queued)
			}
		}
	}
}

// line tells of a request what there is to tell.
func (r *play) line(i int, a *Answer) {
	what := fmt.Sprintf("request %d at node-%d", i, a.Via+1)
	if a.Node != "" {
		what += fmt.Sprintf(": %d tokens of %s", len(a.Tokens), a.Node)
	}
	what += fmt.Sprintf(" in %.3f s", (a.Ended - a.Asked).Seconds())
	if gap, at := a.Gap(); gap > 500*time.Millisecond {
		what += fmt.Sprintf(", none for %.3f s from %.3f s on", gap.Seconds(), (at - r.began).Seconds())
	}
	switch {
	case a.Left:
		what += "; then its node was stopped"
	case a.Err != nil:
		what += "; then " + a.Err.Error()
	}
	r.add(moment{a.Asked - r.began, what, true})
}

// wrong is what must not be true of an answer.
func (r *play) wrong(a *Answer) (list []string) {
	say := func(bad bool, format string, args ...any) {
		if bad {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	want, usage, err := r.f.Oracle(a.Question)
	if err != nil {
		return []string{fmt.Sprintf("no oracle: %v", err)}
	}
	got, n := a.Text(), 0
	for _, t := range a.Tokens {
		n += t.N
	}
	say(!strings.HasPrefix(want, got), "%q is not how %q begins", got, want)
	say(a.Begun > 1, "it began %d times", a.Begun)
	say(a.Begun == 0 && len(a.Tokens) > 0, "tokens without a beginning")
	say(a.Ended-r.began > max(r.End(), a.Asked-r.began)+endIn, "it ended only at %v", a.Ended-r.began)
	var known *api.Error
	switch {
	case a.Err == nil:
		say(got != want, "the whole answer is %q, not %q", got, want)
		say(a.Begun != 1, "it began %d times", a.Begun)
		say(n != usage.OutputTokens || a.Result.OutputTokens != n || a.Result.Finish != string(usage.Finish),
			"%d tokens came, the result says %d and %q, the model gives %d and %q", n, a.Result.OutputTokens, a.Result.Finish, usage.OutputTokens, usage.Finish)
	case a.Left:
		say(!errors.Is(a.Err, context.Canceled) && !errors.As(a.Err, &known), "its client is gone, and it ended with %v", a.Err)
	default:
		say(!errors.As(a.Err, &known), "it ended with an error that tells a client nothing: %v", a.Err)
	}
	return list
}
