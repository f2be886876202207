package decide

import (
	"omx/node/catalog"
	"omx/policies/abi"
)

// maxTenants are counted one by one; further ones share no figures. A node of
// a shop or a lab has a few.
const maxTenants = 4096

// Spans of the counts: each is kept in two halves, so that what is told covers
// between half of it and all.
const (
	admitHalf  = 5_000_000  // µs
	tenantHalf = 30_000_000 // µs
)

// admission counts what an admission policy sees beside the request. The admit
// slot's lock guards it.
type admission struct {
	offered, admitted halves
	tenants           map[uint64]*tenant
	active            uint32         // tenants with a request here
	looked            catalog.Micros // when quiet tenants were looked for
}

type tenant struct {
	inFlight uint32
	tokens   halves
}

// halves counts over the present half of a span and the one before.
type halves struct {
	now, before uint32
	began       catalog.Micros // the present half
}

func (h *halves) at(now, span catalog.Micros) *halves {
	if since := now - h.began; since < 0 || since >= span {
		h.before = h.now
		if since < 0 || since >= 2*span {
			h.before = 0
		}
		h.now, h.began = 0, now-now%span
	}
	return h
}

func (h *halves) sum() uint32 { return h.now + h.before }

func (a *admission) fill(h *abi.Header, id uint64, now catalog.Micros) {
	h.Offered, h.Admitted, h.Tenants = a.offered.sum(), a.admitted.sum(), a.active
	if t := a.tenants[id]; t != nil {
		h.TenantInFlight, h.TenantTokens = t.inFlight, t.tokens.at(now, tenantHalf).sum()
	}
}

func (a *admission) count(now catalog.Micros, action abi.Action) {
	a.offered.at(now, admitHalf).now++
	a.admitted.at(now, admitHalf)
	if action < abi.Shed {
		a.admitted.now++
	}
}

// began and ended follow the requests of a tenant at this node.
func (a *admission) began(id uint64, now catalog.Micros) {
	t := a.tenants[id]
	if t == nil {
		if len(a.tenants) >= maxTenants && !a.forget(now) {
			return
		}
		if a.tenants == nil {
			a.tenants = map[uint64]*tenant{}
		}
		t = &tenant{}
		a.tenants[id] = t
	}
	if t.inFlight++; t.inFlight == 1 {
		a.active++
	}
}

func (a *admission) ended(id uint64, tokens uint32, now catalog.Micros) {
	t := a.tenants[id]
	if t == nil || t.inFlight == 0 {
		return
	}
	t.tokens.at(now, tenantHalf).now += tokens
	if t.inFlight--; t.inFlight == 0 {
		a.active--
	}
}

// forget drops tenants that have been quiet for long, and tells whether there is
// room then. It looks once in a span: a crowd must not have it look at all of
// them for each request.
func (a *admission) forget(now catalog.Micros) bool {
	if since := now - a.looked; since >= 0 && since < tenantHalf {
		return false
	}
	a.looked = now
	for id, t := range a.tenants {
		if t.inFlight == 0 && t.tokens.at(now, tenantHalf).sum() == 0 {
			delete(a.tenants, id)
		}
	}
	return len(a.tenants) < maxTenants
}
