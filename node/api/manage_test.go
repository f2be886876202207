package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"omx/node/catalog"
	"omx/node/keys"
	"omx/node/nodetest"
)

// store is a Manager that writes down what it is told.
type store struct {
	mu    sync.Mutex
	did   []string
	steps []Progress
	err   error // of everything
	late  error // of what takes long, at its end
	wait  bool  // what takes long ends with its client
	ended chan struct{}
}

func (s *store) note(format string, args ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.did = append(s.did, fmt.Sprintf(format, args...))
	return s.err
}

func (s *store) done() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := strings.Join(s.did, "; ")
	s.did = nil
	return all
}

func (s *store) LoadModel(_ context.Context, m catalog.ModelID, keep *time.Duration) error {
	if m.String() == "elsewhere" {
		return &Error{Status: 404, Code: codeNoModel, Message: "it is not here"}
	}
	if keep == nil {
		return s.note("load %s", m)
	}
	return s.note("load %s for %v", m, *keep)
}

func (s *store) UnloadModel(_ context.Context, m catalog.ModelID) error {
	return s.note("unload %s", m)
}

func (s *store) PullModel(ctx context.Context, m catalog.ModelID, source, digest string, progress func(Progress)) error {
	err := s.note("pull %s %q %q", m, source, digest)
	return s.long(ctx, err, progress)
}

func (s *store) long(ctx context.Context, err error, progress func(Progress)) error {
	for _, p := range s.steps {
		progress(p)
	}
	if s.wait {
		for ctx.Err() == nil {
			progress(Progress{Status: fmt.Sprint(time.Now().UnixNano())})
		}
		close(s.ended)
		return ctx.Err()
	}
	return errors.Join(err, s.late)
}

func (s *store) CopyModel(_ context.Context, from, to catalog.ModelID) error {
	return s.note("copy %s %s", from, to)
}

func (s *store) DeleteModel(_ context.Context, m catalog.ModelID) error {
	return s.note("delete %s", m)
}

func (s *store) CreateModel(ctx context.Context, c *Creation, progress func(Progress)) error {
	err := s.note("create %s from %q of %v %v %q %q %s", c.Model, c.From, c.Files, c.Adapters, c.System, c.Template, c.Parameters)
	return s.long(ctx, err, progress)
}

func (s *store) HasBlob(digest string) bool { return digest == blob }

func (s *store) PutBlob(_ context.Context, digest string, r io.Reader) error {
	n, err := io.Copy(io.Discard, r)
	if err != nil {
		return err
	}
	return s.note("put %s %d", digest, n)
}

var (
	digits = strings.Repeat("0a", 32)
	blob   = sha256Prefix + digits
)

// tagged has models with tags, and one that is another node's.
type tagged struct{ views }

func (tagged) Models() []ModelView {
	at := time.Unix(1_700_000_000, 0)
	return []ModelView{
		{ID: "elsewhere", Holders: []HolderView{{State: "loaded"}}},
		{ID: "mine:latest", Digest: "abc", Bytes: 5, Memory: 9, VRAM: 7, Family: "qwen3", Parameters: "8.2B", Quantization: "Q4_K_M", Context: 4096, Trained: 32768,
			Template: "{{ x }}", Expires: &at, Modified: &at, Capabilities: []string{"completion", "tools"}, Holders: []HolderView{{State: "loaded"}}},
		{ID: "small:3b", Holders: []HolderView{{State: "on disk"}}},
	}
}

func managed(t *testing.T, m *store) string {
	t.Helper()
	srv, url := startWith(t, Config{Models: m}, &script{})
	srv.inspect = tagged{}
	return url
}

