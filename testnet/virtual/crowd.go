package virtual

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"omx/node/catalog"
	"omx/node/mesh"
	"omx/node/mesh/member"
	"omx/testnet/virtual/vnet"
)

// CrowdSpec says what to start. The zero value of a field means its default.
type CrowdSpec struct {
	Seed  uint64        // decides what happens on the network, and who is who
	Nodes int           // 1 to member.MaxMembers; default 3
	Conns int           // that a node keeps; default 100
	RTT   time.Duration // between any two; default 50 ms
	Batch int           // how many join at once; default 16
	Pause time.Duration // between batches; default none
	Dir   string        // an existing folder for the nodes' state
	// Record is what a node says of itself; default a name and two models.
	Record func(node int, id catalog.NodeID) catalog.NodeInfo
}

// Crowd is the members of one mesh with a key, without the nodes on top: each has
// joined by a token and answers each request with a token of its own.
type Crowd struct {
	Net *vnet.Net

	spec  CrowdSpec
	began time.Time
	all   []*Body
	beats sync.WaitGroup
}

// Body is one member of a crowd, and what it sees.
type Body struct {
	ID catalog.NodeID

	crowd *Crowd
	index int
	key   ed25519.PrivateKey
	mesh  *mesh.Mesh // nil: it is stopped
	over  chan struct{}

	mu    sync.Mutex
	up    map[catalog.NodeID]bool // who is up; true: and not suspect
	seen  map[catalog.NodeID]catalog.NodeInfo
	turns int // how often one came up or went down
	info  catalog.NodeInfo
}

// NewCrowd starts the nodes and returns when the last ones have joined and started; what
// they see of one another is not awaited.
func NewCrowd(ctx context.Context, spec CrowdSpec) (*Crowd, error) {
	spec.Nodes, spec.Conns = cmp.Or(spec.Nodes, 3), cmp.Or(spec.Conns, 100)
	spec.RTT, spec.Batch = cmp.Or(spec.RTT, 50*time.Millisecond), cmp.Or(spec.Batch, 16)
	if spec.Record == nil {
		spec.Record = twoModels
	}
	if spec.Nodes < 1 || spec.Nodes > member.MaxMembers || spec.Conns < 2 || spec.Dir == "" {
		return nil, fmt.Errorf("start crowd: %d nodes with %d connections; 1 to %d nodes, at least 2 connections, and name a folder for their state", spec.Nodes, spec.Conns, member.MaxMembers)
	}
	half := spec.RTT / 2
	c := &Crowd{spec: spec, began: time.Now(),
		Net: vnet.New(vnet.Config{Seed: spec.Seed, Path: func(int, int) vnet.Path { return vnet.Path{Delay: half} }})}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Crowd) start(ctx context.Context) error {
	for i := range c.spec.Nodes {
		b := &Body{crowd: c, index: i, key: keyOf(c.spec.Seed, i)}
		var err error
		if b.ID, err = mesh.KeyID(b.key); err != nil {
			return err
		}
		b.info = c.spec.Record(i, b.ID)
		b.info.ID = b.ID
		c.all = append(c.all, b)
	}
	first := c.all[0]
	token, err := found(first.dir(), first.key, first.info.Name)
	if err != nil {
		return err
	}
	if err := c.Restart(0); err != nil {
		return err
	}
	for next := 1; next < len(c.all); next += c.spec.Batch {
		batch := c.all[next:min(next+c.spec.Batch, len(c.all))]
		errs := make([]error, len(batch))
		var joined sync.WaitGroup
		for i, b := range batch {
			joined.Go(func() {
				_, errs[i] = mesh.Join(ctx, mesh.JoinConfig{Key: b.key, Name: b.info.Name, Token: token, Dir: b.dir(), ListenUDP: b.listen})
			})
		}
		joined.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		for _, b := range batch {
			if err := c.Restart(b.index); err != nil {
				return err
			}
		}
		if next+c.spec.Batch < len(c.all) {
			time.Sleep(c.spec.Pause)
		}
	}
	return nil
}

