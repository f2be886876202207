package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"omx/policies"
	"omx/policies/abi"
	"omx/wasm"
)

// sampleModule is a routing policy in C, as its author would have built it.
var sampleModule = filepath.Join("..", "..", "policies", "sdk", "c", "testdata", "route.wasm")

func put(t *testing.T, dir, name string, b []byte) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func sampleProject(t *testing.T, lang string) map[string][]byte {
	t.Helper()
	files, err := policies.Project("sample", lang, abi.Route)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestPolicyTest(t *testing.T) {
	dir := t.TempDir()
	samples := put(t, dir, "samples.json", sampleProject(t, "c")["samples.json"])
	wrong := put(t, dir, "wrong.json", []byte(strings.ReplaceAll(oneRow+`"name": "wrong", "expect": {"row": 0, "scores": [5]}}, {"kind": "admit", "rows": [{}]}]`, "\t", "")))
	code, out, errs := omx(t, "policy", "test", sampleModule, "--views", samples)
	if code != 0 || strings.Count(out, "ok ") != 3 || !strings.Contains(out, "the nearest of equals") {
		t.Errorf("code %d, %s%s", code, out, errs)
	}
	code, out, errs = omx(t, "policy", "test", sampleModule, "--views", wrong)
	if code != 1 || !strings.Contains(out, "FAIL  wrong\n      row 0: score") || !strings.Contains(out, "FAIL  sample 2\n      the policy does not decide admit") || !strings.Contains(errs, "2 of 2 samples fail") {
		t.Errorf("code %d, %s%s", code, out, errs)
	}
	if code, _, errs := omx(t, "policy", "test", sampleModule); code != 1 || !strings.Contains(errs, "give some with --views") {
		t.Errorf("code %d, %s", code, errs)
	}
	if code, _, errs := omx(t, "policy", "test", sampleModule, "--views", samples, "--param", "a=b"); code != 1 || !strings.Contains(errs+out, "omx") {
		t.Errorf("parameters of a policy without any: code %d, %s", code, errs)
	}
}

func TestPolicyInspect(t *testing.T) {
	dir := t.TempDir()
	code, out, errs := omx(t, "policy", "inspect", sampleModule)
	for _, want := range []string{"taken     yes, as omx1.0", "decides   route, on 128 bytes of each row", "omx_route (i32, i32) -> (i64)", "metering adds", "sha256    "} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("code %d, %q is not in %s%s", code, want, out, errs)
		}
	}
	module, err := os.ReadFile(sampleModule)
	if err != nil {
		t.Fatal(err)
	}
	denied := put(t, dir, "denied.wasm", []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x02\x0e\x01\x03env\x06socket\x00\x00"))
	cut := put(t, dir, "cut.wasm", module[:len(module)-9])
	for file, want := range map[string]string{denied: "env.socket ()", cut: "broken    cut off"} {
		code, out, _ := omx(t, "policy", "inspect", file)
		if want = strings.Replace(want, "cut off", "it is cut off", 1); code != 0 || !strings.Contains(out, "refused ") || !strings.Contains(out, want) {
			t.Errorf("code %d, no %q in %s", code, want, out)
		}
	}
	if code, _, errs := omx(t, "policy", "inspect", put(t, dir, "text.wasm", []byte("(module)"))); code != 1 || !strings.Contains(errs, "no WebAssembly module") {
		t.Errorf("code %d, %s", code, errs)
	}
	whole := wasm.AppendMetadata(module, []byte(`{"name":"near"}`))
	code, out, _ = omx(t, "policy", "inspect", "--json", put(t, dir, "whole.wasm", whole))
	var in inspection
	if err := json.Unmarshal([]byte(out), &in); code != 0 || err != nil || in.Refused != "" || len(in.Decides) != 1 || !strings.Contains(string(in.Metadata), "near") {
		t.Errorf("code %d, %v, %+v", code, err, in)
	}
}

func TestPolicyBench(t *testing.T) {
	code, out, errs := omx(t, "policy", "bench", sampleModule, "--rounds", "3", "--json")
	var all []policyFigures
	if err := json.Unmarshal([]byte(out), &all); code != 0 || err != nil || len(all) != 5 {
		t.Fatalf("code %d, %v, %s%s", code, err, out, errs)
	}
	for i, f := range all {
		if f.Kind != "route" || f.Whole.Median <= 0 || f.Call.Low > f.Call.Median || f.Fuel == 0 || i > 0 && f.Fuel <= all[i-1].Fuel {
			t.Errorf("%+v", f)
		}
		if f.Allocs != 0 {
			t.Errorf("%d rows: %g allocations", f.Rows, f.Allocs)
		}
	}
	if code, _, errs := omx(t, "policy", "bench", sampleModule, "--rounds", "1"); code != 2 || !strings.Contains(errs, "from 3 to 1000") {
		t.Errorf("code %d, %s", code, errs)
	}
}

