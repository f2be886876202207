package api

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Operator lets the operator look after the node's policies.
type Operator interface {
	Policies() []PolicyView
	// OrderPolicy changes what decides a kind.
	OrderPolicy(ctx context.Context, o PolicyOrder) error
	// Metrics writes figures in the text format of Prometheus.
	Metrics(w io.Writer) error
}

// PolicyView is what decides one kind.
type PolicyView struct {
	Kind       string      `json:"kind"`
	Generation uint64      `json:"generation"` // how often what decides was changed
	Active     PolicyStat  `json:"active"`
	LastGood   *PolicyStat `json:"last_good,omitempty"`
	Shadow     *PolicyStat `json:"shadow,omitempty"`
	SetAside   string      `json:"set_aside,omitempty"` // the policy that failed too often
	Builtin    uint64      `json:"builtin_decisions"`   // taken by the built-in rule
	Agreed     uint64      `json:"shadow_agreed"`
	Differed   uint64      `json:"shadow_differed"`
}

// PolicyStat is one policy and how it has done.
type PolicyStat struct {
	Name        string            `json:"name"`
	Digest      string            `json:"digest"` // SHA-256, hexadecimal; "" for the built-in rule
	Decisions   uint64            `json:"decisions"`
	Faults      uint64            `json:"faults"` // of those, failed
	Statuses    map[string]uint64 `json:"statuses"`
	FuelMean    uint64            `json:"fuel_mean"`
	TimeMeanNS  uint64            `json:"time_mean_ns"` // of one decision in sixteen
	MemoryBytes uint64            `json:"memory_bytes"`
}

// PolicyOrder says what to do. A policy is named by a reference that the node
// can find, or given with its code.
type PolicyOrder struct {
	Kind      string `json:"-"`
	Action    string `json:"-"` // activate, shadow, promote or rollback
	Ref       string `json:"ref,omitempty"`
	Name      string `json:"name,omitempty"`
	Code      []byte `json:"code,omitempty"`      // base64
	Signature []byte `json:"signature,omitempty"` // base64
	Params    string `json:"params,omitempty"`    // lines of key=value
}

// maxOrder bounds the body of an order: the largest module in base64, and what
// is said of it.
const maxOrder = 24 << 20

// orderTimeout is for what an order has the node do; to compile a module of the
// size that Go makes takes seconds on a weak machine.
const orderTimeout = 60 * time.Second

func (s *Server) policies(w http.ResponseWriter, r *http.Request) {
	writeView(w, s.operate.Policies())
}

func (s *Server) orderPolicy(w http.ResponseWriter, r *http.Request) {
	// Whoever decides what is admitted decides everything.
	if err := s.mayOperate(r); err != nil {
		writeOpenAIError(w, err)
		return
	}
	o := PolicyOrder{}
	if err := readBodyOf(w, r, &o, maxOrder); err != nil {
		writeOpenAIError(w, err)
		return
	}
	o.Kind, o.Action = r.PathValue("kind"), r.PathValue("action")
	ctx, cancel := context.WithTimeout(r.Context(), orderTimeout)
	defer cancel()
	if err := s.operate.OrderPolicy(ctx, o); err != nil {
		writeOpenAIError(w, &Error{Status: http.StatusUnprocessableEntity, Code: "policy_refused", Message: err.Error()})
		return
	}
	writeView(w, s.operate.Policies())
}

func isLocal(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}

func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	if err := s.operate.Metrics(w); err != nil {
		s.log.Warn("metrics not written", "why", fmt.Errorf("write metrics: %w", err))
	}
}
