package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// echoing is a node that answers with the number of messages it was sent and the
// last one; it fails at "fail".
func echoing(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Messages []turn }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		said := body.Messages[len(body.Messages)-1].Content
		if said == "fail" {
			http.Error(w, `{"error":{"message":"no node is up"}}`, http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("X-Omx-Node-Name", "shelf-3")
		text, err := json.Marshal(fmt.Sprintf("%d %s: %s", len(body.Messages), body.Messages[0].Role, said))
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, "data: {\"choices\":[{\"delta\":{\"content\":%s}}]}\n\ndata: {\"choices\":[],\"usage\":{\"completion_tokens\":3}}\n\ndata: [DONE]\n\n", text)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestChat(t *testing.T) {
	api := echoing(t)
	for name, c := range map[string]struct {
		args, input, out, talk string
		code                   int
	}{
		"a conversation": {"", "one\n\n two \n", "1 user: one\n3 user: two\n", "", 0},
		"system":         {"--system=Brief.", "one\n/clear\ntwo\n", "2 system: one\n2 system: two\n", "", 0},
		"who answered":   {"", "one\n/node\n", "1 user: one\n", "node shelf-3 answered", 0},
		"ends":           {"", "one\n/bye\ntwo\n", "1 user: one\n", "", 0},
		"goes on":        {"", "one\nfail\ntwo\n", "1 user: one\n3 user: two\n", "answered 503: no node is up", 0},
		"fails last":     {"", "fail\n", "", "answered 503: no node is up", 1},
		"too long":       {"", strings.Repeat("x", maxQuestion+1) + "\n", "", "token too long; a line may have", 1},
		"help":           {"", "/help\n", "", "/clear forgets", 0},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"chat", "--api", api, "m"}
			if c.args != "" {
				args = append(args, c.args)
			}
			out, talk := command(t, c.code, c.input, args...)
			if out != c.out || !strings.Contains(talk, c.talk) || strings.Count(talk, "503") > 1 {
				t.Errorf("answers %q, talk %q", out, talk)
			}
		})
	}
	out, _ := command(t, 0, "one\ntwo\n", "chat", "--api", api, "--json", "m")
	d := json.NewDecoder(strings.NewReader(out))
	for _, want := range []string{"1 user: one", "3 user: two"} {
		var q question
		if err := d.Decode(&q); err != nil || q.Answer != want || q.Tokens != 3 || q.Node != "shelf-3" {
			t.Errorf("%+v, %v", q, err)
		}
	}
}

// The older half of the questions goes, with their answers; the system's word stays.
func TestForget(t *testing.T) {
	for questions, want := range []int{0, 1, 1, 2, 2, 3} {
		for _, system := range []string{"", "Brief."} {
			c := chatCmd{System: system}
			before := c.beginning()
			for i := range questions {
				before = append(before, turn{"user", fmt.Sprint("q", i)}, turn{"assistant", fmt.Sprint("a", i)})
			}
			left, n := c.forget(before)
			begin := c.beginning()
			if n != want || !slices.Equal(left[:len(begin)], begin) || !slices.Equal(left[len(begin):], before[len(begin)+2*want:]) {
				t.Errorf("of %v are left %v, %d forgotten", before, left, n)
			}
		}
	}
}
