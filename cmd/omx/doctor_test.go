package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"omx/node/doctor"
	"omx/node/nodetest"
)

// Beside real nodes, one of which is killed: what is printed is what the JSON has,
// and fits a terminal of 80 columns.
func TestDoctor(t *testing.T) {
	net, _, first := up(t, 3, 2)
	data := net.Hosts[0].Data
	args := []string{"doctor", "--data", data, "--api", first.API, "--engine-dir", nodetest.EngineDirs(t)[0]}
	said := func(code int, want ...string) string {
		t.Helper()
		out, talk := command(t, code, "", args...)
		for _, w := range want {
			if !strings.Contains(out, w) || talk != "" {
				t.Errorf("want %q in:\n%s%s", w, out, talk)
			}
		}
		return out
	}
	out := said(0, "ok       node         node-1, version dev, up ", "ok       access       the API is reached from this machine only",
		"ok       peers        2 up, round trips ", "ok       served       0 models here, 0 loaded; 1 in all the mesh", "ok       decisions    admit by ")
	for line := range strings.Lines(out) {
		if utf8.RuneCountInString(line) > 81 && !strings.Contains(line, "/") { // values that are paths may be long
			t.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
		}
	}

	var d diagnosis
	jsonOut, _ := command(t, 0, "", append(slices.Clone(args), "--json")...)
	if err := json.Unmarshal([]byte(jsonOut), &d); err != nil {
		t.Fatal(err)
	}
	for _, f := range d.Checks {
		if !strings.Contains(out, "\n"+string(f.Mark)) && f.Mark != doctor.OK || len(f.Facts) == 0 && f.Mark == doctor.OK && f.Check != "keys" && f.Check != "models" && f.Check != "mesh" {
			t.Errorf("%+v is not printed, or has no facts", f)
		}
	}
	if n := strings.Count(out, "\nok ") + strings.Count(out, "\nadvice ") + strings.Count(out, "\nproblem ") + 1; n != len(d.Checks) {
		t.Errorf("%d checks as JSON, %d lines", len(d.Checks), n)
	}

	last := net.Hosts[2]
	killed[last.Name] = true
	if err := last.Kill(); err != nil {
		t.Fatal(err)
	}
	nodetest.Eventually(t, "it is down", func() bool {
		out, _ := command(t, 0, "", "nodes", "--api", first.API)
		return strings.Contains(out, "down")
	})
	said(0, "advice   peers        1 of 2 up, node-3 down, round trips ", "\n         omx ping node-3 --api "+first.API+"\n")
}

// Names of other machines do not steer the terminal; commands stay in one piece.
func TestDoctorLines(t *testing.T) {
	long := strings.Repeat("word ", 30)
	got := lines(&doctor.Finding{Check: "peers", Mark: doctor.Advice, Text: "\x1b[2J " + long, Next: "omx ping '" + long + "'"})
	all := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	if strings.Contains(got, "\x1b") || !strings.HasPrefix(all[0], "advice   peers        �[2J word") || all[len(all)-1] != "         omx ping '"+long+"'" {
		t.Error(got)
	}
	for _, line := range all[:len(all)-1] {
		if utf8.RuneCountInString(line) > 80 {
			t.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
		}
	}
	if got := lines(&doctor.Finding{Check: "disk", Mark: doctor.OK, Text: "1 GB free"}); got != "ok       disk         1 GB free\n" {
		t.Errorf("%q", got)
	}
}
