package virtual

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"omx/node"
	"omx/node/catalog"
	"omx/node/engine"
	"omx/node/mesh"
	"omx/node/mesh/member"
	"omx/testnet/virtual/vnet"
)

// Spec says what to start. The zero value of a field means its default.
type Spec struct {
	// Seed decides what happens on the network, and who is who.
	Seed uint64
	// Nodes is how many, 1 to MaxNodes; default 3.
	Nodes int
	// Holders is how many of them have the model; default all, -1 none. They are
	// spread evenly, the last node is one and the first is not if not all are.
	Holders int
	// Degree is with how many others a node is listed, half of them to each side in
	// a ring; default all.
	Degree int
	// Conns makes the nodes members of one mesh with a key, each of which keeps so many
	// connections and learns of the others by itself; 0: they list one another.
	Conns int
	// RTT is the round trip between any two nodes; default 50 ms. Path, if there is
	// one, says all of it instead.
	RTT  time.Duration
	Path func(from, to int) vnet.Path
	// Access is the line of each node; default without limits.
	Access func(node int) vnet.Access
	// Engine is what each holder's engine is like; Models and Seed are the fleet's.
	Engine engine.SimConfig
	// Dir is an existing folder for the nodes' state.
	Dir string
	// Policies are those of other fleets too; default of its own.
	Policies *Policies
	// Adjust has the last word about a node's configuration.
	Adjust func(i int, cfg *node.Config)
	// Log gets what the nodes log, with their names; default nobody.
	Log *slog.Logger
}

// Fleet is the nodes that were started. Its methods may be called from several
// goroutines, but those that stop and start one node only one after the other.
type Fleet struct {
	Net *vnet.Net

	spec     Spec
	began    time.Time
	policies *Policies // of its own, else nil
	model    catalog.ModelID
	hosts    []*host
	leaving  sync.WaitGroup // nodes that were stopped
}

// host is one node, across its restarts.
type host struct {
	name  string
	key   ed25519.PrivateKey
	id    catalog.NodeID
	peers []int

	mu     sync.Mutex
	node   *node.Node // nil: it is stopped
	ctx    context.Context
	cancel context.CancelCauseFunc
	left   chan struct{} // closed when the node that was stopped has let go of its folder
}

// errStopped ends what a client had asked through a node that was stopped.
var errStopped = errors.New("the node was stopped")

// Start starts the nodes and returns when all see all that they should. On an error
// nothing is left running.
func Start(ctx context.Context, spec Spec) (*Fleet, error) {
	if spec.Nodes == 0 {
		spec.Nodes = 3
	}
	if spec.Holders == 0 {
		spec.Holders = spec.Nodes
	}
	spec.Holders = max(spec.Holders, 0)
	if spec.RTT == 0 {
		spec.RTT = 50 * time.Millisecond
	}
	if spec.Nodes < 1 || spec.Nodes > MaxNodes || spec.Holders > spec.Nodes || spec.Degree < 0 || spec.RTT < 0 || spec.Dir == "" {
		return nil, fmt.Errorf("start fleet: %d nodes with %d holders; 1 to %d nodes, not more holders than nodes, and name a folder for their state", spec.Nodes, spec.Holders, MaxNodes)
	}
	if spec.Path == nil {
		half := spec.RTT / 2
		spec.Path = func(int, int) vnet.Path { return vnet.Path{Delay: half} }
	}
	f := &Fleet{spec: spec, began: time.Now()}
	if err := f.start(ctx); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *Fleet) start(ctx context.Context) (err error) {
	if f.model, err = catalog.ParseModelID(model); err != nil {
		return err
	}
	if f.spec.Policies == nil {
		if f.policies, err = NewPolicies(); err != nil {
			return err
		}
		f.spec.Policies = f.policies
	}
	f.Net = vnet.New(vnet.Config{Seed: f.spec.Seed, Path: f.spec.Path, Access: f.spec.Access})
	for i := range f.spec.Nodes {
		h := &host{name: fmt.Sprintf("node-%d", i+1), key: keyOf(f.spec.Seed, i), peers: neighbours(i, f.spec.Nodes, f.spec.Degree)}
		if h.id, err = mesh.KeyID(h.key); err != nil {
			return err
		}
		f.hosts = append(f.hosts, h)
	}
	if err := f.startAll(ctx); err != nil {
		return err
	}
	_, err = f.Await(ctx, joinTime)
	return err
}

// startAll starts the nodes, members after they have joined at the first.
func (f *Fleet) startAll(ctx context.Context) (err error) {
	var token *member.Token
	for i, h := range f.hosts {
		switch {
		case f.spec.Conns == 0:
		case i == 0:
			token, err = found(f.meshDir(i), h.key, h.name)
		default:
			_, err = mesh.Join(ctx, mesh.JoinConfig{Key: h.key, Name: h.name, Token: token, Dir: f.meshDir(i),
				ListenUDP: func(string, *net.UDPAddr) (net.PacketConn, error) { return f.Net.Listen(i, meshPort) }})
		}
		if err == nil {
			err = f.Restart(ctx, i)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *Fleet) meshDir(i int) string {
	return filepath.Join(f.spec.Dir, f.hosts[i].name, node.MeshFolder)
}

// keyOf is a node's identity.
func keyOf(seed uint64, i int) ed25519.PrivateKey {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], seed)
	binary.LittleEndian.PutUint64(b[8:], uint64(i))
	sum := sha256.Sum256(b[:])
	return ed25519.NewKeyFromSeed(sum[:])
}

