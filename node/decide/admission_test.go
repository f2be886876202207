package decide

import (
	"testing"

	"omx/node/catalog"
	"omx/policies/abi"
)

func TestHalves(t *testing.T) {
	var h halves
	const span = 10
	for _, c := range []struct {
		at       catalog.Micros
		add, sum uint32
	}{{100, 1, 1}, {109, 1, 2}, {110, 1, 3}, {119, 0, 3}, {120, 0, 1}, {129, 5, 6}, {150, 0, 0}, {151, 2, 2}, {50, 0, 0}} {
		h.at(c.at, span).now += c.add
		if h.sum() != c.sum {
			t.Errorf("at %d: %d, want %d", c.at, h.sum(), c.sum)
		}
	}
}

func TestAdmissionCounts(t *testing.T) {
	var a admission
	const now = 1_000_000_000
	for i := range 10 {
		a.count(now, abi.Action(i%4)) // allow, queue, shed, reject
	}
	a.began(7, now)
	a.began(7, now)
	a.began(8, now)
	a.ended(8, 50, now)
	a.ended(99, 1, now) // never began
	var h abi.Header
	a.fill(&h, 7, now)
	if h.Offered != 10 || h.Admitted != 6 || h.Tenants != 1 || h.TenantInFlight != 2 || h.TenantTokens != 0 {
		t.Errorf("header %+v", h)
	}
	h = abi.Header{}
	a.fill(&h, 8, now+tenantHalf)
	if h.TenantInFlight != 0 || h.TenantTokens != 50 {
		t.Errorf("tenant 8: %+v", h)
	}
	// Strangers by the thousand take no more room.
	for id := range uint64(2 * maxTenants) {
		a.began(id+100, now)
		a.ended(id+100, 1, now)
	}
	if len(a.tenants) > maxTenants {
		t.Errorf("%d tenants are kept", len(a.tenants))
	}
	a.ended(7, 10, now+10*tenantHalf)
	for id := range uint64(10) {
		a.began(id+1e9, now+10*tenantHalf)
		a.ended(id+1e9, 1, now+10*tenantHalf)
	}
	if len(a.tenants) > 20 {
		t.Errorf("%d tenants are kept after a long time", len(a.tenants))
	}
}
