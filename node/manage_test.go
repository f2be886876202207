package node

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"omx/node/engine"
	"omx/node/nodetest"
)

// managed is a node with a store of its own and no engine libraries: models are
// listed and served, but none can be loaded.
func managed(t *testing.T, models ...string) *Node {
	t.Helper()
	n := started(t, Config{Name: "a", Data: filepath.Join(t.TempDir(), "data"), Listen: "127.0.0.1:0", Exe: os.Args[0], Models: models, EngineDirs: []string{t.TempDir()}})
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return n
}

func demoModel(t *testing.T) (path string, data []byte, digest string) {
	t.Helper()
	path, err := engine.DemoModel(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if data, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return path, data, hex.EncodeToString(sum[:])
}

// call is one request to a node's API.
func call(t *testing.T, n *Node, method, path string, body any) (int, string) {
	t.Helper()
	b, ok := body.([]byte)
	if !ok {
		var err error
		if b, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	status, _, text := nodetest.Do(t, method, n.URL()+path, string(b))
	return status, text
}

func names(n *Node) (all []string) {
	for _, m := range n.engine.Models() {
		all = append(all, m.ID.String())
	}
	slices.Sort(all)
	return all
}

type body map[string]any

func TestStoredModels(t *testing.T) {
	path, data, digest := demoModel(t)
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/m.gguf":
			http.ServeContent(w, r, "", catalogTime, bytes.NewReader(data))
		case "/no.gguf":
			http.ServeContent(w, r, "", catalogTime, strings.NewReader("this is no model"))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(files.Close)
	n := managed(t, "fixed="+path)
	for _, c := range []struct {
		name, method, path string
		body               any
		status             int
		says, models       string
	}{
		{"pull", "POST", "/omx/v1/models/pull", body{"model": "one", "source": files.URL + "/m.gguf"}, 200, "success", "[fixed one]"},
		{"pull again, with its digest", "POST", "/omx/v1/models/pull", body{"model": "one", "source": files.URL + "/m.gguf", "digest": digest}, 200, "success", "[fixed one]"},
		{"pull what is another file", "POST", "/omx/v1/models/pull", body{"model": "two", "source": files.URL + "/m.gguf?2", "digest": strings.Repeat("ab", 32)}, 200, "digest_mismatch", "[fixed one]"},
		{"pull no model", "POST", "/omx/v1/models/pull", body{"model": "two", "source": files.URL + "/no.gguf"}, 200, "not a usable GGUF model: it does not begin with GGUF", "[fixed one]"},
		{"pull nothing", "POST", "/omx/v1/models/pull", body{"model": "two", "source": files.URL + "/absent.gguf"}, 404, "", "[fixed one]"},
		{"pull over a fixed one", "POST", "/omx/v1/models/pull", body{"model": "fixed", "source": files.URL + "/m.gguf"}, 409, "model_configured", "[fixed one]"},
		{"pull by no source", "POST", "/omx/v1/models/pull", body{"model": "two"}, 400, "name a URL", "[fixed one]"},
		{"copy", "POST", "/omx/v1/models/copy", body{"model": "one", "to": "two"}, 200, "", "[fixed one two]"},
		{"copy a fixed one", "POST", "/omx/v1/models/copy", body{"model": "fixed", "to": "three"}, 409, "omx models import", "[fixed one two]"},
		{"copy what is not there", "POST", "/omx/v1/models/copy", body{"model": "absent", "to": "three"}, 404, "", "[fixed one two]"},
		{"blob", "POST", "/api/blobs/sha256:" + digest, data, 201, "", "[fixed one two]"},
		{"blob of another digest", "POST", "/api/blobs/sha256:" + strings.Repeat("cd", 32), data, 400, "digest", "[fixed one two]"},
		{"blob is there", "HEAD", "/api/blobs/sha256:" + digest, nil, 200, "", "[fixed one two]"},
		{"create", "POST", "/api/create", body{"model": "mine", "files": body{"m.gguf": "sha256:" + digest}, "system": "Be brief.", "parameters": body{"temperature": 0, "stop": "END", "num_predict": 7, "num_keep": 24}, "stream": false}, 200, "success", "[fixed mine one two]"},
		{"create of no file", "POST", "/api/create", body{"model": "x", "files": body{"m.gguf": "sha256:" + strings.Repeat("cd", 32)}, "stream": false}, 404, "", "[fixed mine one two]"},
		{"create with nonsense", "POST", "/api/create", body{"model": "x", "from": "one", "parameters": body{"temperature": "hot"}, "stream": false}, 400, "parameters", "[fixed mine one two]"},
		{"create with a template", "POST", "/api/create", body{"model": "x", "from": "one", "template": "{{ .Prompt }}", "stream": false}, 400, "template", "[fixed mine one two]"},
		{"create from", "POST", "/api/create", body{"model": "yours", "from": "mine", "stream": false}, 200, "success", "[fixed mine one two yours]"},
		{"create from a fixed one", "POST", "/api/create", body{"model": "x", "from": "fixed", "stream": false}, 409, "omx models import", "[fixed mine one two yours]"},
		{"load what cannot be", "POST", "/omx/v1/models/load", body{"model": "one"}, 503, "omx engine install", "[fixed mine one two yours]"},
		{"delete", "DELETE", "/api/delete", body{"model": "one"}, 200, "", "[fixed mine two yours]"},
		{"delete again", "DELETE", "/api/delete", body{"model": "one"}, 404, "", "[fixed mine two yours]"},
		{"delete a fixed one", "DELETE", "/api/delete", body{"model": "fixed"}, 409, "", "[fixed mine two yours]"},
	} {
		status, text := call(t, n, c.method, c.path, c.body)
		if got := fmt.Sprint(names(n)); status != c.status || !strings.Contains(text, c.says) || got != c.models {
			t.Errorf("%s: %d %s, models %s; want %d with %q, %s", c.name, status, text, got, c.status, c.says, c.models)
		}
	}
	// What a stored model's requests are without a word of their own.
	w := &wireRequest{Prompt: engine.Prompt{Model: model(t, "yours"), Temperature: 0.8, TopK: 40, Messages: []engine.Message{{Role: "user", Content: "x"}}}}
	if err := n.defaults(w); err != nil || w.Prompt.Temperature != 0 || w.Prompt.NumKeep != 24 || w.Prompt.TopK != 40 || w.Prompt.MaxTokens != 7 || fmt.Sprint(w.Prompt.Stop) != "[END]" ||
		len(w.Prompt.Messages) != 2 || w.Prompt.Messages[0].Content != "Be brief." {
		t.Errorf("%+v, %v", w.Prompt, err)
	}
	w = &wireRequest{Said: saidTemperature | saidKeep, Prompt: engine.Prompt{Model: model(t, "yours"), Temperature: 0.8, MaxTokens: 3, NumKeep: 2, Stop: []string{"no"}, Messages: []engine.Message{{Role: "system", Content: "y"}}}}
	if err := n.defaults(w); err != nil || w.Prompt.Temperature != 0.8 || w.Prompt.NumKeep != 2 || w.Prompt.MaxTokens != 3 || fmt.Sprint(w.Prompt.Stop) != "[no]" || len(w.Prompt.Messages) != 1 {
		t.Errorf("what the client said: %+v, %v", w.Prompt, err)
	}
}

var catalogTime = time.Unix(1_700_000_000, 0)

// No name that anybody thinks of reaches beyond the data folder.
func TestMutatedNamesStayInside(t *testing.T) {
	path, _, digest := demoModel(t)
	n := managed(t, "fixed="+path)
	outside := filepath.Dir(n.cfg.Data)
	secret := filepath.Join(outside, "secret.gguf")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := tree(t, outside, n.cfg.Data)
	rng := rand.New(rand.NewPCG(5, 1))
	parts := []string{"..", "/", "\\", "%2e%2e", "%2f", "secret.gguf", ".", "a", "sha256:", digest, "\x00", "~", "C:", "\u202e", "NUL", "\n", " ", strings.Repeat("x", 300), "é", ":", "@", "*", "?"}
	for i := range 5000 {
		name := ""
		for range 1 + rng.IntN(6) {
			name += parts[rng.IntN(len(parts))]
		}
		var status int
		switch i % 5 {
		case 0:
			status, _ = call(t, n, "POST", "/omx/v1/models/copy", body{"model": name, "to": name + "x"})
		case 1:
			status, _ = call(t, n, "DELETE", "/api/delete", body{"model": name})
		case 2:
			status, _ = call(t, n, "POST", "/api/create", body{"model": name, "files": body{name: "sha256:" + name}, "stream": false})
		case 3:
			status, _ = call(t, n, "HEAD", "/api/blobs/"+url.PathEscape(name), nil)
		case 4:
			status, _ = call(t, n, "POST", "/v1/chat/completions", body{"model": name, "messages": []body{{"role": "user", "content": "x"}}})
		}
		if status < 300 || status >= 500 {
			t.Fatalf("%q: status %d", name, status)
		}
	}
	if after := tree(t, outside, n.cfg.Data); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if got := fmt.Sprint(names(n)); got != "[fixed]" {
		t.Errorf("models %s", got)
	}
}

// tree lists what is below a folder, less what is below another.
func tree(t *testing.T, dir, less string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == less {
			return fs.SkipDir
		}
		info, err := d.Info()
		fmt.Fprintln(&all, path, info.Size(), info.ModTime())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
