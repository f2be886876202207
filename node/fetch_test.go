package node

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"omx/node/api"
)

// storing is the configuration of a node with a store and no engine libraries.
func storing(t *testing.T, role string) Config {
	return Config{Name: role, Exe: os.Args[0], EngineDirs: []string{t.TempDir()}}
}

// stores puts the demonstration model into a node's store under a name, with defaults
// for its requests.
func stores(t *testing.T, n *Node, name string) (digest string, data []byte) {
	t.Helper()
	_, data, digest = demoModel(t)
	if code, text := call(t, n, "POST", "/api/blobs/sha256:"+digest, data); code != 201 {
		t.Fatal(code, text)
	}
	if code, text := call(t, n, "POST", "/api/create", body{"model": name, "files": body{"m.gguf": "sha256:" + digest}, "system": "Be brief.", "parameters": body{"temperature": 0}, "stream": false}); code != 200 {
		t.Fatal(code, text)
	}
	return digest, data
}

// blobPath is where a node keeps the file of a stored model.
func blobPath(t *testing.T, n *Node, name string) string {
	t.Helper()
	m, err := n.blobs.Get(model(t, name))
	if err != nil {
		t.Fatal(err)
	}
	path, err := n.blobs.Path(m.Digest)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// pullOf has a node pull a model by its name alone.
func pullOf(t *testing.T, n *Node, name, digest string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return n.PullModel(ctx, model(t, name), "", digest, func(api.Progress) {})
}

func knows(t *testing.T, n *Node, name string, holders int) {
	t.Helper()
	eventually(t, "the holders of "+name+" are known with their digests", func() bool {
		known := 0
		for _, o := range n.table.Snapshot().Nodes {
			for _, p := range o.Placements {
				if p.Model == model(t, name) && p.Digest != "" {
					known++
				}
			}
		}
		return known == holders
	})
}

// Models go from node to node with all that they are made of.
func TestModelsArePulledFromOtherNodes(t *testing.T) {
	nodes := meshOf(t, storing(t, "serve"), storing(t, "serve"), storing(t, "serve"))
	a, b, c := nodes[0], nodes[1], nodes[2]
	digest, data := stores(t, a, "mine")
	knows(t, b, "mine", 1)
	if err := pullOf(t, b, "mine", ""); err != nil {
		t.Fatal(err)
	}
	of, err := a.blobs.Get(model(t, "mine"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.blobs.Get(model(t, "mine"))
	if err != nil || got.Digest != of.Digest || !bytes.Equal(got.Params, of.Params) || got.Source != "mesh" {
		t.Errorf("%+v, of %+v: %v", got, of, err)
	}
	if copied, err := os.ReadFile(blobPath(t, b, "mine")); err != nil || !bytes.Equal(copied, data) {
		t.Errorf("%d bytes of %d: %v", len(copied), len(data), err)
	}

	// Of two that have it one has other bytes.
	knows(t, c, "mine", 2)
	path := blobPath(t, a, "mine")
	data[len(data)-1]++
	if err := errors.Join(os.Remove(path), os.WriteFile(path, data, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := pullOf(t, c, "mine", digest); err != nil {
		t.Errorf("one of two holders has other bytes: %v", err)
	}
	if err := pullOf(t, c, "mine", strings.Repeat("ab", 32)); err == nil || !strings.Contains(err.Error(), "name a URL") {
		t.Errorf("nobody has that digest: %v", err)
	}
}

func TestObserversPullNothing(t *testing.T) {
	nodes := meshOf(t, storing(t, "serve"), storing(t, "observe"))
	stores(t, nodes[0], "mine")
	knows(t, nodes[1], "mine", 1)
	if err := pullOf(t, nodes[1], "mine", ""); err == nil || !strings.Contains(err.Error(), "observer") {
		t.Errorf("an observer: %v", err)
	}
}

// A file that is gone says so at once, and nothing is left of it.
func TestPullOfWhatIsGone(t *testing.T) {
	nodes := meshOf(t, storing(t, "serve"), storing(t, "serve"))
	stores(t, nodes[0], "mine")
	knows(t, nodes[1], "mine", 1)
	if err := os.Remove(blobPath(t, nodes[0], "mine")); err != nil {
		t.Fatal(err)
	}
	if err := pullOf(t, nodes[1], "mine", ""); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("pulled what is not there: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(nodes[1].cfg.Data, ModelsDir, "partial", "*"))
	if err != nil || len(left) != 0 || len(names(nodes[1])) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
