package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"omx/node/catalog"
	"omx/node/keys"
)

// Request headers of omx.
const (
	headerTenant   = "X-Omx-Tenant"
	headerPriority = "X-Omx-Priority"
	headerDeadline = "X-Omx-Deadline-Ms"
)

const (
	mostPriority = 100
	mostDeadline = 24 * time.Hour
)

// holder is the key of a request; nil where no keys are asked for.
func (s *Server) holder(r *http.Request) (*keys.Key, *Error) {
	if s.cfg.Keys == nil {
		return nil, nil
	}
	ring := s.cfg.Keys()
	if ring == nil {
		return nil, nil
	}
	secret := r.Header.Get("X-Api-Key")
	if kind, rest, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(kind, "Bearer") {
		secret = strings.TrimSpace(rest)
	}
	if secret == "" {
		return nil, &Error{Status: http.StatusUnauthorized, Code: "missing_api_key", Message: "this node asks for a key: send it as Authorization: Bearer KEY, or as x-api-key"}
	}
	k := ring.Find(secret)
	if k == nil {
		return nil, &Error{Status: http.StatusUnauthorized, Code: "invalid_api_key", Message: "the key is not one of this node's; omx keys add makes one"}
	}
	return k, nil
}

// isOpen tells of paths that need no key: whether the node is there.
func isOpen(r *http.Request) bool { return r.URL.Path == "/healthz" || r.URL.Path == "/" }

// ask takes in whose name a request is, and how urgent, from its key and headers.
// A holder may give up priority, not take it; whose a request is, a header says
// only where no keys are asked for.
func (s *Server) ask(r *http.Request, c *Chat) error {
	k, refused := s.holder(r)
	if refused != nil {
		return refused
	}
	limit := int32(mostPriority)
	if k != nil {
		if !k.Allows(c.Model) && !allowsLatest(k, c.Model) {
			return &Error{Status: http.StatusForbidden, Code: "model_not_allowed", Param: "model", Message: fmt.Sprintf("the key of %s does not allow model %s", k.Tenant, c.Model)}
		}
		c.Tenant, c.Class, c.Priority, limit = k.Tenant, k.Class, k.Priority, k.Priority
	} else if name := r.Header.Get(headerTenant); name != "" {
		t, err := catalog.ParseTenant(name)
		if err != nil {
			return badField(headerTenant, "%v", err)
		}
		c.Tenant = t
	}
	if text := r.Header.Get(headerPriority); text != "" {
		v, err := strconv.ParseInt(text, 10, 32)
		if err != nil || v < -mostPriority || v > mostPriority {
			return badField(headerPriority, "must be a whole number from %d to %d, not %q", -mostPriority, mostPriority, clip(text))
		}
		c.Priority = min(int32(v), limit)
	}
	if text := r.Header.Get(headerDeadline); text != "" {
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil || v < 1 || v > mostDeadline.Milliseconds() {
			return badField(headerDeadline, "must be a number of milliseconds from 1 to %d, not %q", mostDeadline.Milliseconds(), clip(text))
		}
		c.Deadline = time.Duration(v) * time.Millisecond
	}
	return nil
}

// allowsLatest tells of a key that names the model with its tag, as lists may.
func allowsLatest(k *keys.Key, m catalog.ModelID) bool {
	id, err := catalog.ParseModelID(m.String() + latest)
	return err == nil && k.Allows(id)
}

// mayOperate tells whether a request may change what the node does: where keys
// are asked for, with an admin's; else from the node's own machine.
func (s *Server) mayOperate(r *http.Request) error {
	k, refused := s.holder(r)
	switch {
	case refused != nil:
		return refused
	case k != nil && !k.Admin:
		return &Error{Status: http.StatusForbidden, Code: "not_admin", Message: fmt.Sprintf("the key of %s may not change what the node does; make one that may with: omx keys add NAME --admin", k.Tenant)}
	case k == nil && !isLocal(r.RemoteAddr):
		return &Error{Status: http.StatusForbidden, Code: "local_only", Message: "without keys, a node is changed from its own machine only; see: omx keys"}
	}
	return nil
}
