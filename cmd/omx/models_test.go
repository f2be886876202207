package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"omx/node/api"
	"omx/node/engine"
	"omx/node/nodetest"
)

// A model is imported beside a running node, served, copied, loaded, unloaded and
// removed by the commands; another node serves this one's models as its own.
func TestModelsAtARunningNode(t *testing.T) {
	net, _, first := up(t, 1, 1)
	t.Setenv("OMX_API", first.API)
	path, err := engine.DemoModel(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	data := net.Hosts[0].Data
	command(t, 0, "", "models", "import", path, "--name", "mine:q8", "--data", data)
	stored := func() (m api.ModelView) {
		out, _ := command(t, 0, "", "models", "show", "mine:q8", "--json")
		if err := json.Unmarshal([]byte(out), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	nodetest.Eventually(t, "it is served", func() bool {
		out, _ := command(t, 0, "", "models")
		return strings.Contains(out, "mine:q8") && strings.Contains(out, "(on disk)")
	})
	if m := stored(); m.Quantization != "Q8_0" || m.Parameters != "2.26M" || m.Memory < m.Bytes || !strings.Contains(strings.Join(m.Capabilities, " "), "embedding") {
		t.Errorf("%+v", m)
	}
	if out, _ := command(t, 0, "", "run", "mine:q8", "Who are you?"); !strings.HasPrefix(out, "I am the omx demonstration model") {
		t.Error(out)
	}
	command(t, 0, "", "models", "cp", "mine:q8", "other")
	if out, _ := command(t, 0, "", "models", "load", "other", "--keep", "1h", "--json"); !strings.Contains(out, `"expires_at"`) {
		t.Error(out)
	}
	vectors, _ := command(t, 0, "a river\n\nthe sea\n", "embed", "other")
	if lines := strings.Split(strings.TrimSpace(vectors), "\n"); len(lines) != 2 || lines[0] == lines[1] || len(strings.Fields(lines[0])) != len(strings.Fields(lines[1])) {
		t.Errorf("%.200s", vectors)
	}
	if out, _ := command(t, 0, "", "embed", "other", "a river", "--dimensions", "3"); len(strings.Fields(out)) != 3 {
		t.Error(out)
	}
	command(t, 0, "", "models", "unload", "other")
	nodetest.Eventually(t, "it is unloaded", func() bool {
		out, _ := command(t, 0, "", "models", "show", "other")
		return strings.Contains(out, "on disk")
	})

	// As another node's upstream, by each API that it can be asked by.
	_, _, second := up(t, 1, 0, "--upstream", first.API)
	nodetest.Eventually(t, "its models are there", func() bool {
		out, _ := command(t, 0, "", "models", "--api", second.API)
		return strings.Contains(out, "mine:q8")
	})
	if out, _ := command(t, 0, "", "run", "--api", second.API, "mine:q8", "Hello"); !strings.HasPrefix(out, "Hello! I am the omx demonstration model.") {
		t.Error(out)
	}
	command(t, 0, "", "models", "rm", "mine:q8", "other")
	if _, talk := command(t, 1, "", "models", "rm", "mine:q8"); !strings.Contains(talk, "answered 404") {
		t.Error(talk)
	}
	if _, talk := command(t, 1, "", "models", "rm", "omx-demo"); !strings.Contains(talk, "start it without --model") {
		t.Error(talk)
	}

	// What a pull says goes on in one line each; the file is whole or not there.
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files := http.FileServer(http.Dir(filepath.Dir(path)))
	web := httptest.NewServer(files)
	t.Cleanup(web.Close)
	srv := web.URL
	_, talk := command(t, 0, "", "models", "pull", "pulled", "--from", srv+"/"+filepath.Base(path))
	if !strings.Contains(talk, "2.5 MB of 2.5 MB (100 %)") || !strings.Contains(talk, "model pulled is stored") {
		t.Error(talk)
	}
	if out, _ := command(t, 0, "", "run", "pulled", "Hello"); !strings.HasPrefix(out, "Hello!") {
		t.Error(out)
	}
	if _, talk := command(t, 1, "", "models", "pull", "bad", "--from", srv+"/"+filepath.Base(path), "--sha256", strings.Repeat("0a", 32)); !strings.Contains(talk, "is not what was asked for") {
		t.Error(talk)
	}
	blobs, err := filepath.Glob(filepath.Join(data, "models", "blobs", "*"))
	if err != nil || len(blobs) != 1 {
		t.Fatalf("%v, %v", blobs, err)
	}
	if kept, err := os.ReadFile(blobs[0]); err != nil || !bytes.Equal(kept, body) {
		t.Error("the stored file is another", err)
	}
}