// found makes a mesh with node 0 as its first member, and a token for all others.
func found(dir string, key ed25519.PrivateKey, name string) (*member.Token, error) {
	id := member.ID(key.Public().(ed25519.PublicKey))
	ship, err := member.Init(dir, id, name, time.Now())
	if err != nil {
		return nil, err
	}
	h, err := member.OpenHolder(dir, ship, 0)
	if err != nil {
		return nil, err
	}
	at, err := ma.NewMultiaddr(address(0))
	if err != nil {
		return nil, err
	}
	return h.Invite(id, []ma.Multiaddr{at}, member.Serve, member.MaxMembers, 24*time.Hour, time.Now())
}

func (b *Body) dir() string {
	return filepath.Join(b.crowd.spec.Dir, fmt.Sprintf("node-%d", b.index+1))
}

func (b *Body) listen(string, *net.UDPAddr) (net.PacketConn, error) {
	return b.crowd.Net.Listen(b.index, meshPort)
}

// Node is one of them.
func (c *Crowd) Node(i int) *Body { return c.all[i] }

// Mesh is a node's; nil if it is stopped.
func (b *Body) Mesh() *mesh.Mesh { return b.mesh }

// Restart starts a node that does not run.
func (c *Crowd) Restart(i int) (err error) {
	b := c.all[i]
	b.mu.Lock()
	b.up, b.seen = map[catalog.NodeID]bool{}, map[catalog.NodeID]catalog.NodeInfo{}
	b.mu.Unlock()
	m, err := mesh.New(mesh.Config{Key: b.key, Dir: b.dir(), Listen: []string{address(i)}, ListenUDP: b.listen, SourceIP: vnet.IP(i),
		Pool: mesh.PoolConfig{MaxConns: c.spec.Conns}}, b, b)
	if err != nil {
		return fmt.Errorf("start node %d: %w", i+1, err)
	}
	b.mesh, b.over = m, make(chan struct{})
	if err := b.Say(func(*catalog.NodeInfo) {}); err != nil {
		return err
	}
	if err := m.Start(context.Background()); err != nil {
		return fmt.Errorf("start node %d: %w", i+1, err)
	}
	over := b.over
	c.beats.Go(func() { // as a node does that keeps what it says of itself true
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = b.say(m, func(*catalog.NodeInfo) {})
			case <-over:
				return
			}
		}
	})
	return nil
}

// Say changes what a node says of itself.
func (b *Body) Say(change func(*catalog.NodeInfo)) error { return b.say(b.mesh, change) }

func (b *Body) say(m *mesh.Mesh, change func(*catalog.NodeInfo)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.info)
	now := catalog.Micros(time.Now().UnixMicro())
	b.info.Seq = max(b.info.Seq+1, uint64(now))
	for i := range b.info.Placements {
		b.info.Placements[i].Load.At = now
	}
	return m.SetRecord(b.info)
}

// SetRunning has a node say that so many requests run there.
func (b *Body) SetRunning(n uint32) error {
	return b.Say(func(info *catalog.NodeInfo) {
		for i := range info.Placements {
			info.Placements[i].Load.Running = n
		}
	})
}

// Kill has a node vanish without a word to anybody.
func (c *Crowd) Kill(i int) {
	c.Net.Kill(i)
	if m := c.take(i); m != nil {
		c.beats.Go(func() { _ = m.Close() }) // nobody hears what it says now
	}
}

// Stop has a node leave.
func (c *Crowd) Stop(i int) error {
	if m := c.take(i); m != nil {
		return m.Close()
	}
	return nil
}

func (c *Crowd) take(i int) *mesh.Mesh {
	b := c.all[i]
	m := b.mesh
	if b.mesh = nil; m != nil {
		close(b.over)
	}
	return m
}

