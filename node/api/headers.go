package api

import (
	"net/http"
	"strconv"
	"time"
)

// Response headers of omx. An answer that is streamed has its times only as far
// as they are known when it begins.
const (
	headerRequestID = "X-Request-Id"    // the client's own, or one made for it
	headerNode      = "X-Omx-Node"      // identity of the node that answers
	headerNodeName  = "X-Omx-Node-Name" // what its operator calls it
	headerDecision  = "X-Omx-Decision"  // number for GET /omx/v1/decisions/
	headerPolicy    = "X-Omx-Policy"    // the routing policy that decided
	headerQueue     = "X-Omx-Queue-Ms"  // until a slot was free
	headerTTFT      = "X-Omx-Ttft-Ms"   // from the request to the first token
	headerResumed   = "X-Omx-Resumed"   // how often another node went on with the answer; of a stream a trailer

	headerAnthropicID = "Request-Id" // what Anthropic's clients call x-request-id
	// headerAnthropicVersion comes with every request of Anthropic's clients.
	headerAnthropicVersion = "Anthropic-Version"
)

// Values that all answers share; nobody may change them.
var (
	noSniff  = []string{"nosniff"}
	typeJSON = []string{"application/json"}
)

// fields sets headers whose names are canonical, with one piece of memory for all
// their values: http.Header takes one for each.
type fields struct {
	h      http.Header
	values []string
}

func (f *fields) set(name, value string) {
	f.values = append(f.values, value)
	n := len(f.values)
	f.h[name] = f.values[n-1 : n : n]
}

func setMeta(h http.Header, m Meta) {
	f := fields{h, make([]string, 0, 6)}
	f.set(headerNode, m.Node.String())
	f.set(headerNodeName, m.NodeName)
	f.set(headerDecision, m.Decision)
	f.set(headerPolicy, m.Policy)
	f.millis(headerQueue, m.Queue)
	f.millis(headerTTFT, m.TTFT)
}

// setResumed tells, before or after the body, of an answer that changed nodes.
func setResumed(h http.Header, prefix string, r *Result) {
	if r.Resumed > 0 {
		h.Set(prefix+headerResumed, strconv.Itoa(r.Resumed))
	}
}

func (f *fields) millis(name string, d time.Duration) {
	if d > 0 {
		f.set(name, strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 3, 64))
	}
}
