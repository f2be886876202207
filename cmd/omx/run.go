package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"omx/node/api"
)

type runCmd struct {
	target
	Model       string   `arg:"" help:"Model to ask, as omx models lists it."`
	Prompt      []string `arg:"" help:"The question."`
	MaxTokens   int      `default:"256" help:"Longest answer, in tokens."`
	Temperature float64  `default:"0" help:"0 is deterministic; higher is more varied."`
	shifting
	Explain bool `help:"Say which node answered and why."`
	JSON    bool `help:"Print the answer and its figures as one JSON object."`
}

// turn is one message of a conversation.
type turn struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// question is one chat request and what came of it.
type question struct {
	Model       string  `json:"model"`
	Prompt      string  `json:"prompt"`
	MaxTokens   int     `json:"-"`
	Temperature float64 `json:"-"`
	shifting    `json:"-"`
	Before      []turn `json:"-"` // of the conversation

	Answer     string  `json:"answer"`
	Thinking   string  `json:"thinking,omitempty"`
	Finish     string  `json:"finish"` // why it ended: stop, or length
	Node       string  `json:"node"`
	Decision   string  `json:"decision"`
	Policy     string  `json:"policy"`
	TTFTMillis float64 `json:"ttft_ms"` // as the client saw it
	Tokens     int     `json:"tokens"`
	PerSecond  float64 `json:"tokens_per_second"` // after the first token
}

func (c *runCmd) Run(e *env) error {
	if err := c.check(); err != nil {
		return err
	}
	q := &question{Model: c.Model, Prompt: strings.Join(c.Prompt, " "), MaxTokens: c.MaxTokens, Temperature: c.Temperature, shifting: c.shifting}
	show := func(text string) { fmt.Fprint(e.stdout, text) }
	if c.JSON {
		show = func(string) {}
	}
	if err := q.ask(e, &c.target, show); tooLong(err) {
		return fmt.Errorf("%w; ask for less, or start the node with more --context", err)
	} else if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(e, q)
	}
	fmt.Fprintln(e.stdout)
	if cut := q.cut(); cut != "" {
		e.say("%s", cut)
	}
	e.say("%s", q.summary())
	if c.Explain {
		return explain(e, &c.target, q.Decision)
	}
	return nil
}

func (q *question) summary() string {
	return fmt.Sprintf("node %s answered: first token %.1f ms, %d tokens, %.0f tokens/s", q.Node, q.TTFTMillis, q.Tokens, q.PerSecond)
}

// ask streams the answer through show, piece by piece. What the model thinks before
// is talk.
func (q *question) ask(e *env, t *target, show func(string)) error {
	think := func(text string) {
		if text != "" {
			fmt.Fprint(e.stderr, text)
		}
	}
	began := time.Now()
	body := map[string]any{
		"model": q.Model, "stream": true, "stream_options": map[string]bool{"include_usage": true},
		"max_tokens": q.MaxTokens, "temperature": q.Temperature,
		"messages": append(q.Before[:len(q.Before):len(q.Before)], turn{"user", q.Prompt}),
	}
	if q.ContextShift {
		body["context_shift"] = true
		if q.Keep != nil {
			body["n_keep"] = *q.Keep
		}
	}
	resp, err := t.post(e.ctx, "/v1/chat/completions", body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	q.Node, q.Decision, q.Policy = resp.Header.Get("x-omx-node-name"), resp.Header.Get("x-omx-decision"), resp.Header.Get("x-omx-policy")

	var answer, thoughts strings.Builder
	var first time.Time
	done := false
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok {
			continue
		}
		if string(data) == "[DONE]" {
			done = true
			break
		}
		var chunk struct {
			Choices []struct {
				Delta struct {
					Content  string `json:"content"`
					Thinking string `json:"reasoning_content"`
				} `json:"delta"`
				Finish string `json:"finish_reason"`
			} `json:"choices"`
			Usage *struct {
				CompletionTokens int `json:"completion_tokens"`
			} `json:"usage"`
			Error *struct {
				Message string `json:"message"`
			} `json:"error"`
		}
		if err := json.Unmarshal(data, &chunk); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		if chunk.Error != nil {
			return fmt.Errorf("the answer broke off: %s", chunk.Error.Message)
		}
		if chunk.Usage != nil {
			q.Tokens = chunk.Usage.CompletionTokens
		}
		for _, choice := range chunk.Choices {
			if choice.Finish != "" {
				q.Finish = choice.Finish
			}
			d := &choice.Delta
			if first.IsZero() && d.Content+d.Thinking != "" {
				first = time.Now()
			}
			thoughts.WriteString(d.Thinking)
			think(d.Thinking)
			if d.Content != "" {
				answer.WriteString(d.Content)
				show(d.Content)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if !done {
		return errors.New("the answer broke off: the node closed the connection")
	}
	q.Answer, q.Thinking = answer.String(), thoughts.String()
	if !first.IsZero() {
		q.TTFTMillis = float64(first.Sub(began).Microseconds()) / 1000
		if d := time.Since(first).Seconds(); q.Tokens > 1 && d > 0 {
			q.PerSecond = float64(q.Tokens-1) / d
		}
	}
	return nil
}

// explain prints what the policy saw and how it scored each candidate.
func explain(e *env, t *target, decision string) error {
	var d api.DecisionView
	if err := t.get(e.ctx, "/omx/v1/decisions/"+decision, &d); err != nil {
		return err
	}
	e.say("decision %s by policy %s (%s) in %.1f µs, %d fuel:", d.ID, d.Policy, d.Status, float64(d.TookNS)/1000, d.Fuel)
	w := tabwriter.NewWriter(e.stderr, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "try\tnode\trtt ms\tqueued\trunning\tslots\tload age\ttok/s\tscore\t")
	for _, c := range d.Candidates {
		try, score, speed := "-", "left out", "?"
		if c.Pick > 0 {
			try = fmt.Sprint(c.Pick)
		}
		if c.Score != nil {
			score = fmt.Sprint(*c.Score)
		}
		if c.DecodeUSPerToken > 0 {
			speed = fmt.Sprintf("%.0f", 1e6/float64(c.DecodeUSPerToken))
		}
		fmt.Fprintf(w, "%s\t%s\t%.2f\t%d\t%d\t%d\t%s\t%s\t%s\t\n", try, c.Name, float64(c.RTTUS)/1000, c.Queued, c.Running, c.Slots,
			ageText(c.LoadAgeMS), speed, score)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	e.say("the lowest score is tried first")
	return nil
}

func ageText(ms *uint32) string {
	if ms == nil {
		return "never"
	}
	return (time.Duration(*ms) * time.Millisecond).String()
}

func writeJSON(e *env, v any) error {
	enc := json.NewEncoder(e.stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
