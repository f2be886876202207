package api

import (
	"context"
	"crypto/rand"
	enchex "encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"omx/node/keys"
)

// Config of a Server.
type Config struct {
	// Listen is host:port; port 0 takes a free one.
	Listen string
	// AllowedHosts are names, beside IP addresses and localhost, that the Host
	// header may carry: a page on another site must not reach this API by
	// pointing its own name at it.
	AllowedHosts []string
	// Keys are the keys that requests must have; nil, or one that returns nil: none.
	Keys func() *keys.Ring
	// Models changes what models the node has; nil: nobody can.
	Models Manager
	// Peers are the other nodes; nil: there are none.
	Peers Peers
	// Mesh is who belongs to the mesh; nil: there is none.
	Mesh Membership
	// Name and Version are shown by /healthz.
	Name, Version string
	// Log gets server faults; nil discards.
	Log *slog.Logger
}

// Server serves one node's API.
type Server struct {
	cfg     Config
	chat    Chatter
	inspect Inspector
	operate Operator
	log     *slog.Logger
	http    *http.Server
	ln      net.Listener
	served  chan struct{} // closed when serving has ended
	started time.Time
	closing atomic.Bool
}

// New binds the address; requests wait until Start.
func New(cfg Config, chat Chatter, inspect Inspector, operate Operator) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	ln, err := net.Listen("tcp", cfg.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: the port is in use; stop the program that has it or choose another with --listen", cfg.Listen)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w; choose another address with --listen HOST:PORT", cfg.Listen, err)
	}
	s := &Server{cfg: cfg, chat: &named{chat, inspect}, inspect: inspect, operate: operate, log: cfg.Log, ln: ln, started: time.Now()}
	s.http = &http.Server{Handler: s.guard(s.routes()), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug)}
	return s, nil
}

// Addr is the address in use, host:port.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// Start serves until Close. If serving ends before that, failed is called.
func (s *Server) Start(failed func(error)) {
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		if err := s.http.Serve(s.ln); !errors.Is(err, http.ErrServerClosed) {
			failed(fmt.Errorf("serve the API: %w", err))
		}
	}()
}

// Close lets requests under way end until ctx does, then cuts them off.
func (s *Server) Close(ctx context.Context) error {
	s.closing.Store(true)
	if s.served == nil {
		return s.ln.Close()
	}
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	<-s.served
	return err
}

func (s *Server) routes() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /v1/models", s.openAIModels)
	m.HandleFunc("GET /v1/models/{model...}", s.openAIModel)
	m.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, new(openAIChat)) })
	m.HandleFunc("POST /v1/completions", func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, new(completion)) })
	m.HandleFunc("POST /v1/responses", func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, new(response)) })
	m.HandleFunc("POST /v1/messages", func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, new(anthropicBody)) })
	m.HandleFunc("POST /v1/messages/count_tokens", s.countTokens)

	m.HandleFunc("POST /v1/embeddings", s.embeddings)
	m.HandleFunc("POST /v1/rerank", s.rerank)
	m.HandleFunc("POST /rerank", s.rerank)

	m.HandleFunc("POST /api/chat", s.ollamaChat)
	m.HandleFunc("POST /api/generate", s.ollamaGenerate)
	m.HandleFunc("POST /api/embed", s.ollamaEmbed)
	m.HandleFunc("POST /api/embeddings", s.ollamaEmbeddings)
	m.HandleFunc("GET /api/tags", s.ollamaTags)
	m.HandleFunc("GET /api/ps", s.ollamaRunning)
	m.HandleFunc("POST /api/show", s.ollamaShow)
	m.HandleFunc("GET /api/version", s.ollamaVersion)
	m.HandleFunc("POST /api/pull", s.ollamaPull)
	m.HandleFunc("POST /api/push", s.ollamaPush)
	m.HandleFunc("POST /api/create", s.ollamaCreate)
	m.HandleFunc("POST /api/copy", s.ollamaCopy)
	m.HandleFunc("DELETE /api/delete", s.ollamaDelete)
	m.HandleFunc("HEAD /api/blobs/{digest}", s.ollamaHasBlob)
	m.HandleFunc("POST /api/blobs/{digest}", s.ollamaPutBlob)
	m.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("omx is running")) })

	m.HandleFunc("GET /healthz", s.health)
	m.HandleFunc("GET /omx/v1/nodes", func(w http.ResponseWriter, r *http.Request) { writeView(w, s.inspect.Nodes()) })
	m.HandleFunc("GET /omx/v1/models", func(w http.ResponseWriter, r *http.Request) { writeView(w, s.inspect.Models()) })
	m.HandleFunc("POST /omx/v1/models/{action}", s.orderModel)
	m.HandleFunc("GET /omx/v1/decisions/{id}", s.decision)
	m.HandleFunc("GET /omx/v1/policies", s.policies)
	m.HandleFunc("POST /omx/v1/policies/{kind}/{action}", s.orderPolicy)
	m.HandleFunc("GET /omx/v1/mesh", member(s, Membership.Mesh))
	m.HandleFunc("GET /omx/v1/mesh/members", member(s, Membership.Members))
	m.HandleFunc("POST /omx/v1/mesh/invite", order(s, s.invite))
	m.HandleFunc("POST /omx/v1/mesh/revoke", order(s, s.revoke))
	m.HandleFunc("POST /omx/v1/ping", order(s, s.ping))
	m.HandleFunc("POST /omx/v1/drain", order(s, s.drain))
	m.HandleFunc("GET /metrics", s.metrics)
	return m
}

