package api

import (
	"net/http"
	"strings"
	"testing"
)

// club is a Membership that answers by what it is asked.
type club struct{}

func (club) Mesh() (MeshView, error)        { return MeshView{Mesh: "m", Role: "serve"}, nil }
func (club) Members() ([]MemberView, error) { return []MemberView{{ID: "one"}}, nil }
func (club) Invite(o InviteOrder) (InviteView, error) {
	if o.Uses > 1 {
		return InviteView{}, &Error{Status: http.StatusConflict, Code: "not_holder", Message: "no key here"}
	}
	return InviteView{Token: "omx1t", Role: o.Role}, nil
}
func (club) Revoke(node string) (MemberView, error) { return MemberView{ID: node}, nil }

func TestMeshOrders(t *testing.T) {
	srv, url := start(t, &script{})
	if code, _, b := do(t, "GET", url+"/omx/v1/mesh", ""); code != http.StatusNotImplemented {
		t.Errorf("without a mesh: %d %s", code, b)
	}
	srv.cfg.Mesh = club{}
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/omx/v1/mesh", "", 200, `"mesh":"m"`},
		{"GET", "/omx/v1/mesh/members", "", 200, `[{"id":"one"`},
		{"POST", "/omx/v1/mesh/invite", `{"role":"observe"}`, 200, `"token":"omx1t"`},
		{"POST", "/omx/v1/mesh/invite", `{"uses":2}`, 409, "no key here"},
		{"POST", "/omx/v1/mesh/revoke", `{"node":"two"}`, 200, `"id":"two"`},
		{"POST", "/omx/v1/mesh/revoke", `{`, 400, "not a JSON object"},
		{"POST", "/omx/v1/mesh/invite", `{"role":"` + strings.Repeat("x", maxMeshOrder) + `"}`, 413, "larger than"},
		{"GET", "/omx/v1/mesh/invite", "", 405, ""},
	} {
		code, _, b := do(t, c.method, url+c.path, c.body)
		if code != c.status || !strings.Contains(b, c.want) {
			t.Errorf("%s %s %.40s: %d %s, want %d with %q", c.method, c.path, c.body, code, b, c.status, c.want)
		}
	}
}
