package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

// Mark says how a check has come out.
type Mark string

const (
	OK      Mark = "ok"
	Advice  Mark = "advice"  // it works, and could work better
	Problem Mark = "problem" // something does not work, or is open to others
)

// Finding is one line: what was looked at, with its figure.
type Finding struct {
	Check string         `json:"check"`
	Mark  Mark           `json:"mark"`
	Text  string         `json:"text"`
	Next  string         `json:"next,omitempty"`  // the command to type; "" if Mark is OK
	Facts map[string]any `json:"facts,omitempty"` // the line's figures; their names have the unit
}

func ok(facts map[string]any, format string, args ...any) Finding {
	return Finding{Mark: OK, Text: fmt.Sprintf(format, args...), Facts: facts}
}

func advice(next string, facts map[string]any, format string, args ...any) Finding {
	return Finding{Mark: Advice, Text: fmt.Sprintf(format, args...), Next: next, Facts: facts}
}

func problem(next string, facts map[string]any, format string, args ...any) Finding {
	return Finding{Mark: Problem, Text: fmt.Sprintf(format, args...), Next: next, Facts: facts}
}

// Config says what to look at.
type Config struct {
	// Data is the node's data folder.
	Data string
	// Keys is the file of API keys; default "keys" in Data.
	Keys string
	// EngineDirs are searched in order for the engine libraries.
	EngineDirs []string
	// Exe is the program that is started as "Exe worker" to ask them; default this one.
	Exe string
	// API is the base URL at which a node is asked; Key is the key to ask with.
	API, Key string
	// Mesh is the UDP multiaddr that a node would listen on; one that answers says
	// itself where it does.
	Mesh string
	// Version is this program's.
	Version string
	// Root is the folder below which drivers are looked for; default /.
	Root string
	// Addresses are this machine's, at which the API is tried; default those of its
	// interfaces.
	Addresses func() ([]net.Addr, error)
	// Patience is how long it may take in all; default 10 s. What hangs is told.
	Patience time.Duration
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Validate says what cannot be looked at as it is written.
func (c *Config) Validate() error {
	var errs []error
	if u, err := url.Parse(c.API); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		errs = append(errs, fmt.Errorf("%q is no URL of an API; write it as http://127.0.0.1:11435", c.API))
	}
	if _, err := ma.NewMultiaddr(c.Mesh); err != nil {
		errs = append(errs, fmt.Errorf("mesh address %q: %w; write it as /ip4/0.0.0.0/udp/4001/quic-v1", c.Mesh, err))
	}
	return errors.Join(errs...)
}

func (c *Config) setDefaults() (err error) {
	c.Root, c.Patience = cmp.Or(c.Root, "/"), cmp.Or(c.Patience, patience)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Addresses == nil {
		c.Addresses = net.InterfaceAddrs
	}
	if c.Exe == "" {
		if c.Exe, err = os.Executable(); err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
	}
	return c.Validate()
}

// check is one thing to look at. Where there is nothing to look at it says nothing.
type check struct {
	name string
	look func(context.Context, *patient) []Finding
}

// checks are in the order in which an operator would look: the machine, what lies on
// its disk, the node that runs.
var checks = []check{
	{"data folder", dataFolder},
	{"disk", disk},
	{"memory", memory},
	{"open files", openFiles},
	{"engine", libraries},
	{"identity", identity},
	{"keys", keyFile},
	{"models", storedModels},
	{"policies", keptPolicies},
	{"clock", clock},
	{"mesh", membership},
	{"mesh port", meshPort},
	{"UDP buffer", receiveBuffer},
	{"node", answers},
	{"access", access},
	{"peers", peers},
	{"served", servedModels},
	{"decisions", decisions},
}

// Run looks at everything at once and tells what it finds in the order of the table.
// The error is what Validate says, then nothing was looked at, or the context's.
func Run(parent context.Context, cfg Config, tell func(Finding)) error {
	if err := cfg.setDefaults(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(parent, cfg.Patience)
	defer cancel()
	hangs := func(what string) Finding {
		return as(what, problem("dmesg | tail", nil, "not done within %v: a disk or a network folder hangs", cfg.Patience))
	}
	p, ok := await(ctx, func() *patient { return examine(ctx, cfg) })()
	switch {
	case parent.Err() != nil:
		return parent.Err()
	case !ok:
		tell(hangs("data folder"))
		return nil
	}
	looks := make([]func() ([]Finding, bool), len(checks))
	for i, c := range checks {
		looks[i] = await(ctx, func() []Finding { return c.look(ctx, p) })
	}
	for i, c := range checks {
		list, ok := looks[i]()
		if err := parent.Err(); err != nil {
			return err
		}
		if !ok {
			list = []Finding{hangs(c.name)}
		}
		for _, f := range bounded(list) {
			f.Check = cmp.Or(f.Check, c.name)
			tell(f)
		}
	}
	return nil
}

// await starts do and returns what waits for it; false if it is not done by the end of
// ctx and some time for what minds that. A call that waits for a disk that hangs
// cannot be ended: it is left behind, in a process that is about to end.
func await[T any](ctx context.Context, do func() T) func() (T, bool) {
	done := make(chan T, 1)
	go func() { done <- do() }()
	return func() (v T, ok bool) {
		select {
		case v = <-done:
			return v, true
		case <-ctx.Done():
		}
		select {
		case v = <-done:
			return v, true
		case <-time.After(graceTime):
			return v, false
		}
	}
}

// bounded keeps the first lines of a check, and says how many there are more.
func bounded(list []Finding) []Finding {
	if len(list) <= maxFindings {
		return list
	}
	more := list[maxFindings:]
	last := Finding{Check: list[0].Check, Mark: OK, Text: fmt.Sprintf("and %d more like these", len(more))}
	for _, f := range more {
		if f.Mark == Problem || f.Mark == Advice && last.Mark == OK {
			last.Mark, last.Next = f.Mark, f.Next
		}
	}
	return append(list[:maxFindings:maxFindings], last)
}
