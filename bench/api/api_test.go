package api

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"omx/bench/measure"
)

// buntdb leaves a goroutine that looks twice a second whether its store is closed.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/tidwall/buntdb.(*DB).backgroundManager"))
}

func TestRun(t *testing.T) {
	r, err := Run(t.Context(), Options{Short: true}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Small {
		if s := &r.Small[i]; s.Note != "" || s.Summary().Rate <= 0 {
			t.Errorf("%s by %s: %s %+v", s.Name, s.Variant, s.Note, s.Summary())
		}
	}
	if len(r.Small) != 2 || r.First.P50 <= 0 || r.First.P99 < r.First.P50 {
		t.Errorf("%d rows, first tokens %+v", len(r.Small), r.First)
	}
	if len(r.Streams) != 1 || r.Streams[0].First99 <= 0 || r.Streams[0].Worst < r.Streams[0].Late99 {
		t.Errorf("streams %+v", r.Streams)
	}
	asJSON := func(w io.Writer) error { return json.NewEncoder(w).Encode(r) }
	for name, write := range map[string]func(io.Writer) error{"table": r.WriteTable, "markdown": r.WriteMarkdown, "json": asJSON} {
		var b bytes.Buffer
		if err := write(&b); err != nil || !strings.Contains(b.String(), variantBare) {
			t.Errorf("%s: %v\n%s", name, err, &b)
		}
	}
}

// A stream is read to its end in either shape, and one that broke off is an error.
func TestNext(t *testing.T) {
	for _, c := range []struct {
		name, lines string
		pieces      int
		usage, want string
	}{
		{"chat", `data: {"choices":[{"delta":{"role":"assistant","content":""}}]}` + "\n\n" + `data: {"choices":[{"delta":{"content":"a"}}]}` + "\n\ndata: [DONE]\n\n\r\n0\r\n\r\n", 1, "", ""},
		{"completions", `data: {"choices":[{"text":"a\"content\":\"b"}]}` + "\n" + `data: {"choices":[{"text":""}]}` + "\n" + `data: {"usage":{"x":1}}` + "\ndata: [DONE]\n\r\n0\r\n\r\n", 1, `{"usage":{"x":1}}`, ""},
		{"broken off", `data: {"choices":[{"text":"a"}]}` + "\n" + `data: {"error":{"message":"lost"}}` + "\n", 1, "", "lost"},
		{"cut off", `data: {"choices":[{"text":"a"}]}`, 0, "", "EOF"},
	} {
		node, client := net.Pipe()
		go func() { _, _ = io.WriteString(node, c.lines); node.Close() }()
		conn, pieces, err := newConn(client), 0, error(nil)
		for more := true; more && err == nil; {
			if more, err = conn.Next(); more {
				pieces++
			}
		}
		if pieces != c.pieces || strings.TrimSpace(string(conn.Usage())) != c.usage || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %d pieces, usage %q, %v", c.name, pieces, conn.Usage(), err)
		}
		client.Close()
	}
}

func TestCheck(t *testing.T) {
	made := func(variant string, wall, allocs float64, note string) measure.Series {
		return measure.Series{Name: nameSmall, Variant: variant, Note: note, Samples: []measure.Sample{{Wall: wall, Allocs: allocs}}}
	}
	for _, c := range []struct {
		wall, allocs float64
		note, want   string
	}{
		{190, 80, "", ""},
		{210, 80, "", "48 % as many"},
		{190, 91, "", "allocates 61 times"},
		{190, 80, "broken", "omx: broken"},
	} {
		r := &Result{Small: []measure.Series{made(variantBare, 100, 30, ""), made(variantNode, c.wall, c.allocs, c.note)}}
		if err := r.Check(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