// What a compiler says, and that there is none, reaches the author.
func TestPolicyBuildFaults(t *testing.T) {
	dir := t.TempDir()
	if _, err := findSource(dir); err == nil || !strings.Contains(err.Error(), "make one with: omx policy new") {
		t.Errorf("an empty folder: %v", err)
	}
	put(t, dir, "one.c", nil)
	put(t, dir, "omx.rs", nil)
	src, err := findSource(dir)
	if err != nil || src.name != "one" || src.language.Name != "c" {
		t.Errorf("%+v, %v", src, err)
	}
	put(t, dir, "two.wat", nil)
	if _, err := findSource(dir); err == nil || !strings.Contains(err.Error(), "leave one source file") {
		t.Errorf("two sources: %v", err)
	}
	modules := t.TempDir()
	put(t, modules, "go.mod", []byte("// a policy\nmodule example.org/near\n"))
	put(t, modules, "any.go", nil)
	if src, err := findSource(modules); err != nil || src.name != "near" || src.file != "." {
		t.Errorf("%+v, %v", src, err)
	}

	t.Setenv("PATH", t.TempDir())
	for _, l := range policies.Languages {
		if l.Name == "rust" {
			continue // also looked for where Debian has it
		}
		s := source{dir: dir, language: l}
		if _, _, err := s.builder(context.Background()); err == nil || !strings.Contains(err.Error(), l.Hint) {
			t.Errorf("%s without a compiler: %v", l.Name, err)
		}
	}
	fake := put(t, os.Getenv("PATH"), "clang-19", []byte("#!/bin/sh\necho no such thing >&2\nexit 1\n"))
	if err := os.Chmod(fake, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "two.wat")); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := omx(t, "policy", "build", dir); code != 1 || !strings.Contains(errs, "no such thing\n") || !strings.Contains(errs, "build policy: "+fake+": exit status 1") {
		t.Errorf("code %d, %s", code, errs)
	}
	put(t, os.Getenv("PATH"), "clang-19", []byte("#!/bin/sh\nwhile :; do :; done\n"))
	e := &env{ctx: t.Context(), stderr: &strings.Builder{}}
	if src, err = findSource(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := src.compile(e, 50*time.Millisecond); err == nil || !strings.Contains(err.Error(), "took longer than 50ms") {
		t.Errorf("a compiler that never ends: %v", err)
	}
}

// A module that the host refuses, or that answers its samples otherwise, is kept
// aside, and the last good one stays.
func TestPolicyBuildKeepsLast(t *testing.T) {
	dir, bin := t.TempDir(), t.TempDir()
	module, err := filepath.Abs(sampleModule)
	if err != nil {
		t.Fatal(err)
	}
	compiler := put(t, bin, "clang-19", []byte("#!/bin/sh\nwhile [ \"$1\" != -o ]; do shift; done\ncp \""+module+"\" \"$2\"\n"))
	if err := os.Chmod(compiler, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	files := sampleProject(t, "c")
	for _, name := range []string{"sample.c", "policy.json", "samples.json"} {
		put(t, dir, name, files[name])
	}
	code, out, errs := omx(t, "policy", "build", dir)
	if code != 0 || !strings.Contains(out, "decides  route") || !strings.Contains(out, "of 64 rows") {
		t.Fatalf("code %d, %s%s", code, out, errs)
	}
	good, err := os.ReadFile(filepath.Join(dir, "sample.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	if list, err := wasm.Samples(good); err != nil || len(list) != 3 {
		t.Errorf("%d samples, %v", len(list), err)
	}
	put(t, dir, "samples.json", []byte(strings.Replace(string(files["samples.json"]), `{"row": 1}`, `{"row": 0}`, 1)))
	code, _, errs = omx(t, "policy", "build", dir)
	if code != 1 || !strings.Contains(errs, "samples.json: the nearest of equals: picked row 1") || !strings.Contains(errs, "sample.refused.wasm") {
		t.Errorf("code %d, %s", code, errs)
	}
	if now, err := os.ReadFile(filepath.Join(dir, "sample.wasm")); err != nil || string(now) != string(good) {
		t.Errorf("the last good module is gone: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "sample.refused.wasm")); err != nil {
		t.Error(err)
	}
}
