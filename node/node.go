package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"omx/node/api"
	"omx/node/blob"
	"omx/node/catalog"
	"omx/node/decide"
	"omx/node/decide/journal"
	"omx/node/engine"
	"omx/node/events"
	"omx/node/keys"
	"omx/node/mesh"
	"omx/node/monitor"
	"omx/node/policy"
	"omx/wasm"
)

// KeyFile is the identity's file in the data folder.
const KeyFile = "identity.key"

// MeshFolder is the folder in the data folder with the node's membership of a mesh.
// Without one, nodes list one another.
const MeshFolder = "mesh"

// KeysFile is the default file of API keys in the data folder.
const KeysFile = "keys"

// CatalogDir and PolicyDir are the folders in the data folder of what is known of the
// mesh, and of what decides.
const (
	CatalogDir = "catalog"
	PolicyDir  = "policies"
)

const (
	closeTimeout = 10 * time.Second // for what is under way when the node stops
)

// Node is one running node.
type Node struct {
	cfg Config
	log *slog.Logger
	id  catalog.NodeID

	store      *catalog.Store
	table      *catalog.Table
	host       *wasm.Host
	record     *decide.Record
	recorder   *journal.Writer // nil: decisions are not recorded
	decider    *decide.Decider
	engine     engine.Engine
	local      *engine.Local // of engine, which runs models on this machine; nil if there is none
	blobs      *blob.Store
	lanes      *laneServer // nil: the node has no files of models
	replicator *replicator
	fixed      map[catalog.ModelID]string // files of models that the node was started with
	stored     atomic.Pointer[stored]
	syncing    sync.Mutex // of stored
	mesh       *mesh.Mesh
	api        *api.Server
	bus        *events.Bus
	monitor    *monitor.Monitor
	born       time.Time

	policies     *policy.Manager
	keys         *keys.File
	requests     atomic.Uint64
	publishAfter atomic.Int64              // since born, in nanoseconds; see publishRecords
	draining     atomic.Bool               // it stops
	drained      atomic.Bool               // by order
	kept         map[catalog.NodeID]string // slow facts as stored; used by one goroutine of the mesh at a time
	keptMu       sync.Mutex
	states       states
	remembered   remembered
	flights      flights
	firsts       firsts

	failed chan error
	cancel context.CancelFunc
	wg     sync.WaitGroup
	closed sync.Once
}

// New opens what the node needs and checks it; nothing runs and nothing is
// reachable before Start. The caller must Close it in any case.
func New(cfg Config) (*Node, error) {
	cfg, err := cfg.WithDefaults()
	if err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, born: time.Now(), log: cfg.Log, failed: make(chan error, 1), cancel: func() {}, kept: map[catalog.NodeID]string{}}
	if err := n.open(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Node) open() (err error) {
	if err := os.MkdirAll(n.cfg.Data, 0o700); err != nil {
		return fmt.Errorf("create data folder: %w; choose another with --data", err)
	}
	// The store's lock is the node's: one node at a time uses a data folder.
	if n.store, err = catalog.OpenStore(filepath.Join(n.cfg.Data, CatalogDir), n.log); err != nil {
		return err
	}
	m := mesh.Config{KeyFile: filepath.Join(n.cfg.Data, KeyFile), Listen: []string{n.cfg.Mesh}, Peers: n.cfg.Peers,
		Dir: filepath.Join(n.cfg.Data, MeshFolder), Announce: n.cfg.Announce, Relay: n.cfg.Relay, MDNS: !n.cfg.NoMDNS, Silence: n.cfg.PeerTimeout, ListenUDP: n.cfg.listenUDP, Log: n.log}
	if n.cfg.Engine == nil {
		n.lanes = newLaneServer(n)
		m.ServeLane = n.lanes.serve
	}
	if n.cfg.Lab != nil {
		m.ListenUDP, m.SourceIP, m.Key = n.cfg.Lab.ListenUDP, n.cfg.Lab.SourceIP, n.cfg.Lab.Key
		m.Pool.MaxConns = n.cfg.Lab.MaxConns
	} else if n.monitor, err = monitor.New(monitor.Config{Dir: n.cfg.Data}); err != nil {
		return err
	}
	if n.mesh, err = mesh.New(m, n, n); err != nil {
		return err
	}
	n.id = n.mesh.ID()
	if err := n.openTable(); err != nil {
		return err
	}
	if err := n.openPolicies(); err != nil {
		return err
	}
	n.bus = events.New()
	if _, err := n.bus.Subscribe(events.Options{Name: "journal"}, n.journal); err != nil {
		return err
	}
	if err := n.openEngine(); err != nil {
		return err
	}
	if n.replicator, err = newReplicator(n); err != nil {
		return err
	}
	if err := n.openKeys(); err != nil {
		return err
	}
	if n.cfg.Lab != nil {
		return nil
	}
	n.api, err = api.New(api.Config{Listen: n.cfg.Listen, Keys: n.keys.Ring, AllowedHosts: n.cfg.AllowedHosts, Models: n, Mesh: membership{n}, Peers: n, Name: n.cfg.Name, Version: n.cfg.Version, Log: n.log}, n, n, n)
	return err
}

