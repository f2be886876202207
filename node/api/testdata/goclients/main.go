// Command goclients asks a running node what the official Go clients of the
// OpenAI, Anthropic and Ollama APIs would, and prints a line of JSON for each
// check: goclients openai|anthropic|ollama. The environment says where the node is
// and what its answers must be. It is a module of its own, so that the clients stay
// out of omx's.
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"slices"
	"strings"
)

// What go test ./cmd/omx says.
var (
	base          = os.Getenv("OMX_URL")    // of a node that does not hold the model
	holder        = os.Getenv("OMX_HOLDER") // of the one that does
	model         = os.Getenv("OMX_MODEL")
	modelFile     = os.Getenv("OMX_MODEL_FILE")
	key           = os.Getenv("OMX_KEY")
	question      = os.Getenv("OMX_QUESTION")
	answer        = os.Getenv("OMX_ANSWER") // word for word, at temperature 0
	stop          = os.Getenv("OMX_STOP")   // a text in it
	stopped, _, _ = strings.Cut(answer, stop)
)

const (
	wrongKey = "omx-wrong"
	noModel  = "no-such-model"
)

// schema returns the form of an answer and of a tool's arguments: small, since the
// model knows neither and only the grammar leads it.
func schema() map[string]any {
	return map[string]any{"type": "object", "properties": properties(), "required": []string{"city", "days"}, "additionalProperties": false}
}

func properties() map[string]any {
	return map[string]any{
		"city": map[string]any{"type": "string", "enum": []string{"Oslo", "Lima"}},
		"days": map[string]any{"type": "integer", "minimum": 1, "maximum": 9},
	}
}

// digits is the form of an answer that is long enough to be left in its middle.
func digits() map[string]any {
	return map[string]any{"type": "array", "minItems": 200, "maxItems": 200, "items": map[string]any{"type": "integer", "minimum": 0, "maximum": 9}}
}

// isWeather checks a value of the schema.
func isWeather(text string) {
	var v struct {
		City string
		Days float64
	}
	err := json.Unmarshal([]byte(text), &v)
	that(err == nil && (v.City == "Oslo" || v.City == "Lima") && v.Days >= 1 && v.Days <= 9, "%v: %s", err, text)
}

func cosine[F float32 | float64](a, b []F) float64 {
	that(len(a) == len(b) && len(a) > 1, "%d and %d dimensions", len(a), len(b))
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Sqrt(aa*bb)
}

func same[F float32 | float64](a, b []F) {
	that(math.Abs(cosine(a, b)-1) < 1e-5, "cosine %v", cosine(a, b))
}

// failure ends a check.
type failure string

func that(ok bool, format string, args ...any) {
	if !ok {
		panic(failure(fmt.Sprintf(format, args...)))
	}
}

func equal[T comparable](got, want T) { that(got == want, "got %v, want %v", got, want) }

// get is a value that was had without an error.
func get[T any](v T, err error) T {
	that(err == nil, "%v", err)
	return v
}

type check struct {
	name string
	make func()
}

// client is a client and what it is checked with.
type client struct {
	module string
	checks func() []check
}

var clients = map[string]client{
	"openai":    {"github.com/openai/openai-go/v3", openAI},
	"anthropic": {"github.com/anthropics/anthropic-sdk-go/v2", anthropics},
	"ollama":    {"github.com/ollama/ollama", ollama},
}

func main() {
	c, ok := clients[strings.Join(os.Args[1:], " ")]
	if !ok || base == "" {
		fmt.Fprintln(os.Stderr, "usage: goclients openai|anthropic|ollama, with OMX_URL and the others set; run: go test ./cmd/omx")
		os.Exit(2)
	}
	out := json.NewEncoder(os.Stdout)
	for _, k := range c.checks() {
		why := run(k)
		if err := out.Encode(map[string]any{"client": c.module, "version": version(c.module), "check": k.name, "ok": why == "", "detail": why}); err != nil {
			os.Exit(1)
		}
	}
}

// run makes a check and tells why it failed.
func run(k check) (why string) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failure:
			why = string(r)
		default:
			why = fmt.Sprintf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	k.make()
	return ""
}

// version is that which was linked, without its v, as npm has it.
func version(module string) string {
	info, _ := debug.ReadBuildInfo()
	i := slices.IndexFunc(info.Deps, func(m *debug.Module) bool { return m.Path == module })
	return strings.TrimPrefix(info.Deps[i].Version, "v")
}