// Close stops all nodes, and returns when nothing of them is left.
func (c *Crowd) Close() error {
	errs := make([]error, len(c.all))
	var all sync.WaitGroup
	for i := range c.all {
		all.Go(func() { errs[i] = c.Stop(i) })
	}
	all.Wait()
	c.beats.Wait()
	c.Net.Close()
	time.Sleep(leaveTime)
	return errors.Join(errs...)
}

// Differs says what a node sees that is not so, "" if each sees all that run, and no
// others.
func (c *Crowd) Differs() string {
	for _, a := range c.all {
		if a.mesh == nil {
			continue
		}
		for _, b := range c.all {
			if up, _ := a.Sees(b.ID); a != b && up != (b.mesh != nil) {
				return fmt.Sprintf("node %d sees node %d up: %t", a.index+1, b.index+1, up)
			}
		}
	}
	return ""
}

// Await returns how long it took until nothing differs, at most a while.
func (c *Crowd) Await(most time.Duration) (time.Duration, error) {
	began := time.Now()
	for {
		d := c.Differs()
		if took := time.Since(began); d == "" || took >= most {
			if d != "" {
				return took, fmt.Errorf("after %v, %s", most, d)
			}
			return took, nil
		}
		time.Sleep(lookEvery)
	}
}

// Sees says whether the node sees another up, and what that has last said.
func (b *Body) Sees(id catalog.NodeID) (up bool, info catalog.NodeInfo) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, up = b.up[id]
	return up, b.seen[id]
}

// PeerUp implements mesh.Observer.
func (b *Body) PeerUp(id catalog.NodeID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.up[id] = true
	b.turns++
}

// PeerDown implements mesh.Observer.
func (b *Body) PeerDown(id catalog.NodeID, _ error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.up, id)
	b.turns++
}

// Turns is how often a node has come up or gone down for this one.
func (b *Body) Turns() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.turns
}

// PeerSuspect implements mesh.Observer.
func (b *Body) PeerSuspect(id catalog.NodeID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.up[id] = false
}

// PeerRecord implements mesh.Observer.
func (b *Body) PeerRecord(info catalog.NodeInfo, _ time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.up[info.ID] = true
	b.seen[info.ID] = info
}

// Serve implements mesh.Handler.
func (b *Body) Serve(_ context.Context, _ catalog.NodeID, s *mesh.ServerStream) {
	_ = s.Token([]byte(b.ID.String()), 1) // the asking side sees what is wrong
	s.Done(nil)
}

// Ask asks another node, and returns what it says.
func (b *Body) Ask(ctx context.Context, to *Body) (string, error) {
	s, err := b.mesh.Open(ctx, to.ID, 0, []byte("who are you?"))
	if err != nil {
		return "", err
	}
	defer s.Close()
	text := ""
	for {
		t, err := s.Next()
		if errors.Is(err, mesh.ErrDone) {
			return text, nil
		}
		if err != nil {
			return text, err
		}
		text += string(t.Text)
	}
}

// twoModels is a typical record.
func twoModels(node int, id catalog.NodeID) catalog.NodeInfo {
	info := catalog.NodeInfo{Name: fmt.Sprintf("node-%d", node+1), MemFreeMiB: 23_123, MemTotalMiB: 32_010, DiskFreeMiB: 412_331,
		Addrs: []string{address(node) + "/p2p/" + id.String()}}
	for _, name := range []string{"llama3.2:3b", "qwen2.5-coder:7b"} {
		m, err := catalog.ParseModelID(name)
		if err != nil {
			panic(err) // they are written above
		}
		info.Placements = append(info.Placements, catalog.Placement{Model: m, Digest: fmt.Sprintf("%064x", node), Bytes: 4_683_073_184, State: catalog.Loaded,
			Load: catalog.Load{Slots: 4}, Speed: catalog.Speed{PrefillNS: 823_456, DecodeUS: 23_456, Batch: 120, At: 1}, Context: 8192})
	}
	return info
}