// openTable begins with the nodes known from the last run, none of them up.
func (n *Node) openTable() (err error) {
	if n.table, err = catalog.NewTable(catalog.NodeInfo{ID: n.id, Name: n.cfg.Name, Zone: n.cfg.Zone}); err != nil {
		return err
	}
	known, err := n.store.Nodes()
	if err != nil {
		return err
	}
	for _, info := range known {
		if info.ID == n.id {
			continue
		}
		for i := range info.Placements {
			info.Placements[i].Load, info.Placements[i].Speed = catalog.Load{}, catalog.Speed{}
		}
		if err := n.table.PutRecord(info); err != nil {
			n.log.Warn("stored record not used", "node", info.ID, "why", err)
		}
	}
	n.table.Publish()
	return nil
}

// Start makes the node reachable: policies first, then the mesh and the engine,
// the API last. Models load in the background.
func (n *Node) Start(ctx context.Context) error {
	if err := n.usePolicies(ctx); err != nil {
		return err
	}
	if err := n.mesh.Start(ctx); err != nil {
		return err
	}
	if s, ok := n.engine.(interface{ Start(context.Context) error }); ok {
		if err := s.Start(ctx); err != nil {
			return err
		}
	}
	if n.lanes != nil {
		n.wg.Go(n.lanes.run)
	}
	n.syncModels()
	if n.monitor != nil {
		n.monitor.Full()
	}
	n.publishSelf()
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	n.cancel = cancel
	n.wg.Go(func() { n.refresh(run) })
	n.keepRecording(run)
	if n.cfg.Lab != nil {
		return nil
	}
	n.wg.Go(func() { n.pollFiles(run) })
	n.wg.Go(func() { n.replicator.run(run) })
	n.wg.Go(func() {
		if err := n.monitor.Run(run); err != nil {
			n.log.Warn("resource readings have stopped", "why", err)
		}
	})
	n.api.Start(func(err error) { n.failed <- err })
	return nil
}

// Failed yields an error if the API ends by itself; the node is of no use then.
func (n *Node) Failed() <-chan error { return n.failed }

// URL is the base URL of the API; there is none in a Lab.
func (n *Node) URL() string {
	if n.api == nil {
		return ""
	}
	return "http://" + n.api.Addr()
}

// PID is the process the node runs in.
func (n *Node) PID() int { return os.Getpid() }

// Close stops the node: no new requests, then what is under way, then the
// parts in the opposite order of their start. It may be called more than once.
func (n *Node) Close() (err error) {
	n.closed.Do(func() { err = n.close() })
	return err
}

func (n *Node) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	n.draining.Store(true)
	var errs []error
	step := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", what, err))
		}
	}
	if n.api != nil {
		n.publishSelf() // the others see at once that it drains
		drained := make(chan struct{})
		go func() {
			n.mesh.Drain(ctx)
			close(drained)
		}()
		step("api", n.api.Close(ctx))
		<-drained
	}
	n.cancel()
	if n.lanes != nil {
		step("lanes", n.lanes.stop())
	}
	n.wg.Wait()
	if n.mesh != nil {
		step("mesh", n.mesh.Close())
	}
	if n.engine != nil {
		step("engine", n.engine.Close())
	}
	if n.bus != nil {
		step("events", n.bus.Close(ctx))
	}
	if n.monitor != nil {
		n.monitor.Close()
	}
	if n.decider != nil {
		step("policies", n.decider.Close())
	}
	if n.host != nil {
		step("policy host", n.host.Close(ctx))
	}
	if n.store != nil {
		step("catalog", n.store.Close())
	}
	return errors.Join(errs...)
}

// now is the time decisions are taken at.
func (n *Node) now() catalog.Micros { return catalog.Micros(time.Now().UnixMicro()) }

// nameOf is what people call a node.
func (n *Node) nameOf(id catalog.NodeID) string {
	for _, node := range n.table.Snapshot().Nodes {
		if node.ID == id {
			return node.Name
		}
	}
	return ""
}

// keep stores a record if its slow facts are new.
func (n *Node) keep(info catalog.NodeInfo) {
	facts := fmt.Sprint(info.Name, info.Addrs, info.Zone)
	for _, p := range info.Placements {
		facts += fmt.Sprint(p.Model, p.Digest, p.State)
	}
	n.keptMu.Lock()
	known := n.kept[info.ID] == facts
	n.kept[info.ID] = facts
	n.keptMu.Unlock()
	if known {
		return
	}
	if err := n.store.Put(info); err != nil {
		n.log.Warn("record not stored; it will be learned again after a restart", "node", info.ID, "why", err)
	}
}
