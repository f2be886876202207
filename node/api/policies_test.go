package api

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestPolicyOrders(t *testing.T) {
	_, url := start(t, &script{})
	body := func(code string) string {
		b, err := json.Marshal(PolicyOrder{Name: "p.wasm", Code: []byte(code)})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for name, c := range map[string]struct {
		path, body string
		status     int
		want       string
	}{
		"activate": {"/omx/v1/policies/route/activate", body("wasm"), 200, `"kind":"route"`},
		"refused":  {"/omx/v1/policies/route/activate", body("rubbish"), 422, "it is no module: build it again"},
		"no JSON":  {"/omx/v1/policies/route/activate", "{", 400, "not a JSON object"},
		"too long": {"/omx/v1/policies/route/activate", `{"name":"` + strings.Repeat("x", maxOrder) + `"}`, 413, "larger than"},
	} {
		status, _, b := do(t, "POST", url+c.path, c.body, "Content-Type", "application/json")
		if status != c.status || !strings.Contains(b, c.want) {
			t.Errorf("%s: %d %s; want %d with %q", name, status, b, c.status, c.want)
		}
	}
	for path, want := range map[string]string{"/omx/v1/policies": `"active":{"name":"p"`, "/metrics": "omx_policy_generation 1"} {
		if status, _, b := do(t, "GET", url+path, ""); status != 200 || !strings.Contains(b, want) {
			t.Errorf("%s: %d %s", path, status, b)
		}
	}
}

func TestIsLocal(t *testing.T) {
	for addr, want := range map[string]bool{"127.0.0.1:80": true, "127.3.4.5:1": true, "[::1]:80": true, "192.168.1.7:80": false, "[fe80::1]:80": false, "": false, "localhost:80": false} {
		if isLocal(addr) != want {
			t.Errorf("%q: %v", addr, !want)
		}
	}
}