func TestManage(t *testing.T) {
	m := &store{steps: []Progress{{Status: "looking"}, {Status: "downloading", Digest: digits, Done: 1, Total: 9}, {Status: "downloading", Digest: blob, Done: 9, Total: 9}, {Status: "odd", Digest: "x"}}}
	url := managed(t, m)
	ollamaLines := `{"status":"looking"}` + "\n" + `{"status":"downloading","digest":"` + blob + `","total":9,"completed":1}` + "\n" +
		`{"status":"downloading","digest":"` + blob + `","total":9,"completed":9}` + "\n" + `{"status":"odd"}` + "\n" + `{"status":"success"}` + "\n"
	ownLines := `{"status":"looking","done":0,"total":0}` + "\n" + `{"status":"downloading","digest":"` + digits + `","done":1,"total":9}` + "\n" +
		`{"status":"downloading","digest":"` + blob + `","done":9,"total":9}` + "\n" + `{"status":"odd","digest":"x","done":0,"total":0}` + "\n" + `{"status":"success"}` + "\n"
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		want, did                string
	}{
		{"pull", "POST", "/api/pull", `{"model":"hf.co/a/b:Q4"}`, 200, ollamaLines, `pull hf.co/a/b:Q4 "" ""`},
		{"pull by its older name", "POST", "/api/pull", `{"name":"x:latest","stream":false}`, 200, `{"status":"success"}` + "\n", `pull x "" ""`},
		{"pull nothing", "POST", "/api/pull", `{}`, 400, `{"error":"model: is missing`, ""},
		{"pull a number", "POST", "/api/pull", `{"name":7}`, 400, `{"error":"name: is a number`, ""},
		{"pull in the open", "POST", "/api/pull", `{"model":"x","insecure":true}`, 400, `{"error":"insecure: `, ""},
		{"pull no name", "POST", "/api/pull", `{"model":"../x"}`, 404, `{"error":"there is no such model`, ""},
		{"create", "POST", "/api/create", `{"model":"new","from":"mine","system":"s","template":"t","parameters":{"temperature":0},"stream":false}`, 200, `{"status":"success"}`, `create new from "mine:latest" of map[] map[] "s" "t" {"temperature":0}`},
		{"create of files", "POST", "/api/create", `{"model":"new","files":{"a.gguf":"` + blob + `"},"adapters":{"l.gguf":"` + blob + `"}}`, 200, ollamaLines, `create new from "" of map[a.gguf:` + blob + `] map[l.gguf:` + blob + `] "" "" `},
		{"create of nothing", "POST", "/api/create", `{"model":"new"}`, 400, `{"error":"from: is missing`, ""},
		{"create of both", "POST", "/api/create", `{"model":"new","from":"a","files":{"a":"` + blob + `"}}`, 400, `{"error":"files: `, ""},
		{"create outside", "POST", "/api/create", `{"model":"new","files":{"../a":"` + blob + `"}}`, 400, `{"error":"files: `, ""},
		{"create of no digest", "POST", "/api/create", `{"model":"new","files":{"a":"` + digits + `"}}`, 400, `{"error":"files: `, ""},
		{"create of bad parameters", "POST", "/api/create", `{"model":"new","from":"a","parameters":[1]}`, 400, `{"error":"parameters: `, ""},
		{"create of a bad adapter", "POST", "/api/create", `{"model":"new","from":"a","adapters":{"":"` + blob + `"}}`, 400, `{"error":"adapters: `, ""},
		{"quantize", "POST", "/api/create", `{"model":"new","from":"a","quantize":"q4_0"}`, 400, `{"error":"quantize: `, ""},
		{"license", "POST", "/api/create", `{"model":"new","from":"a","license":["x"]}`, 400, `{"error":"license: `, ""},
		{"messages", "POST", "/api/create", `{"model":"new","from":"a","messages":[{"role":"user"}]}`, 400, `{"error":"messages: `, ""},
		{"modelfile", "POST", "/api/create", `{"model":"new","modelfile":"FROM x"}`, 400, `{"error":"modelfile: `, ""},
		{"copy", "POST", "/api/copy", `{"source":"mine","destination":"other:latest"}`, 200, "", "copy mine:latest other"},
		{"copy from nothing", "POST", "/api/copy", `{"destination":"x"}`, 400, `{"error":"source: `, ""},
		{"copy to nowhere", "POST", "/api/copy", `{"source":"x","destination":"/"}`, 400, `{"error":"destination: `, ""},
		{"delete", "DELETE", "/api/delete", `{"model":"small:3b"}`, 200, "", "delete small:3b"},
		{"delete by its older name", "DELETE", "/api/delete", `{"name":"mine"}`, 200, "", "delete mine:latest"},
		{"load", "POST", "/api/generate", `{"model":"small:3b"}`, 200, `"done_reason":"load"`, "load small:3b"},
		{"load for good", "POST", "/api/chat", `{"model":"mine","keep_alive":-1}`, 200, `"done_reason":"load"`, "load mine:latest for -1ns"},
		{"load another's", "POST", "/api/chat", `{"model":"elsewhere"}`, 200, `"done_reason":"load"`, ""},
		{"unload", "POST", "/api/generate", `{"model":"mine","keep_alive":0}`, 200, `"done_reason":"unload"`, "unload mine:latest"},
		{"blob", "POST", "/api/blobs/" + blob, strings.Repeat("x", maxBody+9), 201, "", fmt.Sprintf("put %s %d", blob, maxBody+9)},
		{"blob of no digest", "POST", "/api/blobs/sha256:" + digits[1:], "x", 400, `{"error":"digest: `, ""},
		{"blob of another digest", "POST", "/api/blobs/" + strings.ToUpper(blob), "x", 400, `{"error":"digest: `, ""},
		{"blob there", "HEAD", "/api/blobs/" + blob, "", 200, "", ""},
		{"blob not there", "HEAD", "/api/blobs/" + blob[:70] + "0", "", 404, "", ""},
		{"blob nowhere", "HEAD", "/api/blobs/x", "", 400, "", ""},
		{"push", "POST", "/api/push", `{"model":"mine"}`, 501, `{"error":"this node sends no models`, ""},
		{"own load", "POST", "/omx/v1/models/load", `{"model":"mine","keep_alive":"1h"}`, 200, `"id":"mine:latest"`, "load mine:latest for 1h0m0s"},
		{"own unload", "POST", "/omx/v1/models/unload", `{"model":"small:3b"}`, 200, `"id":"small:3b"`, "unload small:3b"},
		{"own copy", "POST", "/omx/v1/models/copy", `{"model":"mine","to":"x"}`, 200, `[{"id":`, "copy mine:latest x"},
		{"own delete", "POST", "/omx/v1/models/delete", `{"model":"mine"}`, 200, `[{"id":`, "delete mine:latest"},
		{"own pull", "POST", "/omx/v1/models/pull", `{"model":"x","source":"https://h/x.gguf","digest":"` + digits + `"}`, 200, ownLines, `pull x "https://h/x.gguf" "` + digits + `"`},
		{"own pull of no digest", "POST", "/omx/v1/models/pull", `{"model":"x","digest":"1"}`, 400, `"param":"digest"`, ""},
		{"own pull from afar", "POST", "/omx/v1/models/pull", `{"model":"x","source":"` + strings.Repeat("x", maxSource+1) + `"}`, 400, `"param":"source"`, ""},
		{"own copy to nowhere", "POST", "/omx/v1/models/copy", `{"model":"mine"}`, 400, `"param":"to"`, ""},
		{"own nonsense", "POST", "/omx/v1/models/frob", `{"model":"mine"}`, 404, `use load, unload, pull, copy or delete`, ""},
		{"own nothing", "POST", "/omx/v1/models/load", `{}`, 400, `"param":"model"`, ""},
		{"own no JSON", "POST", "/omx/v1/models/load", `[]`, 400, `"error":{`, ""},
	} {
		status, _, body := do(t, c.method, url+c.path, c.body)
		did := m.done()
		if status != c.status || !strings.Contains(body, c.want) || c.want == "" && body != "" || did != c.did {
			t.Errorf("%s: %d %s, did %q\nwant %d with %s, %q", c.name, status, body, did, c.status, c.want, c.did)
		}
	}
}

