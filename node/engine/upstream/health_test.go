package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"omx/node/catalog"
	"omx/node/engine"
)

// listing answers a list of models that may change, and prompts with one word.
func listing(list *atomic.Pointer[string]) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/models":
			io.WriteString(w, *list.Load())
		case "/v1/chat/completions":
			streams("text/event-stream", func(w io.Writer) { io.WriteString(w, delta(`{"content":"a"}`)+"data: [DONE]\n\n") })(w, r)
		}
	})
}

func models(names ...string) *string {
	var data []string
	for _, n := range names {
		data = append(data, fmt.Sprintf(`{"id":%q,"max_model_len":99,"meta":{"n_ctx_train":7,"size":5}}`, n))
	}
	s := `{"data":[` + strings.Join(data, ",") + `]}`
	return &s
}

func names(u *Upstream) string {
	var all []string
	for _, m := range u.Models() {
		name := m.ID.String()
		if m.Err != "" {
			name += "!"
		}
		all = append(all, name)
	}
	return strings.Join(all, " ")
}

// A server that goes away takes its models along, and they come back with it.
func TestServerGoesAndComes(t *testing.T) {
	var list atomic.Pointer[string]
	list.Store(models("qwen/qwen3-8b"))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	run := func(ln net.Listener) *httptest.Server {
		s := httptest.NewUnstartedServer(listing(&list))
		s.Listener.Close()
		s.Listener = ln
		s.Start()
		return s
	}
	s := run(ln)
	u := start(t, Config{URL: "http://" + addr + "/v1/"})
	if st := status(u); st.ID.String() != "qwen/qwen3-8b" || st.State != catalog.Loaded || st.Context != 99 || st.Bytes != 5 || st.Details.Trained != 7 {
		t.Errorf("status %+v", st)
	}
	s.CloseClientConnections()
	s.Close()
	eventually(t, "the model is gone", func() bool { return status(u).Err != "" })
	want := "upstream http://" + addr + " does not answer: "
	if st := status(u); !strings.HasPrefix(st.Err, want) || !strings.Contains(st.Err, "refused") || st.State != catalog.OnDisk {
		t.Errorf("status %+v", st)
	}
	if _, _, err := answerOf(u, ask(u, "x")); !errors.Is(err, engine.ErrNoModel) || !strings.Contains(err.Error(), want) {
		t.Errorf("while it is away: %v", err)
	}
	if ln, err = net.Listen("tcp", addr); err != nil {
		t.Skip("the port was taken by another program")
	}
	s = run(ln)
	defer s.Close()
	eventually(t, "the model is back", func() bool { return status(u).Err == "" })
	if got, _, err := answerOf(u, ask(u, "x")); err != nil || got.Text != "a" {
		t.Errorf("%q, %v", got.Text, err)
	}
	u.Close()
}

// A request that finds nobody makes the next check come at once.
func TestLostRequestIsADoubt(t *testing.T) {
	var list atomic.Pointer[string]
	list.Store(models("m"))
	s := httptest.NewServer(listing(&list))
	u := start(t, Config{URL: s.URL, Timeouts: Timeouts{Every: time.Hour}})
	s.CloseClientConnections()
	s.Close()
	if _, _, err := answerOf(u, ask(u, "x")); !errors.Is(err, engine.ErrLost) {
		t.Errorf("%v, want ErrLost", err)
	}
	eventually(t, "the model is gone", func() bool { return status(u).Err != "" })
}

func TestModelsAreChosen(t *testing.T) {
	var list atomic.Pointer[string]
	list.Store(models("b", "a", "x//y", "with blank", "a:latest", "ü"))
	var log bytes.Buffer
	var mu sync.Mutex
	s := serve(t, listing(&list))
	u, err := New(Config{URL: s.URL, Timeouts: Timeouts{Every: 5 * time.Millisecond}, Log: slog.New(slog.NewTextHandler(locked{&mu, &log}, nil))})
	if err != nil {
		t.Fatal(err)
	}
	u.Start(t.Context())
	eventually(t, "there are models", func() bool { return names(u) == "a b" })
	list.Store(models("b", "c", "x//y"))
	eventually(t, "there are others", func() bool { return names(u) == "b c" })
	u.Close()
	for _, bad := range []string{"model=x//y", `model="with blank"`, "model=a:latest", "model=ü"} {
		if n := strings.Count(log.String(), bad); n != 1 {
			t.Errorf("%s is told %d times", bad, n)
		}
	}

	if u, err = New(Config{URL: s.URL, Models: []string{"big=b", "c", "gone"}, Prefix: "up/"}); err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if got := names(u); got != "big! up/c! up/gone!" {
		t.Errorf("before it was asked: %s", got)
	}
	u.Start(t.Context())
	eventually(t, "there are models", func() bool { return names(u) == "big up/c up/gone!" })
	if st := u.Models()[2]; !strings.HasSuffix(st.Err, "has no model named gone") {
		t.Errorf("%+v", st)
	}
	if got, _, err := answerOf(u, &engine.Prompt{Model: id(t, "big"), Raw: ""}); !errors.Is(err, engine.ErrBadPrompt) {
		t.Errorf("%v, %v", got, err)
	}
	if got, _, err := answerOf(u, ask(u, "x")); err != nil || got.Text != "a" {
		t.Errorf("%v, %v", got, err)
	}
}

