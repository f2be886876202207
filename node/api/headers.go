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

func setMeta(h http.Header, m Meta) {
	h.Set(headerNode, m.Node.String())
	h.Set(headerNodeName, m.NodeName)
	h.Set(headerDecision, m.Decision)
	h.Set(headerPolicy, m.Policy)
	setMillis(h, headerQueue, m.Queue)
	setMillis(h, headerTTFT, m.TTFT)
}

// setResumed tells, before or after the body, of an answer that changed nodes.
func setResumed(h http.Header, prefix string, r *Result) {
	if r.Resumed > 0 {
		h.Set(prefix+headerResumed, strconv.Itoa(r.Resumed))
	}
}

func setMillis(h http.Header, name string, d time.Duration) {
	if d > 0 {
		h.Set(name, strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 3, 64))
	}
}
