package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"omx/node/nodetest"
	"omx/testnet/hosts"
)

// items is how many words the long answer has: about 800 tokens, a second of them.
const items = 200

// longAnswer asks for exactly that many words, so that one that is lost or said twice
// shows. It calls at for each piece.
func longAnswer(t *testing.T, api string, at func(piece int, node string)) (gap time.Duration, resumed string) {
	t.Helper()
	body := fmt.Sprintf(`{"model":%q,"stream":true,"temperature":0,"messages":[{"role":"user","content":"Hello"}],"response_format":{"type":"json_schema","json_schema":{"name":"words","schema":
		{"type":"array","items":{"enum":["red","blue"]},"minItems":%d,"maxItems":%d}}}}`, demoModel, items, items)
	resp := nodetest.Open(t.Context(), t, http.MethodPost, api+"/v1/chat/completions", body, "Content-Type", "application/json")
	var text strings.Builder
	ends, pieces, latest := 0, 0, time.Time{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			ends++
			continue
		}
		var chunk struct {
			Choices []struct{ Delta struct{ Content string } }
			Error   json.RawMessage
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil || chunk.Error != nil {
			t.Fatalf("%v: %s", err, data)
		}
		if len(chunk.Choices) == 0 || chunk.Choices[0].Delta.Content == "" {
			continue
		}
		now := time.Now()
		if pieces > 0 {
			gap = max(gap, now.Sub(latest))
		}
		latest = now
		text.WriteString(chunk.Choices[0].Delta.Content)
		pieces++
		at(pieces, resp.Header.Get("X-Omx-Node-Name"))
	}
	var words []string
	if err := json.Unmarshal([]byte(text.String()), &words); err != nil || len(words) != items || ends != 1 || lines.Err() != nil {
		t.Errorf("%d words, ended %d times, %v, %v: %s", len(words), ends, err, lines.Err(), text.String())
	}
	return gap, resp.Trailer.Get("X-Omx-Resumed")
}

// The process that answers is killed in the middle of its answer, again and again:
// another goes on, and the client sees one whole answer each time.
func TestServingNodeDiesInMidAnswer(t *testing.T) {
	const kills = 4
	net, _, first := up(t, 2+kills, 1+kills)
	var gaps, gone []time.Duration
	for range kills {
		var victim *hosts.Host
		var watching sync.WaitGroup
		var last atomic.Int64 // when the last node saw it down
		gap, resumed := longAnswer(t, first.API, func(piece int, node string) {
			if piece != 40 {
				return
			}
			for _, h := range net.Hosts {
				if h.Name == node {
					victim = h
				}
			}
			if victim == nil {
				t.Fatalf("%q answers, which is no node of the mesh", node)
			}
			killed[victim.Name] = true
			died := time.Now()
			if err := victim.Signal(syscall.SIGKILL); err != nil {
				t.Error(err)
			}
			for _, h := range net.Hosts { // it is out of everybody's candidates within the time of silence
				if !killed[h.Name] {
					watching.Go(func() {
						awaitDown(t, &target{API: h.API}, victim.Name)
						for took, was := int64(time.Since(died)), last.Load(); took > was && !last.CompareAndSwap(was, took); was = last.Load() {
						}
					})
				}
			}
		})
		if victim == nil || resumed != "1" {
			t.Fatalf("resumed %q times", resumed)
		}
		<-victim.Exited()
		gaps = append(gaps, gap)
		watching.Wait()
		gone = append(gone, time.Duration(last.Load()).Round(time.Millisecond))
	}
	slices.Sort(gaps)
	t.Logf("longest gap of each answer: %v; down for all after: %v", gaps, gone)
	if gaps[len(gaps)-1] > 5*time.Second {
		t.Errorf("the longest gap was %v", gaps[len(gaps)-1])
	}
	if slices.Max(gone) > 10*time.Second {
		t.Errorf("a dead node was a candidate for %v", slices.Max(gone))
	}
}

// awaitDown waits until a node shows another as down.
func awaitDown(t *testing.T, at *target, name string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var nodes []struct{ Name, State string }
		if err := at.get(t.Context(), "/omx/v1/nodes", &nodes); err != nil {
			t.Error(err)
			return
		}
		for _, n := range nodes {
			if n.Name == name && n.State == "down" {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Errorf("%s is not down at %s", name, at.API)
			return
		}
	}
}