// Servers that were given no name for a model tell the path of its file.
func TestPathsAreNotNames(t *testing.T) {
	for theirs, want := range map[string]string{
		"/models/qwen3-8b-q4.gguf": "qwen3-8b-q4", "./m.gguf": "m", "../up/m": "m", "~/m.gguf": "m", `C:\Models\m.gguf`: "m", "/srv/Qwen3-8B/": "Qwen3-8B",
		"qwen/qwen3-8b": "qwen/qwen3-8b", "ggml-org/m-GGUF:Q8_0": "ggml-org/m-GGUF:Q8_0", "m.gguf": "m.gguf", "m:latest": "m", "C:m": "C:m", "/": "", "": "",
	} {
		if got := plain(theirs); got != want {
			t.Errorf("%s is %s, want %s", theirs, got, want)
		}
	}
}

type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// The key is sent, a changed one is taken over, and a wrong one is told.
func TestKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	write := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("sk-one\n")
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer sk-two" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		io.WriteString(w, *models("m"))
	}))
	u := begin(t, Config{URL: s.URL, KeyFile: path, Models: []string{"m"}})
	eventually(t, "the key is refused", func() bool { return status(u).Err == "upstream "+s.URL+" refuses the key (401); give it another" })
	write("sk-two")
	eventually(t, "the key is good", func() bool { return status(u).Err == "" })
}

// A server that does one thing at a time is not lost while it answers.
func TestBusyServerIsNotLost(t *testing.T) {
	var mu sync.Mutex
	checks := atomic.Int64{}
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/models" {
			checks.Add(1)
		}
		for !mu.TryLock() {
			if r.Context().Err() != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
		defer mu.Unlock()
		switch r.URL.Path {
		case "/v1/models":
			io.WriteString(w, *models("m"))
		case "/v1/chat/completions":
			streams("text/event-stream", func(w io.Writer) {
				for {
					if _, err := io.WriteString(w, delta(`{"content":"a"}`)); err != nil {
						return
					}
					time.Sleep(time.Millisecond)
				}
			})(w, r)
		}
	}))
	u := start(t, Config{URL: s.URL, Timeouts: Timeouts{Every: time.Millisecond, Check: 50 * time.Millisecond}})
	enough := errors.New("enough")
	before := checks.Load()
	_, err := u.Generate(t.Context(), ask(u, "x"), func(engine.Token) error {
		if st := status(u); st.Err != "" {
			return errors.New(st.Err)
		}
		if checks.Load() > before+3 {
			return enough
		}
		return nil
	})
	if err != enough {
		t.Error(err)
	}
}

// llama-server tells of its slots and their context beside the list.
func TestSlots(t *testing.T) {
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/models":
			io.WriteString(w, `{"data":[{"id":"m","meta":{"n_ctx_train":8192}}]}`)
		case "/props":
			io.WriteString(w, `{"default_generation_settings":{"n_ctx":1024},"total_slots":2}`)
		}
	}))
	if st := status(start(t, Config{URL: s.URL})); st.Context != 1024 || st.Details.Trained != 8192 || st.Load.Slots != 2 {
		t.Errorf("%+v", st)
	}
	if st := status(start(t, Config{URL: s.URL, Slots: 3})); st.Load.Slots != 3 {
		t.Errorf("the operator said 3 slots: %+v", st)
	}
}

// A server that takes a request and says nothing is given up.
func TestSilentServer(t *testing.T) {
	s := serve(t, faulty(OpenAI, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	u := start(t, Config{URL: s.URL, Timeouts: Timeouts{First: 50 * time.Millisecond}})
	if _, _, err := answerOf(u, ask(u, "x")); !errors.Is(err, engine.ErrLost) || !strings.Contains(err.Error(), "too long") {
		t.Error(err)
	}
}

// A list of models is foreign, too.
func TestHostileLists(t *testing.T) {
	for name, body := range map[string]string{"garbage": "<html>", "large": `{"data":[` + strings.Repeat(" ", maxList) + `]}`, "other types": `{"data":[{"id":5}]}`} {
		s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) }))
		u := begin(t, Config{URL: s.URL, Models: []string{"m"}})
		eventually(t, name+" is told", func() bool { return strings.Contains(status(u).Err, errGarbage.Error()) })
	}
	var many []string
	for i := range 2 * maxListed {
		many = append(many, fmt.Sprintf("m%04d", i))
	}
	var list atomic.Pointer[string]
	list.Store(models(many...))
	if n := len(start(t, Config{URL: serve(t, listing(&list)).URL}).Models()); n != maxModels {
		t.Errorf("%d models are listed", n)
	}
}

func TestConfigFaultsAreListedTogether(t *testing.T) {
	err := Config{URL: "ftp://me:secret@host", Kind: "vllm", Key: "a b", KeyFile: "/nowhere", Slots: -1, QueueLimit: 1 << 20, Prefix: "ü",
		Models: []string{"a=b", "a=c", "=d", "e="}, Timeouts: Timeouts{Idle: -1}}.Validate()
	for _, want := range []string{"the URL must be", "kind must be", "give one of them", "no blanks", "/nowhere", "slots", "queue limit", "prefix", "a is named twice", "is empty", "model e has no name", "idle timeout"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	if strings.Contains(fmt.Sprint(err), "secret") {
		t.Error("the error has the password")
	}
	for _, url := range []string{"http://h:1", "http://h:1/", "http://h:1/v1", "https://h/x/v1/"} {
		if err := (Config{URL: url}).Validate(); err != nil {
			t.Error(url, err)
		}
	}
	if u, err := New(Config{URL: "http://127.0.0.1:1"}); err != nil || u.Close() != nil {
		t.Error("closed before it was started:", err)
	}
}
