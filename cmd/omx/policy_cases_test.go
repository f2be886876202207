package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"omx/policies"
	"omx/policies/abi"
)

const oneRow = `[{"kind": "route", "rows": [{"node": 1}], `

func TestParseCases(t *testing.T) {
	cases, err := parseCases([]byte(`[{"name": "all", "kind": "replicate",
		"header": {"clock": 60000, "seed": 18446744073709551615, "priority": -2, "flags": ["streamed", "estimated"], "selfRow": "none"},
		"rows": [{"node": 7, "flags": ["loaded", "self"], "coordX": -5}, {"flags": 16}],
		"models": [{"model": 9, "least": 2}], "copies": [{"model": 0, "node": 1, "state": "loaded"}],
		"events": [{"kind": "done", "node": 7}],
		"extension": [{"label": "tier=gold"}, {"modelName": "m"}, {"zone": 3}],
		"expect": {"steps": [{"op": "fetch", "model": 0, "node": 0}]}}]`))
	if err != nil {
		t.Fatal(err)
	}
	c := &cases[0]
	s := c.as(abi.RowSize, 1<<abi.TagLabel|1<<abi.TagZone)
	b := make([]byte, s.Size())
	c.write(b, s, 1<<abi.TagLabel|1<<abi.TagZone)
	v, err := abi.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	r0, r1 := v.Row(0), v.Row(1)
	var items []string
	abi.Items(b[v.Ext:v.Ext+v.ExtLen], func(tag abi.Tag, value []byte) { items = append(items, string(value)) })
	switch {
	case v.Seed != 1<<64-1 || v.Priority != -2 || v.Flags != abi.Streamed|abi.Estimated || v.SelfRow != abi.None || v.Clock != 60000:
		t.Errorf("header %+v", *v.Header)
	case r0.Node != 7 || r0.Flags != abi.Loaded|abi.Self || r0.CoordX != -5 || r1.Flags != 16:
		t.Errorf("rows %+v %+v", r0, r1)
	case v.ModelAt(0).Model != 9 || v.ModelAt(0).Least != 2 || v.CopyAt(0).Node != 1 || v.CopyAt(0).State != uint32(abi.StateLoaded):
		t.Errorf("model %+v, copy %+v", *v.ModelAt(0), *v.CopyAt(0))
	case len(items) != 2 || items[0] != "tier=gold" || items[1] != "\x03\x00\x00\x00":
		t.Errorf("items %q", items)
	case len(c.events) != 1 || abi.EventAt(c.events[0]).Kind != uint16(abi.EventDone) || abi.EventAt(c.events[0]).Node != 7:
		t.Errorf("events %x", c.events)
	}
}

func TestParseCasesErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no list", `{}`, "not a list of samples"},
		{"none", `[]`, "0 samples"},
		{"more behind", oneRow + `"expect": {}}] []`, "there is more behind"},
		{"unknown word", oneRow + `"expects": {}}]`, `unknown field "expects"`},
		{"kind", `[{"kind": "rout", "rows": [{}]}]`, `kind "rout"`},
		{"no rows", `[{"kind": "route"}]`, "0 rows"},
		{"admit has one", `[{"kind": "admit", "rows": [{}, {}]}]`, "admit has from 1 to 1"},
		{"field", `[{"kind": "route", "rows": [{"rttage": 1}]}]`, `did you mean "rttAt"`},
		{"header field", oneRow + `"header": {"promt": 1}}]`, `did you mean "prompt"`},
		{"of the host", oneRow + `"header": {"count": 1}}]`, `"count" is filled in by omx`},
		{"too large", `[{"kind": "route", "rows": [{"rtt": 4294967296}]}]`, "does not fit into 32 bits"},
		{"negative", `[{"kind": "route", "rows": [{"rtt": -1}]}]`, "no whole number from 0"},
		{"fraction", `[{"kind": "route", "rows": [{"rtt": 1.5}]}]`, "rtt: 1.5 is no whole number"},
		{"flag", `[{"kind": "route", "rows": [{"flags": ["loadet"]}]}]`, `did you mean "loaded"`},
		{"event", oneRow + `"events": [{"kind": "don"}]}]`, `did you mean "done"`},
		{"models of route", oneRow + `"models": [{}]}]`, "only replicate has"},
		{"item", oneRow + `"extension": [{"lable": "a"}]}]`, `did you mean "label"`},
		{"item of a list", oneRow + `"extension": [{"prefixBlocks": "a"}]}]`, "cannot be given"},
		{"text of a number", oneRow + `"extension": [{"zone": "a"}]}]`, "no whole number"},
		{"number of a text", oneRow + `"extension": [{"label": 5}]}]`, "give a text"},
		{"status", oneRow + `"expect": {"status": "okay"}}]`, `did you mean "ok"`},
		{"row beyond", oneRow + `"expect": {"row": 1}}]`, "row 1 is expected of 1 rows"},
		{"never beyond", oneRow + `"expect": {"never": [1]}}]`, "row 1 is expected of 1 rows"},
		{"scores", oneRow + `"expect": {"scores": [1, 2]}}]`, "2 scores are expected of 1 rows"},
		{"action of route", oneRow + `"expect": {"action": "allow"}}]`, "only of admit"},
		{"steps of route", oneRow + `"expect": {"steps": []}}]`, "only of replicate"},
		{"row of admit", `[{"kind": "admit", "rows": [{}], "expect": {"row": 0}}]`, "only of route"},
		{"op", `[{"kind": "replicate", "rows": [{}], "expect": {"steps": [{"op": "drip"}]}}]`, `did you mean "drop"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := parseCases([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestLoadCases(t *testing.T) {
	dir := t.TempDir()
	if _, err := loadCases(dir); err == nil || !strings.Contains(err.Error(), "no .json file") {
		t.Errorf("an empty folder: %v", err)
	}
	for _, name := range []string{"a.json", "b.json", "c.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(oneRow+`"name": "`+name+`"}]`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cases, err := loadCases(dir)
	if err != nil || len(cases) != 2 || cases[1].name != "b.json" {
		t.Errorf("%d cases, %v", len(cases), err)
	}
	if _, err := loadCases(filepath.Join(dir, "none.json")); err == nil {
		t.Error("a file that is not there is read")
	}
}

func FuzzParseCases(f *testing.F) {
	for _, k := range abi.Kinds {
		files, err := policies.Project("sample", "c", k)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(files[samplesFile])
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		cases, err := parseCases(text)
		if err != nil {
			return
		}
		for i := range cases {
			s := cases[i].as(abi.PartSize, 1<<32-1)
			if s.Ext > abi.MaxExt {
				continue // the policy's own limit is checked by the host
			}
			b := make([]byte, s.Size())
			cases[i].write(b, s, 1<<32-1)
			if _, err := abi.Open(b); err != nil {
				t.Fatalf("what was written is no view: %v", err)
			}
		}
	})
}
