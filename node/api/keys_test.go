package api

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"omx/node/keys"
)

const (
	ofLine = "omx-line-aaaaaaaaaaaaaaaa"
	ofBoss = "omx-boss-aaaaaaaaaaaaaaaa"
)

func ringOf(t *testing.T) *keys.Ring {
	t.Helper()
	text := fmt.Sprintf("omx-api-1 %x line-3 priority=-5 class=2 models=llama*\nomx-api-1 %x boss admin priority=7\n", sha256.Sum256([]byte(ofLine)), sha256.Sum256([]byte(ofBoss)))
	ring, err := keys.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// locked is a server that asks for keys.
func locked(t *testing.T, s *script) string {
	t.Helper()
	ring := ringOf(t)
	_, url := startWith(t, Config{Keys: func() *keys.Ring { return ring }}, s)
	return url
}

func TestKeysAreAskedFor(t *testing.T) {
	s := &script{last: make(chan *Chat, 1)}
	url := locked(t, s)
	body := func(model string) string {
		return `{"model":"` + model + `","messages":[{"role":"user","content":"hi"}]}`
	}
	order := `{"name":"p.wasm","code":"d2FzbQ=="}`
	for name, c := range map[string]struct {
		method, path, body string
		header             []string
		status             int
		want               string
	}{
		"none":              {"POST", "/v1/chat/completions", body("llama3"), nil, 401, `"code":"missing_api_key"`},
		"none, Ollama":      {"POST", "/api/chat", body("llama3"), nil, 401, `{"error":"this node asks for a key`},
		"wrong":             {"POST", "/v1/chat/completions", body("llama3"), []string{"Authorization", "Bearer omx-aaaaaaaaaaaaaaaaaaaa"}, 401, `"code":"invalid_api_key"`},
		"no bearer":         {"POST", "/v1/chat/completions", body("llama3"), []string{"Authorization", ofLine}, 401, "missing_api_key"},
		"bearer":            {"POST", "/v1/chat/completions", body("llama3"), []string{"Authorization", "bearer " + ofLine}, 200, "hi"},
		"x-api-key":         {"POST", "/api/chat", body("llama3"), []string{"X-Api-Key", ofLine}, 200, "hi"},
		"another model":     {"POST", "/v1/chat/completions", body("qwen3"), []string{"X-Api-Key", ofLine}, 403, `"code":"model_not_allowed"`},
		"every model":       {"POST", "/v1/chat/completions", body("qwen3"), []string{"X-Api-Key", ofBoss}, 200, "hi"},
		"list":              {"GET", "/v1/models", "", nil, 401, "missing_api_key"},
		"metrics":           {"GET", "/metrics", "", nil, 401, "missing_api_key"},
		"what is not there": {"GET", "/secret", "", nil, 401, "missing_api_key"},
		"health":            {"GET", "/healthz", "", nil, 200, "ok"},
		"front door":        {"GET", "/", "", nil, 200, "omx"},
		"order":             {"POST", "/omx/v1/policies/route/activate", order, []string{"X-Api-Key", ofLine}, 403, `"code":"not_admin"`},
		"order of an admin": {"POST", "/omx/v1/policies/route/activate", order, []string{"X-Api-Key", ofBoss}, 200, `"kind":"route"`},
	} {
		status, header, got := do(t, c.method, url+c.path, c.body, c.header...)
		if status != c.status || !strings.Contains(got, c.want) || (status == 401) != (header.Get("Www-Authenticate") != "") {
			t.Errorf("%s: %d %s, want %d with %s", name, status, got, c.status, c.want)
		}
	}
}

// Whose a request is and how urgent.
func TestAsker(t *testing.T) {
	s := &script{last: make(chan *Chat, 1)}
	_, open := start(t, s)
	closed := locked(t, s)
	for name, c := range map[string]struct {
		url      string
		header   []string
		tenant   string
		priority int32
		class    uint32
		deadline time.Duration
	}{
		"nothing said":  {open, nil, "", 0, 0, 0},
		"said":          {open, []string{headerTenant, "till-7", headerPriority, "3", headerDeadline, "1500"}, "till-7", 3, 0, 1500 * time.Millisecond},
		"by key":        {closed, []string{"X-Api-Key", ofLine}, "line-3", -5, 2, 0},
		"gives up":      {closed, []string{"X-Api-Key", ofLine, headerPriority, "-50"}, "line-3", -50, 2, 0},
		"takes":         {closed, []string{"X-Api-Key", ofLine, headerPriority, "50", headerTenant, "boss"}, "line-3", -5, 2, 0},
		"by Ollama too": {closed, []string{"X-Api-Key", ofBoss, headerDeadline, "1"}, "boss", 7, 0, time.Millisecond},
	} {
		if status, _, got := do(t, "POST", c.url+"/api/chat", `{"model":"llama3","messages":[{"role":"user","content":"hi"}]}`, c.header...); status != http.StatusOK {
			t.Fatalf("%s: %d %s", name, status, got)
		}
		if r := <-s.last; r.Tenant.String() != c.tenant || r.Priority != c.priority || r.Class != c.class || r.Deadline != c.deadline {
			t.Errorf("%s: tenant %q, priority %d, class %d, deadline %v", name, r.Tenant, r.Priority, r.Class, r.Deadline)
		}
	}
	for _, bad := range [][]string{
		{headerTenant, "a b"}, {headerPriority, "101"}, {headerPriority, "high"}, {headerPriority, "99999999999"},
		{headerDeadline, "0"}, {headerDeadline, "-1"}, {headerDeadline, "86400001"}, {headerDeadline, "1e3"}, {headerDeadline, "9223372036854775808"},
	} {
		status, _, got := do(t, "POST", open+"/v1/chat/completions", `{"model":"llama3","messages":[{"role":"user","content":"hi"}]}`, bad...)
		if status != http.StatusBadRequest || !strings.Contains(got, bad[0]) {
			t.Errorf("%v: %d %s", bad, status, got)
		}
	}
}
