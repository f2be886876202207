package api

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
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
		resp, err := http.Post(url+c.path, "application/json", strings.NewReader(c.body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || !bytes.Contains(b, []byte(c.want)) {
			t.Errorf("%s: %d %s, %v; want %d with %q", name, resp.StatusCode, b, err, c.status, c.want)
		}
	}
	for path, want := range map[string]string{"/omx/v1/policies": `"active":{"name":"p"`, "/metrics": "omx_policy_generation 1"} {
		resp, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || !bytes.Contains(b, []byte(want)) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, b)
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