// Errors before anything was said have a status; later ones are the last line.
func TestManageErrors(t *testing.T) {
	refused := &Error{Status: 409, Code: "in_use", Message: "it is in use; unload it first"}
	m := &store{err: refused}
	url := managed(t, m)
	for _, c := range [][3]string{
		{"POST", "/api/pull", `{"model":"x"}`}, {"POST", "/api/pull", `{"model":"x","stream":false}`}, {"POST", "/api/create", `{"model":"x","from":"y"}`}, {"POST", "/api/copy", `{"source":"x","destination":"y"}`},
		{"DELETE", "/api/delete", `{"model":"x"}`}, {"POST", "/api/generate", `{"model":"x"}`}, {"POST", "/api/generate", `{"model":"x","keep_alive":0}`}, {"POST", "/api/blobs/" + blob, "x"},
		{"POST", "/omx/v1/models/pull", `{"model":"x"}`}, {"POST", "/omx/v1/models/load", `{"model":"x"}`}, {"POST", "/omx/v1/models/delete", `{"model":"x"}`},
	} {
		want := `{"error":"it is in use; unload it first"}`
		if strings.HasPrefix(c[1], "/omx") {
			want = `"code":"in_use"`
		}
		if status, _, body := do(t, c[0], url+c[1], c[2]); status != 409 || !strings.Contains(body, want) {
			t.Errorf("%s %s: %d %s, want 409 with %s", c[1], c[2], status, body, want)
		}
	}
	url = managed(t, &store{late: errors.New("secret detail"), steps: []Progress{{Status: "looking"}}})
	for path, want := range map[string]string{"/api/pull": `{"status":"looking"}` + "\n" + `{"error":"this node failed`, "/omx/v1/models/pull": `{"error":{"message":"this node failed`} {
		status, header, body := do(t, "POST", url+path, `{"model":"x"}`)
		if status != 200 || !strings.Contains(body, want) || strings.Contains(body, "success") || strings.Contains(body, "secret") || header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%s: %d %s, want at its end %s", path, status, body, want)
		}
	}
}

