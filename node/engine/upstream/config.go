package upstream

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"omx/node/catalog"
	"omx/node/files"
)

// Kind is the API that a server is asked by.
type Kind string

const (
	Auto   Kind = "" // Ollama by its own, all others by OpenAI's
	OpenAI Kind = "openai"
	Ollama Kind = "ollama"
)

// Config says which server is asked and how. The zero value of a field means its
// default.
type Config struct {
	// URL is where the server is: http://HOST:PORT, with or without OpenAI's /v1.
	URL string
	// Kind is the API to ask it by; default is what fits.
	Kind Kind
	// Key is sent as a bearer token. KeyFile holds it instead, and may change.
	Key     string
	KeyFile string
	// Models are those to use, as NAME or NAME=THEIRS to call them otherwise here;
	// default all that the server has, at most 64.
	Models []string
	// Prefix is put before the names of models that have none of their own.
	Prefix string
	// Slots is how many requests the server gets at once, at most 1024; default as many
	// as it says that it answers at once (llama-server), or 4. It is of the whole server:
	// its models share one machine.
	Slots int
	// QueueLimit is how many more may wait; default 64.
	QueueLimit int
	Timeouts   Timeouts
	// Proxy uses the proxies that the environment names; default none.
	Proxy bool
	// Client asks in place of one made for the purpose; its redirects are still
	// not followed.
	Client *http.Client
	// Log gets what an operator should know; default discards.
	Log *slog.Logger
}

// Timeouts are spans after which the server counts as lost.
type Timeouts struct {
	Dial  time.Duration // until it is connected; default 5 s
	Check time.Duration // for one question about its models; default 5 s
	Every time.Duration // between two checks while all is well; default 5 s
	First time.Duration // until an answer begins; default 10 min: it may have to load the model. Callers have less
	Idle  time.Duration // between two pieces of an answer; default 2 min
}

// name is a model to use: its name here and there.
type name struct {
	id     catalog.ModelID
	theirs string
}

// settings are a Config with its defaults, read.
type settings struct {
	Config
	base  string // of the server's URL, without /v1 and a slash at the end
	names []name
}

func (c Config) read() (*settings, error) {
	s := &settings{Config: c}
	def(&s.QueueLimit, 64)
	def(&s.Timeouts.Dial, 5*time.Second)
	def(&s.Timeouts.Check, 5*time.Second)
	def(&s.Timeouts.Every, 5*time.Second)
	def(&s.Timeouts.First, 10*time.Minute)
	def(&s.Timeouts.Idle, 2*time.Minute)
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	return s, s.validate()
}

func def[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// Validate lists all that is wrong at once.
func (c Config) Validate() error {
	_, err := c.read()
	return err
}

func (s *settings) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("upstream: "+format, args...))
		}
	}
	errs = append(errs, s.readURL())
	check(s.Kind == Auto || s.Kind == OpenAI || s.Kind == Ollama, "kind must be openai or ollama, not %q", s.Kind)
	check(s.Key == "" || s.KeyFile == "", "there is a key and a file for it; give one of them")
	check(validKey(s.Key), "the key must have no blanks and at most %d characters", maxKey)
	if s.KeyFile != "" {
		_, err := readKey(s.KeyFile)
		errs = append(errs, err)
	}
	check(s.Slots >= 0 && s.Slots <= maxSlots, "slots must be between 1 and %d, or 0 for what fits, not %d", maxSlots, s.Slots)
	check(s.QueueLimit >= 1 && s.QueueLimit <= 1<<16, "queue limit must be between 1 and 65536, not %d", s.QueueLimit)
	for _, t := range []struct {
		what string
		v    time.Duration
	}{{"dial", s.Timeouts.Dial}, {"check", s.Timeouts.Check}, {"first-token", s.Timeouts.First}, {"idle", s.Timeouts.Idle}, {"check interval", s.Timeouts.Every}} {
		check(t.v > 0, "the %s timeout must be above 0, not %v", t.what, t.v)
	}
	if s.Prefix != "" {
		_, err := catalog.ParseModelID(s.Prefix + "x")
		check(err == nil, "prefix %q cannot begin the name of a model; use letters, digits and ._-:/@+", clean(s.Prefix))
	}
	check(len(s.Models) <= maxModels, "%d models are named, at most %d", len(s.Models), maxModels)
	seen := map[catalog.ModelID]bool{}
	for _, m := range s.Models {
		n, err := s.name(m)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		check(!seen[n.id], "model %s is named twice", n.id)
		seen[n.id] = true
		s.names = append(s.names, n)
	}
	return errors.Join(errs...)
}

// readURL keeps what all paths are put to.
func (s *settings) readURL() error {
	u, err := url.Parse(s.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("upstream: the URL must be http://HOST:PORT or https://HOST") // not shown: it may have a password
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("upstream: the URL must have no user, ? or #; put a key into a file")
	}
	s.base = strings.TrimSuffix(strings.TrimRight(u.String(), "/"), "/v1")
	return nil
}

// clear tells that what is sent can be read on the way.
func (s *settings) clear() bool {
	u, err := url.Parse(s.base)
	if err != nil || u.Scheme != "http" || u.Hostname() == "localhost" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return ip == nil || !ip.IsLoopback()
}

// name reads NAME or NAME=THEIRS.
func (s *settings) name(m string) (name, error) {
	ours, theirs, named := strings.Cut(m, "=")
	if !named {
		ours, theirs = s.Prefix+m, m
	}
	id, err := catalog.ParseModelID(ours)
	if err != nil {
		return name{}, fmt.Errorf("upstream: %w; name it as NAME=THEIRS", err)
	}
	if theirs == "" {
		return name{}, fmt.Errorf("upstream: model %s has no name at the server; name it as NAME=THEIRS", id)
	}
	return name{id, theirs}, nil
}

func validKey(key string) bool {
	return len(key) <= maxKey && strings.IndexFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f }) < 0
}

func readKey(path string) (string, error) {
	b, err := files.ReadBounded(path, maxKey)
	if err != nil {
		return "", fmt.Errorf("upstream: read the key: %w", err)
	}
	key := strings.TrimSpace(string(b))
	if key == "" || !validKey(key) {
		return "", fmt.Errorf("upstream: %s must hold one key, without blanks", path)
	}
	return key, nil
}
