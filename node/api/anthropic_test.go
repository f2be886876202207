package api

import (
	"strings"
	"testing"
)

func TestCountTokens(t *testing.T) {
	_, counts := startWith(t, Config{}, &script{})
	s := shapeOf(t, "messages")
	for _, c := range []struct {
		name, url, body string
		status          int
		want            string
	}{
		{"text", counts, `{"model":"omx-demo","system":"be very brief","messages":[{"role":"user","content":"one two"}]}`, 200, `{"input_tokens":5}`},
		{"an answer begun", counts, `{"model":"omx-demo","messages":[{"role":"user","content":"one two"},{"role":"assistant","content":"a"}]}`, 200, `{"input_tokens":3}`},
		{"no messages", counts, `{"model":"omx-demo","messages":[]}`, 400, "messages: "},
		{"tools", counts, `{"model":"omx-demo","messages":[{"role":"user","content":"x"}],"tools":[{"name":"f","input_schema":{"type":"object"}}]}`, 200, `{"input_tokens":2}`},
		{"bad tools", counts, `{"model":"omx-demo","messages":[{"role":"user","content":"x"}],"tools":[{"name":"f"}]}`, 400, "tools[0].input_schema: "},
		{"no JSON", counts, `{`, 400, "JSON"},
		{"unknown model", counts, `{"model":"no-such-model","messages":[{"role":"user","content":"x"}]}`, 404, "no-such-model"},
		{"a fault", counts, `{"model":"broken","messages":[{"role":"user","content":"x"}]}`, 500, "its log says more"},
		{"who cannot", counts, `{"model":"unable","messages":[{"role":"user","content":"x"}]}`, 501, "no engine here"},
	} {
		status, header, body := do(t, "POST", c.url+"/v1/messages/count_tokens", c.body, "x-api-key", "any", "anthropic-version", "2023-06-01")
		if status != c.status || !strings.Contains(body, c.want) || header.Get("Request-Id") != header.Get(headerRequestID) {
			t.Errorf("%s: %d %s, want %d with %s", c.name, status, body, c.status, c.want)
		}
		if status != 200 {
			s.wantError(t, status, body, header.Get("Request-Id"))
		}
	}
	// What is not there, and who may not, is told in Anthropic's form too.
	for path, want := range map[string]string{"/v1/messages/batches": "not_found_error", "/v1/messages": "invalid_request_error"} {
		if _, _, body := do(t, "GET", counts+path, ""); !strings.HasPrefix(body, `{"type":"error","error":{"type":"`+want) {
			t.Errorf("%s: %s", path, body)
		}
	}
	if status, _, body := do(t, "POST", locked(t, &script{})+"/v1/messages", s.with("omx-demo", "")); status != 401 || !strings.Contains(body, "authentication_error") {
		t.Errorf("without a key: %d %s", status, body)
	}
}

// Whose client asks for models gets them in its own API's form.
func TestAnthropicModels(t *testing.T) {
	_, url := start(t, &script{})
	version := []string{"anthropic-version", "2023-06-01"}
	for _, c := range []struct {
		path   string
		header []string
		status int
		want   string
	}{
		{"/v1/models", version, 200, `"has_more":false,"first_id":"`},
		{"/v1/models/omx-demo", version, 200, `{"type":"model","id":"omx-demo","display_name":"omx-demo","created_at":"`},
		{"/v1/models/x", version, 404, `{"type":"error","error":{"type":"not_found_error"`},
		{"/v1/models", nil, 200, `{"object":"list"`},
		{"/v1/models/x", nil, 404, `{"error":{"message"`},
	} {
		status, header, body := do(t, "GET", url+c.path, "", c.header...)
		if status != c.status || !strings.Contains(body, c.want) || c.header != nil && header.Get("Request-Id") == "" {
			t.Errorf("%s %v: %d %s, want %d with %s", c.path, c.header, status, body, c.status, c.want)
		}
	}
	if status, _, body := do(t, "GET", locked(t, &script{})+"/v1/models", "", version...); status != 401 || !strings.Contains(body, `"authentication_error"`) {
		t.Errorf("without a key: %d %s", status, body)
	}
}