// Progress comes as often as eyes see, and its end in any case.
func TestProgressIsSparse(t *testing.T) {
	m := &store{}
	for i := range int64(1000) {
		m.steps = append(m.steps, Progress{Status: "downloading", Done: i, Total: 999})
	}
	_, _, body := do(t, "POST", managed(t, m)+"/api/pull", `{"model":"x"}`)
	if n := strings.Count(body, "\n"); n < 3 || n > 500 || !strings.HasSuffix(body, `{"status":"downloading","total":999,"completed":999}`+"\n"+`{"status":"success"}`+"\n") {
		t.Errorf("%d lines: %.2000s", n, body)
	}
}

// A client that goes away ends what it has asked for.
func TestPullEndsWithClient(t *testing.T) {
	m := &store{wait: true, ended: make(chan struct{})}
	url := managed(t, m)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	resp := nodetest.Open(ctx, t, "POST", url+"/api/pull", `{"model":"x"}`)
	if _, err := io.ReadFull(resp.Body, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case <-m.ended:
	case <-time.After(30 * time.Second):
		t.Fatal("the pull goes on")
	}
}

// A file that is cut off is not taken for a whole one.
func TestBlobCutOff(t *testing.T) {
	m := &store{}
	url := managed(t, m)
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /api/blobs/%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc", blob)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400") || m.done() != "" {
		t.Errorf("%s, %v", answer, err)
	}
}

