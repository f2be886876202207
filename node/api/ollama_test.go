package api

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestOllamaModels(t *testing.T) {
	_, url := start(t, &script{})
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"tags", "GET", "/api/tags", "", 200, `"name":"omx-demo"`},
		{"ps", "GET", "/api/ps", "", 200, `"name":"omx-demo"`},
		{"show", "POST", "/api/show", `{"model":"omx-demo"}`, 200, `"omx.digest":"abc","omx.bytes":5,"omx.holders":1`},
		{"show by tag", "POST", "/api/show", `{"model":"omx-demo:latest"}`, 200, `"format":"gguf"`},
		{"show by its older name", "POST", "/api/show", `{"name":"omx-demo"}`, 200, `"capabilities":["completion"]`},
		{"show what is not there", "POST", "/api/show", `{"model":"x"}`, 404, `{"error":"model 'x' not found`},
		{"show a path", "POST", "/api/show", `{"model":"../../etc/passwd"}`, 404, `{"error":"there is no such model`},
		{"show nothing", "POST", "/api/show", `{}`, 400, `{"error":"model: is missing`},
		{"show no JSON", "POST", "/api/show", `{`, 400, `{"error":"`},
		{"version", "GET", "/api/version", "", 200, `{"version":"v0"}`},
		{"head", "HEAD", "/", "", 200, ""},
		{"load", "POST", "/api/generate", `{"model":"omx-demo"}`, 200, `"response":"","done":true,"done_reason":"load"}`},
		{"load by tag", "POST", "/api/generate", `{"model":"omx-demo:latest","prompt":""}`, 200, `"model":"omx-demo:latest"`},
		{"load what is not there", "POST", "/api/generate", `{"model":"x"}`, 404, `{"error":"model 'x' not found`},
		{"load nothing", "POST", "/api/generate", `{}`, 400, `{"error":"model: is missing`},
		{"unload", "POST", "/api/generate", `{"model":"omx-demo","keep_alive":0}`, 501, "omx serve"},
		{"unload by chat", "POST", "/api/chat", `{"model":"omx-demo","messages":[],"keep_alive":"0s"}`, 501, "omx serve"},
		{"load by chat", "POST", "/api/chat", `{"model":"omx-demo"}`, 200, `"message":{"role":"assistant","content":""},"done":true,"done_reason":"load"}`},
		{"load by embed", "POST", "/api/embed", `{"model":"omx-demo"}`, 200, `"embeddings":[]`},
		{"load by embeddings", "POST", "/api/embeddings", `{"model":"omx-demo"}`, 200, `{"embedding":[]}`},
		{"head of tags", "HEAD", "/api/tags", "", 200, ""},
		{"head of the version", "HEAD", "/api/version", "", 200, ""},
		{"pull", "POST", "/api/pull", `{"model":"x"}`, 501, "omx serve"},
		{"push", "POST", "/api/push", `{"model":"x"}`, 501, "have the other node pull"},
		{"create", "POST", "/api/create", `{"model":"x"}`, 501, "omx serve"},
		{"copy", "POST", "/api/copy", `{"source":"x"}`, 501, "omx serve"},
		{"delete", "DELETE", "/api/delete", `{"model":"x"}`, 501, "omx serve"},
		{"blob", "POST", "/api/blobs/sha256:00", "x", 501, "omx serve"},
		{"blob there", "HEAD", "/api/blobs/sha256:00", "", 501, ""},
		{"wrong method", "GET", "/api/generate", "", 405, `{"error":"use POST here"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, header, body := do(t, c.method, url+c.path, c.body)
			if status != c.status || !strings.Contains(body, c.want) || header.Get(headerRequestID) == "" {
				t.Errorf("%d %s\nwant %d with %s", status, body, c.status, c.want)
			}
			if body != "" && !json.Valid([]byte(body)) {
				t.Errorf("no JSON: %s", body)
			}
		})
	}
	var ps struct {
		Models []struct {
			Size    int64
			Expires time.Time `json:"expires_at"`
		}
	}
	_, _, body := do(t, "GET", url+"/api/ps", "")
	if err := json.Unmarshal([]byte(body), &ps); err != nil || len(ps.Models) != 1 || ps.Models[0].Size != 5 || time.Until(ps.Models[0].Expires) < 20*365*24*time.Hour {
		t.Errorf("ps: %s, %v", body, err)
	}
}

// idle is a mesh that has models, and none loaded.
type idle struct{ views }

func (idle) Models() []ModelView {
	return []ModelView{{ID: "cold", Holders: []HolderView{{State: "on disk"}, {State: "loading"}}}}
}

func TestOllamaNotLoaded(t *testing.T) {
	srv, url := start(t, &script{})
	srv.inspect = idle{}
	if status, _, body := do(t, "GET", url+"/api/ps", ""); status != 200 || body != `{"models":[]}`+"\n" {
		t.Errorf("ps: %d %s", status, body)
	}
	if status, header, body := do(t, "POST", url+"/api/generate", `{"model":"cold"}`); status != 503 || header.Get("Retry-After") != "1" || !strings.HasPrefix(body, `{"error":"`) {
		t.Errorf("load: %d %s", status, body)
	}
}
