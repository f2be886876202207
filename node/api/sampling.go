package api

import (
	"math"
	"strconv"
)

// sampling are the numbers that say how tokens are drawn. The APIs call them
// alike; where one lacks some, other servers of it take them by these names too.
type sampling struct {
	Temperature      *float64 `json:"temperature"`
	TopP             *float64 `json:"top_p"`
	TopK             *float64 `json:"top_k"`
	MinP             *float64 `json:"min_p"`
	Seed             *float64 `json:"seed"`
	PresencePenalty  *float64 `json:"presence_penalty"`
	FrequencyPenalty *float64 `json:"frequency_penalty"`
	RepeatPenalty    *float64 `json:"repeat_penalty"`
	RepeatLast       *float64 `json:"repeat_last_n"`
}

// apply checks the numbers and puts them into c. The prefix is of the fields'
// names; hottest is the largest temperature that the API has.
func (s *sampling) apply(c *Chat, prefix string, hottest float64) error {
	k := checker{prefix: prefix}
	c.Temperature = k.float("temperature", s.Temperature, 0, hottest)
	c.TopP = k.float("top_p", s.TopP, 0, 1)
	if c.TopP != nil && *c.TopP == 0 { // engines take 0 for all, which is the opposite
		k.refuse("top_p", "must be above 0 and at most 1")
	}
	c.TopK = k.int("top_k", s.TopK, 0, 1<<20)
	c.MinP = k.float("min_p", s.MinP, 0, 1)
	c.PresencePenalty = k.float("presence_penalty", s.PresencePenalty, -2, 2)
	c.FrequencyPenalty = k.float("frequency_penalty", s.FrequencyPenalty, -2, 2)
	c.RepeatPenalty = k.float("repeat_penalty", s.RepeatPenalty, 0, 2)
	c.RepeatLast = k.int("repeat_last_n", s.RepeatLast, -1, 1<<20)
	if v := k.int("seed", s.Seed, math.MinInt32, math.MaxUint32); v != nil {
		seed := uint32(*v)
		c.Seed = &seed
	}
	return k.err()
}

// shifting says what becomes of an answer that fills its context, in the words of
// llama.cpp: the APIs that omx speaks have none, but for Ollama's.
type shifting struct {
	ContextShift bool     `json:"context_shift"`
	NumKeep      *float64 `json:"n_keep"`
}

// shift checks that and puts it into c.
func (s *shifting) shift(c *Chat) error {
	c.Shift = s.ContextShift
	return c.keep("n_keep", s.NumKeep)
}

// keep checks how many tokens of the prompt stay when the context shifts.
func (c *Chat) keep(name string, v *float64) error {
	k := checker{}
	c.NumKeep = k.int(name, v, -1, maxTokens)
	return k.err()
}

// limit checks how many tokens an answer may have and puts it into c.
func (c *Chat) limit(name string, v *float64) error {
	k := checker{}
	if n := k.int(name, v, 1, maxTokens); n != nil {
		c.MaxTokens = *n
	}
	return k.err()
}

// checker remembers the first number that is out of its range.
type checker struct {
	prefix string
	first  *Error
}

func (k *checker) err() error {
	if k.first == nil {
		return nil
	}
	return k.first
}

func (k *checker) refuse(name, format string, args ...any) {
	if k.first == nil {
		k.first = badField(k.prefix+name, format, args...)
	}
}

// float is nil for what was not said.
func (k *checker) float(name string, v *float64, low, high float64) *float32 {
	if v == nil {
		return nil
	}
	if !(*v >= low && *v <= high) { // so that NaN is refused
		k.refuse(name, "must be between %s and %s", plain(low), plain(high))
		return nil
	}
	f := float32(*v)
	return &f
}

func (k *checker) int(name string, v *float64, low, high float64) *int {
	if v == nil {
		return nil
	}
	if !(*v >= low && *v <= high) || *v != math.Trunc(*v) {
		k.refuse(name, "must be a whole number between %s and %s", plain(low), plain(high))
		return nil
	}
	n := int(*v)
	return &n
}

func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