// Only an admin changes models where keys are asked for; everybody may look.
func TestManageNeedsAdmin(t *testing.T) {
	m := &store{}
	ring := ringOf(t)
	_, url := startWith(t, Config{Models: m, Keys: func() *keys.Ring { return ring }}, &script{})
	for _, c := range [][3]string{
		{"POST", "/api/pull", `{"model":"llama"}`}, {"POST", "/api/create", `{"model":"llama","from":"y"}`}, {"POST", "/api/copy", `{"source":"llama","destination":"y"}`},
		{"DELETE", "/api/delete", `{"model":"llama"}`}, {"POST", "/api/generate", `{"model":"llama","keep_alive":0}`}, {"POST", "/api/blobs/" + blob, "x"},
		{"POST", "/omx/v1/models/load", `{"model":"llama"}`},
	} {
		if status, _, body := do(t, c[0], url+c[1], c[2], "X-Api-Key", ofLine); status != 403 || !strings.Contains(body, "may not change what the node does") || m.done() != "" {
			t.Errorf("%s of anybody: %d %s", c[1], status, body)
		}
		if status, _, body := do(t, c[0], url+c[1], c[2], "X-Api-Key", ofBoss); status > 201 || m.done() == "" {
			t.Errorf("%s of an admin: %d %s", c[1], status, body)
		}
	}
	for _, path := range []string{"/api/tags", "/api/ps", "/v1/models", "/omx/v1/models"} {
		if status, _, body := do(t, "GET", url+path, "", "X-Api-Key", ofLine); status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _, body := do(t, "POST", url+"/api/generate", `{"model":"llama"}`, "X-Api-Key", ofLine); status != 200 || m.done() != "load llama" {
		t.Errorf("to load by asking nothing: %d %s", status, body)
	}
	if status, _, _ := do(t, "POST", url+"/api/generate", `{"model":"qwen"}`, "X-Api-Key", ofLine); status != 403 || m.done() != "" {
		t.Errorf("to load a model that the key does not allow: %d", status)
	}
}

// What is known of a model is told.
func TestModelDetails(t *testing.T) {
	url := managed(t, &store{})
	const details = `"details":{"parent_model":"","format":"gguf","family":"qwen3","families":["qwen3"],"parameter_size":"8.2B","quantization_level":"Q4_K_M"}`
	for path, want := range map[string][]string{
		"/api/tags":                {`"name":"mine:latest","model":"mine:latest","size":5,"digest":"abc",` + details, `"modified_at":"2023-11-14T22:13:20Z"`, `"name":"small:3b","model":"small:3b","size":0,"digest":"000000000000`},
		"/api/ps":                  {`"size":9,`, details, `"size_vram":7,"context_length":4096,"expires_at":"2023-11-14T22:13:20Z"}`},
		"/v1/models":               {`{"id":"mine:latest","object":"model","created":1700000000,"owned_by":"omx"}`, `{"id":"small:3b","object":"model","created":0,`},
		"/v1/models/mine":          {`{"id":"mine:latest"`},
		"/v1/models/mine:latest":   {`{"id":"mine:latest"`},
		"/v1/models/small:3b":      {`{"id":"small:3b"`},
		"/api/show mine":           {`"parameters":"num_ctx 4096","template":"{{ x }}","capabilities":["completion","tools"],` + details, `"general.architecture":"qwen3","qwen3.context_length":32768,"omx.digest":"abc"`, `"modified_at":"2023-`},
		"/api/show small:3b":       {`"capabilities":["completion"]`, `"family":"","families":null`},
		"/api/show small:3b:x":     {`not found`},
		"/api/show elsewhere":      {`"model_info":{"omx.digest":""`},
		"/v1/models/small":         {`model_not_found`},
		"/api/show omx-none:1":     {`model 'omx-none:1' not found`},
		"/api/show mine:latest":    {`"omx.bytes":5`},
		"/v1/models/nothing:there": {`model_not_found`},
	} {
		method, body := "GET", ""
		path, name, ok := strings.Cut(path, " ")
		if ok {
			method, body = "POST", `{"model":"`+name+`"}`
		}
		_, _, got := do(t, method, url+path, body)
		for _, w := range want {
			if !strings.Contains(got, w) || !json.Valid([]byte(got)) {
				t.Errorf("%s %s: %s, want %s", path, name, got, w)
			}
		}
	}
}

func FuzzCreation(f *testing.F) {
	for _, b := range []string{`{"model":"m","from":"x:latest","parameters":{"a":1},"system":"s"}`, `{"name":"m","files":{"a.gguf":"` + blob + `"},"adapters":{"..":"x"}}`} {
		f.Add([]byte(b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var o ollamaCreation
		if decode(b, &o) != nil {
			return
		}
		c, err := o.creation()
		if err != nil {
			return
		}
		if c.Model.IsZero() || c.From.IsZero() == (len(c.Files) == 0) || c.Parameters != nil && !json.Valid(c.Parameters) {
			t.Errorf("%s passed as %+v", b, c)
		}
		for _, files := range []map[string]string{c.Files, c.Adapters} {
			for name, digest := range files {
				if strings.ContainsAny(name, `/\`) || strings.HasPrefix(name, ".") || len(digest) != 71 {
					t.Errorf("%s lets %q = %q through", b, name, digest)
				}
			}
		}
	})
}

// failing is a body that ends with an error.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Why a file did not come is told rather than what that led to.
func TestFileReaderTellsWhy(t *testing.T) {
	stored := &Error{Status: 507, Code: "disk_full", Message: "the disk is full"}
	for _, c := range []struct {
		read   error
		status int
	}{{&http.MaxBytesError{Limit: maxBlob}, 413}, {fmt.Errorf("read: %w", os.ErrDeadlineExceeded), 408}, {io.ErrUnexpectedEOF, 400}, {io.EOF, 507}, {nil, 507}} {
		f := &fileReader{r: failing{c.read}, control: http.NewResponseController(&sunk{})}
		_, _ = f.Read(nil)
		if e := asError(f.why(stored)); e.Status != c.status {
			t.Errorf("%v: %d %s, want %d", c.read, e.Status, e.Message, c.status)
		}
	}
}