// neighbours are those that a node of n lists and is listed by.
func neighbours(i, n, degree int) (list []int) {
	half := n // all
	if degree > 0 {
		half = (degree + 1) / 2
	}
	for j := range n {
		if apart := min((i-j+n)%n, (j-i+n)%n); apart > 0 && apart <= half {
			list = append(list, j)
		}
	}
	return list
}

func (f *Fleet) holds(i int) bool {
	return (i+1)*f.spec.Holders/f.spec.Nodes > i*f.spec.Holders/f.spec.Nodes
}

// config is a node's.
func (f *Fleet) config(i int) (node.Config, error) {
	h := f.hosts[i]
	cfg := node.Config{Name: h.name, Data: filepath.Join(f.spec.Dir, h.name), Mesh: address(i), NoMDNS: true, Version: "virtual",
		Lab: &node.Lab{ListenUDP: f.listener(i), SourceIP: vnet.IP(i), Key: h.key, MaxConns: f.spec.Conns, Load: f.spec.Policies.Load}}
	for _, j := range h.peers {
		if f.spec.Conns > 0 {
			break
		}
		cfg.Peers = append(cfg.Peers, address(j)+"/p2p/"+f.hosts[j].id.String())
	}
	if f.spec.Log != nil {
		cfg.Log = f.spec.Log.With("on", h.name)
	}
	sim, err := f.engine(i, f.spec.Engine)
	if err != nil {
		return cfg, err
	}
	cfg.Engine = sim
	if f.spec.Adjust != nil {
		f.spec.Adjust(i, &cfg)
	}
	return cfg, nil
}

// engine is what answers on a node: the same answers on each.
func (f *Fleet) engine(i int, c engine.SimConfig) (*engine.Sim, error) {
	c.Seed, c.Models = f.spec.Seed, nil
	if f.holds(i) {
		c.Models = []engine.Status{{ID: f.model}}
	}
	return engine.NewSim(c)
}

func address(i int) string { return fmt.Sprintf("/ip4/%v/udp/%d/quic-v1", vnet.IP(i), meshPort) }

func (f *Fleet) listener(i int) func(string, *net.UDPAddr) (net.PacketConn, error) {
	return func(_ string, a *net.UDPAddr) (net.PacketConn, error) { return f.Net.Listen(i, a.Port) }
}

// Now is how long the fleet has been there.
func (f *Fleet) Now() time.Duration { return time.Since(f.began) }

// Nodes is how many there are, stopped ones included.
func (f *Fleet) Nodes() int { return len(f.hosts) }

// Node is one of them; nil if it is stopped.
func (f *Fleet) Node(i int) *node.Node {
	h := f.hosts[i]
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.node
}

// Stop has a node vanish without a word to anybody, as a power cut would. What its
// own clients have asked ends.
func (f *Fleet) Stop(i int) {
	h := f.hosts[i]
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.node
	if n == nil {
		return
	}
	f.Net.Kill(i)
	h.cancel(errStopped)
	left := make(chan struct{})
	h.node, h.left = nil, left
	f.leaving.Go(func() {
		_ = n.Close() // nobody hears what it says now
		close(left)
	})
}

// Restart starts a node that is stopped, with the folder and the identity it had.
func (f *Fleet) Restart(ctx context.Context, i int) error {
	h := f.hosts[i]
	h.mu.Lock()
	running, left := h.node != nil, h.left
	h.mu.Unlock() // whoever waits for a mutex keeps time from going on
	if running {
		return fmt.Errorf("restart %s: it is running; stop it first", h.name)
	}
	if left != nil {
		<-left
	}
	cfg, err := f.config(i)
	if err != nil {
		return err
	}
	n, err := node.New(cfg)
	if err != nil {
		return fmt.Errorf("start %s: %w", h.name, err)
	}
	if err := n.Start(ctx); err != nil {
		return fmt.Errorf("start %s: %w", h.name, errors.Join(err, n.Close()))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.node = n
	h.ctx, h.cancel = context.WithCancelCause(context.Background())
	return nil
}

// Close stops all nodes in order, and returns when nothing of them is left.
func (f *Fleet) Close() error {
	errs := make([]error, len(f.hosts))
	var all sync.WaitGroup
	for i, h := range f.hosts {
		if h.node != nil {
			all.Go(func() {
				h.cancel(errStopped)
				if err := h.node.Close(); err != nil {
					errs[i] = fmt.Errorf("%s: %w", h.name, err)
				}
			})
		}
	}
	all.Wait()
	f.leaving.Wait()
	if f.Net != nil {
		for _, i := range f.Net.Open() {
			errs = append(errs, fmt.Errorf("%s has ended and left its socket open", f.hosts[i].name))
		}
		f.Net.Close()
	}
	if f.policies != nil {
		errs = append(errs, f.policies.Close())
	}
	time.Sleep(leaveTime)
	return errors.Join(errs...)
}

// TempDir makes a folder for a fleet's state, in memory where there is one: disks
// take real time.
func TempDir() (string, error) {
	if dir, err := os.MkdirTemp("/dev/shm", "omx-virtual-"); err == nil {
		return dir, nil
	}
	return os.MkdirTemp("", "omx-virtual-")
}
