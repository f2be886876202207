package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"omx/policies/abi"
)

// Bounds on a rules file.
const (
	maxText  = 64 << 10 // bytes
	maxItems = 64       // filters, terms or rules
	maxDepth = 32       // of an expression
	maxName  = 64       // bytes of a name
	maxNodes = 2000     // of all expressions: what a few KB of code take
)

// file is a rules file as it is written.
type file struct {
	Kind      string
	Name      string
	Version   string
	Text      string
	Params    map[string]int64
	Drop      []drop
	Score     []score
	Fallback  string
	Rule      []rule
	Otherwise string
}

type drop struct{ When string }

type score struct {
	Value  string
	Weight *int64
}

type rule struct {
	When   string
	Answer string
	Wait   float64 // s
	Reason int64
}

// Policy is a compiled rules file.
type Policy struct {
	Name   string
	Kind   abi.Kind
	Module []byte
}

var (
	namePattern  = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)
	paramPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// Compile turns rules into a policy module. An error says what is wrong and what
// to do, in one line.
func Compile(text []byte) (*Policy, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("rules of %d bytes: %d are allowed", len(text), maxText)
	}
	var f file
	meta, err := toml.Decode(string(text), &f)
	var parse toml.ParseError
	if errors.As(err, &parse) {
		return nil, fmt.Errorf("line %d: %s", parse.Position.Line, oneLine(parse.Message))
	}
	if err != nil {
		return nil, errors.New(oneLine(strings.TrimPrefix(err.Error(), "toml: ")))
	}
	if extra := meta.Undecoded(); len(extra) > 0 {
		key := extra[0].String()
		return nil, fmt.Errorf("key %q is not known%s", key, didYouMean(extra[0][len(extra[0])-1],
			"kind", "name", "version", "text", "params", "drop", "when", "score", "value", "weight", "fallback", "rule", "answer", "wait", "reason", "otherwise"))
	}
	if f.Name == "" {
		f.Name = "rules"
	}
	if len(f.Name) > maxName || !namePattern.MatchString(f.Name) {
		return nil, fmt.Errorf("name %.80q: use up to %d small letters, digits, dots and dashes", f.Name, maxName)
	}
	c := &compiler{params: f.Params}
	for _, name := range slices.Sorted(maps.Keys(f.Params)) {
		if err := c.checkParam(name, f.Params[name]); err != nil {
			return nil, err
		}
	}
	p := &Policy{Name: f.Name}
	var body *body
	switch f.Kind {
	case "route":
		p.Kind = abi.Route
		body, err = c.route(&f)
	case "admit":
		p.Kind = abi.Admit
		body, err = c.admit(&f)
	case "replicate":
		return nil, errors.New(`kind "replicate" cannot be written as rules: use a built-in policy (omx policy list) or one of the SDKs (omx policy new)`)
	case "":
		return nil, errors.New(`kind is missing: add kind = "route" or kind = "admit"`)
	default:
		return nil, fmt.Errorf("kind %q is not known%s", f.Kind, didYouMean(f.Kind, "route", "admit"))
	}
	if err != nil {
		return nil, err
	}
	about, err := json.Marshal(map[string]any{"name": f.Name, "version": f.Version, "kinds": []string{f.Kind}, "text": f.Text, "source": "rules"})
	if err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	p.Module = module(p.Kind, c.wants(), body, about)
	return p, nil
}

func (c *compiler) checkParam(name string, v int64) error {
	if !paramPattern.MatchString(name) {
		return fmt.Errorf("params: %.80q cannot be told from an expression: use letters, digits and _", name)
	}
	_, figure := lookup(name)
	if _, function := functions[name]; figure || function || keywords[name] {
		return fmt.Errorf("params: %s is the name of a figure already; choose another", name)
	}
	if v < -math.MaxUint32 || v > math.MaxUint32 {
		return fmt.Errorf("params: %s is %d; parameters lie between -4294967295 and 4294967295", name, v)
	}
	return nil
}

