package node

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"omx/node/blob"
	"omx/node/catalog"
)

// Model files go from node to node over lanes of the mesh, which carry HTTP: the
// standard server and client know ranges, and package blob goes on where a download
// was cut.
//
//	GET /model?name=NAME   what a model is made of, as modelParts; with keep=1 the
//	                       node also promises to keep it for a while
//	GET /blobs/DIGEST      a file
const lanesHost = "http://mesh"

// modelParts is a model as one node tells another of it.
type modelParts struct {
	Digest   blob.Digest     `json:"digest"`
	Bytes    int64           `json:"bytes"`
	Adapters []blob.Digest   `json:"adapters,omitempty"`
	Params   json.RawMessage `json:"params,omitempty"`
}

const (
	headerTime  = 30 * time.Second // for a request on a lane
	laneIdle    = time.Minute      // without one
	maxLaneHead = 4 << 10
)

// laneServer is what other nodes fetch files from.
type laneServer struct {
	n     *Node
	http  *http.Server
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newLaneServer(n *Node) *laneServer {
	s := &laneServer{n: n, conns: make(chan net.Conn), done: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /model", s.model)
	mux.HandleFunc("GET /blobs/{digest}", s.blob)
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: headerTime, IdleTimeout: laneIdle, MaxHeaderBytes: maxLaneHead, ErrorLog: log.New(io.Discard, "", 0)}
	return s
}

// serve is mesh.Config.ServeLane.
func (s *laneServer) serve(_ catalog.NodeID, c net.Conn) {
	l := &openLane{Conn: c, closed: make(chan struct{})}
	select {
	case s.conns <- l:
		<-l.closed // by the HTTP server, at its end at the latest
	case <-s.done:
		_ = c.Close()
	}
}

// openLane tells when it is closed.
type openLane struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
}

// Close implements net.Conn.
func (l *openLane) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Conn.Close()
}

// Accept implements net.Listener.
func (s *laneServer) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (s *laneServer) Close() error {
	s.once.Do(func() { close(s.done) })
	return nil
}

// Addr implements net.Listener.
func (s *laneServer) Addr() net.Addr { return &net.UDPAddr{} }

// run serves until stop.
func (s *laneServer) run() { _ = s.http.Serve(s) }

func (s *laneServer) stop() error { return errors.Join(s.Close(), s.http.Close()) }

func (s *laneServer) model(w http.ResponseWriter, r *http.Request) {
	id, err := catalog.ParseModelID(r.URL.Query().Get("name"))
	if err != nil {
		http.Error(w, "no such model", http.StatusNotFound)
		return
	}
	parts, err := s.n.partsOf(id)
	if err != nil {
		http.Error(w, "no such model", http.StatusNotFound)
		return
	}
	if r.URL.Query().Has("keep") && !s.n.replicator.promise(id, &parts) {
		http.Error(w, "it is not kept", http.StatusConflict)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(parts)
}

func (s *laneServer) blob(w http.ResponseWriter, r *http.Request) {
	d, err := blob.ParseDigest(r.PathValue("digest"))
	if err != nil {
		http.Error(w, "no such file", http.StatusNotFound)
		return
	}
	f, err := s.n.openBlob(d)
	if err != nil {
		http.Error(w, "no such file", http.StatusNotFound)
		return
	}
	defer f.Close()
	w.Header().Set("ETag", `"`+d.String()+`"`)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, f)
}

// partsOf is what a model of this node is made of.
func (n *Node) partsOf(id catalog.ModelID) (modelParts, error) {
	if path, ok := n.fixed[id]; ok {
		for _, m := range n.local.Models() {
			if d, err := blob.ParseDigest(m.Digest); m.ID == id && err == nil {
				st, err := os.Stat(path)
				if err != nil {
					return modelParts{}, err
				}
				return modelParts{Digest: d, Bytes: st.Size()}, nil
			}
		}
		return modelParts{}, blob.ErrNotFound // or its digest is not known yet
	}
	m, err := n.blobs.Get(id)
	return modelParts{Digest: m.Digest, Bytes: m.Bytes, Adapters: m.Adapters, Params: m.Params}, err
}

// openBlob opens a file that a model of this node is made of.
func (n *Node) openBlob(d blob.Digest) (*os.File, error) {
	f, err := n.blobs.Open(d)
	if err == nil || !errors.Is(err, blob.ErrNotFound) {
		return f, err
	}
	for _, m := range n.local.Models() {
		if path, ok := n.fixed[m.ID]; ok && m.Digest == d.Hex() {
			return os.Open(path)
		}
	}
	return nil, err
}