// guard is what every request passes first.
func (s *Server) guard(next http.Handler) http.Handler {
	mux := next.(*http.ServeMux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := requestID(r)
		w.Header().Set(headerRequestID, id)
		if isAnthropic(r) {
			w.Header().Set(headerAnthropicID, id)
		}
		w.Header()["X-Content-Type-Options"] = noSniff
		if !s.hostAllowed(r.Host) {
			refuse(w, r, &Error{Status: http.StatusForbidden, Code: "host_not_allowed",
				Message: fmt.Sprintf("the Host header %q is not one of this node; use an IP address or localhost, or start it with --allow-host", clip(r.Host))})
			return
		}
		if o := r.Header.Get("Origin"); o != "" && !s.originAllowed(o) {
			refuse(w, r, &Error{Status: http.StatusForbidden, Code: "origin_not_allowed",
				Message: fmt.Sprintf("pages of %q may not use this node; start it with --allow-host to let them", clip(o))})
			return
		}
		if !isOpen(r) {
			if _, e := s.holder(r); e != nil {
				w.Header().Set("Www-Authenticate", "Bearer")
				refuse(w, r, e)
				return
			}
		}
		if h, pattern := mux.Handler(r); pattern == "" {
			s.unknown(w, r, h)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// unknown answers paths and methods that are not there, in words.
func (s *Server) unknown(w http.ResponseWriter, r *http.Request, std http.Handler) {
	probe := statusProbe{header: http.Header{}}
	std.ServeHTTP(&probe, r)
	if probe.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", probe.header.Get("Allow"))
		refuse(w, r, &Error{Status: probe.status, Code: "method_not_allowed", Message: "use " + probe.header.Get("Allow") + " here"})
		return
	}
	refuse(w, r, &Error{Status: http.StatusNotFound, Code: "not_found", Message: "there is nothing at this path; the API is under /v1 (OpenAI, Anthropic) and /api (Ollama)"})
}

type statusProbe struct {
	header http.Header
	status int
}

func (p *statusProbe) Header() http.Header         { return p.header }
func (p *statusProbe) WriteHeader(status int)      { p.status = status }
func (p *statusProbe) Write(b []byte) (int, error) { return len(b), nil }

// refuse answers in the shape of the API the path belongs to.
func refuse(w http.ResponseWriter, r *http.Request, e *Error) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/api/"):
		writeOllamaError(w, e)
	case isAnthropic(r):
		writeAnthropicError(w, e)
	default:
		writeOpenAIError(w, e)
	}
}

// isAnthropic tells whose form an answer is to have: that of /v1/messages, and of
// other paths for clients that send Anthropic's version header.
func isAnthropic(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/v1/messages") || strings.HasPrefix(r.URL.Path, "/v1/models") && r.Header.Get(headerAnthropicVersion) != ""
}

func (s *Server) hostAllowed(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if host == "localhost" || net.ParseIP(host) != nil {
		return true
	}
	for _, a := range s.cfg.AllowedHosts {
		if strings.EqualFold(a, host) {
			return true
		}
	}
	return false
}

// originAllowed lets pages of allowed names in; a page of some IP address may be
// anybody's, so only this machine's own count.
func (s *Server) originAllowed(origin string) bool {
	_, host, ok := strings.Cut(origin, "://")
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if ip := net.ParseIP(strings.Trim(host, "[]")); ip != nil {
		return ok && ip.IsLoopback()
	}
	return ok && s.hostAllowed(host)
}

// requestID is the client's own, if it is harmless, or a new one.
func requestID(r *http.Request) string {
	id := r.Header.Get(headerRequestID)
	ok := id != "" && len(id) <= maxRequestID
	for i := 0; ok && i < len(id); i++ {
		ok = id[i] > ' ' && id[i] < 0x7f && id[i] != '"' && id[i] != '\\'
	}
	if ok {
		return id
	}
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return enchex.EncodeToString(b[:])
}
