package mesh

import (
	"bytes"
	"encoding/json"
	"io"
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
	for i := range r.Request {
		if s := &r.Request[i]; s.Note != "" || s.Summary().P50.Median <= 0 {
			t.Errorf("%s by %s: %s %+v", s.Name, s.Variant, s.Note, s.Summary())
		}
	}
	if len(r.Request) != 5 || len(r.Tokens) != 3 {
		t.Errorf("%d rows of requests, %d of tokens", len(r.Request), len(r.Tokens))
	}
	for _, x := range r.Tokens {
		if x.Rate <= 0 || x.Delay.P50 <= 0 || x.Delay.P99 < x.Delay.P50 {
			t.Errorf("tokens: %+v", x)
		}
	}
	for _, s := range r.Sockets {
		if s.Note != "" || s.Summary().Wall.Median <= 0 {
			t.Errorf("%s over %s: %s %+v", s.Name, s.Variant, s.Note, s.Summary())
		}
	}
	if len(r.Sockets) != 4 {
		t.Errorf("%d rows of sockets", len(r.Sockets))
	}
	if r.Hop.Remote.P50 <= r.Hop.Local.P50 {
		t.Errorf("another node answers sooner: %+v", r.Hop)
	}
	asJSON := func(w io.Writer) error { return json.NewEncoder(w).Encode(r) }
	for name, write := range map[string]func(io.Writer) error{"table": r.WriteTable, "markdown": r.WriteMarkdown, "json": asJSON} {
		var b bytes.Buffer
		if err := write(&b); err != nil || !strings.Contains(b.String(), Fresh) || !strings.Contains(b.String(), ownSockets) {
			t.Errorf("%s: %v\n%s", name, err, &b)
		}
	}
}

func TestCheck(t *testing.T) {
	made := func(variant string, p50 float64, note string) measure.Series {
		return measure.Series{Name: nameRequest, Variant: variant, Note: note, Samples: []measure.Sample{{P50: p50}}}
	}
	for _, c := range []struct {
		p50        float64
		note, want string
	}{
		{14, "", ""},
		{16, "", "1.60x of bare QUIC's time"},
		{14, "broken", "omx: broken"},
	} {
		r := &Result{Request: []measure.Series{made(Bare, 10, ""), made(Kept, c.p50, c.note)}}
		if err := r.Check(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
