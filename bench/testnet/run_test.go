package testnet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"omx/policies"
)

func builtin(t testing.TB, name string) NamedPolicy {
	t.Helper()
	code, ok := policies.Builtin(name)
	if !ok {
		t.Fatalf("no policy %s", name)
	}
	return NamedPolicy{name, code}
}

// alwaysFirst is a routing policy of 8 instructions: row 0, whatever is in it.
//
//	(memory 1) (func $omx_abi (result i32) i32.const 0x10000)
//	(func $omx_buf (param i32 i32) (result i32) i32.const 1024)
//	(func $omx_route (param i32 i32) (result i64) i64.const 0)
var alwaysFirst = NamedPolicy{"always first", []byte("\x00asm\x01\x00\x00\x00" +
	"\x01\x11\x03\x60\x00\x01\x7f\x60\x02\x7f\x7f\x01\x7f\x60\x02\x7f\x7f\x01\x7e" + // types
	"\x03\x04\x03\x00\x01\x02" + // functions
	"\x05\x03\x01\x00\x01" + // memory
	"\x07\x2a\x04\x06memory\x02\x00\x07omx_abi\x00\x00\x07omx_buf\x00\x01\x09omx_route\x00\x02" +
	"\x0a\x13\x03\x06\x00\x41\x80\x80\x04\x0b\x05\x00\x41\x80\x08\x0b\x04\x00\x42\x00\x0b")}

func small(p ...NamedPolicy) Options {
	return Options{Nodes: 15, Sites: 3, Requests: 800, Seed: 7, Seeds: 2, Load: 0.5, Policies: p}
}

func run(t testing.TB, o Options) *Result {
	t.Helper()
	r, err := Run(context.Background(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSameOptionsSameBytes(t *testing.T) {
	var out [2]bytes.Buffer
	for i := range out {
		if err := run(t, small(builtin(t, "expected-time"), builtin(t, "random"))).WriteJSON(&out[i]); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(out[0].Bytes(), out[1].Bytes()) {
		t.Errorf("two runs differ:\n%s\n%s", &out[0], &out[1])
	}
	var back Result
	if err := json.Unmarshal(out[0].Bytes(), &back); err != nil || len(back.Policies) != 2 || back.Policies[0].Runs[0].Fingerprint == "" {
		t.Errorf("the JSON does not read back: %v", err)
	}
}

// Policies are compared on the same requests, and on others for each seed.
func TestPairedWorkloads(t *testing.T) {
	r := run(t, small(builtin(t, "expected-time"), builtin(t, "random"), alwaysFirst))
	for i := range r.Seeds {
		for _, p := range r.Policies[1:] {
			if a, b := r.Policies[0].Runs[i], p.Runs[i]; a.Workload != b.Workload || a.Rate != b.Rate {
				t.Errorf("seed %d: %s met other requests than %s", r.Seeds[i], p.Name, r.Policies[0].Name)
			} else if a.Fingerprint == b.Fingerprint {
				t.Errorf("seed %d: %s did all that %s did", r.Seeds[i], p.Name, r.Policies[0].Name)
			}
		}
	}
	if w := r.Policies[0].Runs; w[0].Workload == w[1].Workload {
		t.Error("two seeds have the same requests")
	}
}

// Sending everything to the first row must look as bad as it is.
func TestBadPolicyLoses(t *testing.T) {
	o := small(builtin(t, policies.DefaultRoute), alwaysFirst)
	o.Load = 0.8
	r := run(t, o)
	good, bad := r.Policies[0].Mean, r.Policies[1].Mean
	if bad.Refused <= good.Refused || bad.E2E90 <= good.E2E90 || bad.TTFT99 <= good.TTFT99 {
		t.Errorf("%s: %+v\n%s: %+v", r.Policies[0].Name, good, alwaysFirst.Name, bad)
	}
	if v := r.Policies[0].Versus; v != (Versus{}) {
		t.Errorf("the first against itself: %+v", v)
	}
	v := r.Policies[1].Versus
	if want := 100 * (bad.Goodput - good.Goodput); v.Better+v.Worse > 2 || v.Points-want > 1e-6 || want-v.Points > 1e-6 {
		t.Errorf("against the first: %+v, want %g points", v, want)
	}
}

func TestReports(t *testing.T) {
	long := builtin(t, "nearest")
	long.Name = strings.Repeat("x|y", 20)
	o := small(builtin(t, "expected-time"), long)
	r := run(t, o)
	for name, write := range map[string]func(*bytes.Buffer) error{
		"table":    func(b *bytes.Buffer) error { return r.WriteTable(b) },
		"markdown": func(b *bytes.Buffer) error { return r.WriteMarkdown(b) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s:\n%s", name, &b)
		for _, want := range []string{"expected-time", r.Policies[1].Digest[:8], r.Policies[1].Runs[0].Fingerprint[:12], "Not modelled", percent(r.Policies[0].Mean.Goodput), "seeds 7 to 8", "against"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s lacks %q", name, want)
			}
		}
		for _, line := range strings.Split(b.String(), "\n") {
			if name == "table" && len([]rune(line)) > width {
				t.Errorf("%d columns: %s", len([]rune(line)), line)
			}
			if strings.HasPrefix(line, "|") && strings.Count(line, "|")-strings.Count(line, `\|`) != 11 {
				t.Errorf("a broken row: %s", line)
			}
		}
	}
}

func TestRefusedOptions(t *testing.T) {
	good := builtin(t, "random")
	for name, c := range map[string]struct {
		spoil func(*Options)
		want  string
	}{
		"no policy":     {func(o *Options) { o.Policies = nil }, "at least one"},
		"same name":     {func(o *Options) { o.Policies = []NamedPolicy{good, good} }, "there twice"},
		"no module":     {func(o *Options) { o.Policies[0] = NamedPolicy{"mine.wasm", []byte("hello")} }, "mine.wasm"},
		"half a module": {func(o *Options) { o.Policies[0].Code = o.Policies[0].Code[:100] }, "random"},
		"nodes":         {func(o *Options) { o.Nodes = 501 }, "at most 500"},
		"below 0":       {func(o *Options) { o.Nodes = -1 }, "-1 nodes"},
		"requests":      {func(o *Options) { o.Requests = -1 }, "-1 requests"},
		"seeds":         {func(o *Options) { o.Seeds = 101 }, "101 seeds"},
		"load":          {func(o *Options) { o.Load = 11 }, "load is 11"},
		"rate":          {func(o *Options) { o.Rate = -1 }, "rate is -1"},
	} {
		o := small(good)
		c.spoil(&o)
		if _, err := Run(context.Background(), o, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := Run(ctx, small(good), func(Progress) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestProgress(t *testing.T) {
	var last Progress
	o := small(builtin(t, "random"), builtin(t, "nearest"))
	_, err := Run(context.Background(), o, func(p Progress) {
		if p.Run < last.Run || p.Run == last.Run && p.Ended < last.Ended {
			t.Errorf("%+v after %+v", p, last)
		}
		last = p
	})
	want := Progress{Policy: "nearest", Seed: 8, Run: 4, Runs: 4, Ended: 800, Requests: 800}
	if err != nil || last != want {
		t.Errorf("ended with %+v, %v; want %+v", last, err, want)
	}
}