// route compiles filters and terms.
func (c *compiler) route(f *file) (*body, error) {
	if len(f.Rule) > 0 || f.Otherwise != "" {
		return nil, errors.New(`rule and otherwise belong to kind = "admit"; a route has drop and score`)
	}
	if len(f.Score) == 0 {
		return nil, errors.New(`score is missing: add [[score]] with value = "…", such as "rtt"`)
	}
	if len(f.Score) > maxItems || len(f.Drop) > maxItems {
		return nil, fmt.Errorf("%d score and %d drop: up to %d of each are allowed", len(f.Score), len(f.Drop), maxItems)
	}
	fallback := abi.Abstain
	switch f.Fallback {
	case "", "abstain":
	case "none":
		fallback = abi.NoCandidate
	default:
		return nil, fmt.Errorf(`fallback %q is not known%s: "abstain" lets the built-in rule decide, "none" refuses the request`, f.Fallback, didYouMean(f.Fallback, "abstain", "none"))
	}
	var when []*node
	for i, d := range f.Drop {
		n, err := c.expression(d.When, isBool)
		if err != nil {
			return nil, fmt.Errorf("drop %d: when: %w", i+1, err)
		}
		when = append(when, n)
	}
	var sum *node
	for i, s := range f.Score {
		n, err := c.expression(s.Value, isNumber)
		if err == nil && s.Weight != nil {
			n, err = c.binary("*", n, number(*s.Weight))
		}
		if err == nil && sum != nil {
			n, err = c.binary("+", sum, n)
		}
		if err != nil {
			return nil, fmt.Errorf("score %d: %w", i+1, err)
		}
		sum = n
	}
	return c.routeBody(when, sum, fallback)
}

// admit compiles rules in their order.
func (c *compiler) admit(f *file) (*body, error) {
	if len(f.Drop) > 0 || len(f.Score) > 0 || f.Fallback != "" {
		return nil, errors.New(`drop, score and fallback belong to kind = "route"; an admission has rule and otherwise`)
	}
	if len(f.Rule) > maxItems {
		return nil, fmt.Errorf("%d rule: up to %d are allowed", len(f.Rule), maxItems)
	}
	var list []verdict
	for i, r := range f.Rule {
		n, err := c.expression(r.When, isBool)
		if err != nil {
			return nil, fmt.Errorf("rule %d: when: %w", i+1, err)
		}
		v, err := answer(r.Answer, r.Wait, r.Reason)
		if err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
		list = append(list, verdict{n, v})
	}
	if f.Otherwise == "" {
		f.Otherwise = "allow"
	}
	otherwise, err := answer(f.Otherwise, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("otherwise: %w", err)
	}
	return c.admitBody(list, otherwise), nil
}

// answer is what an admission answers.
func answer(action string, wait float64, reason int64) (abi.Answer, error) {
	if action == "abstain" {
		return abi.Pack(abi.Abstain, 0), nil
	}
	i := slices.IndexFunc(abi.ActionNames[:], func(n abi.Name) bool { return n.Name == action })
	if i < 0 {
		return 0, fmt.Errorf("answer %q is not known%s", action, didYouMean(action, "allow", "queue", "shed", "reject", "abstain"))
	}
	a := abi.Action(abi.ActionNames[i].Value)
	if wait < 0 || wait > 6553 || wait != wait {
		return 0, fmt.Errorf("wait is %v s: it lies between 0 and 6553", wait)
	}
	if wait > 0 && a != abi.Shed {
		return 0, fmt.Errorf("wait belongs to answer = \"shed\", not to %q", action)
	}
	if wait > 0 && wait < 0.1 {
		return 0, fmt.Errorf("wait is %v s: it counts in tenths, 0.1 at the least", wait)
	}
	if a == abi.Shed && wait == 0 {
		wait = 1
	}
	if reason < 0 || reason > 255 {
		return 0, fmt.Errorf("reason is %d: it lies between 0 and 255", reason)
	}
	return abi.Pack(abi.OK, abi.PackVerdict(a, uint8(reason), uint16(wait*10))), nil
}

// oneLine keeps what a file quotes of itself from breaking a message.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
