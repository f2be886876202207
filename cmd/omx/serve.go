package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"omx/node"
	"omx/node/engine"
	"omx/node/engine/upstream"
	"omx/node/mesh"
	"omx/testnet/hosts"
)

type serveCmd struct {
	Name              string        `help:"What people call this machine (default: host name)."`
	Data              string        `help:"Folder for the node's state (default: ~/.local/state/omx)." type:"path"`
	Listen            string        `help:"Address of the HTTP API; port 0 takes a free one." default:"127.0.0.1:11435" placeholder:"HOST:PORT"`
	Keys              string        `help:"File of API keys, see: omx keys (default: keys in the data folder, if it is there)." type:"path" placeholder:"FILE"`
	AllowHost         []string      `help:"Further host name under which clients may address the API." placeholder:"NAME"`
	Mesh              string        `help:"UDP address for other nodes, as multiaddr." default:"/ip4/127.0.0.1/udp/0/quic-v1" placeholder:"ADDR"`
	Peer              []string      `help:"In a mesh, address of a member: HOST:PORT or multiaddr. Without one, node that may talk with this one: ADDR/p2p/ID to dial it, /p2p/ID if it dials us." placeholder:"ADDR"`
	Announce          []string      `help:"Further address at which other members reach this node, as where a router forwards a port." placeholder:"ADDR"`
	Relay             bool          `help:"Pass packets on between members that cannot reach one another, as behind routers; for a machine that all can reach."`
	MDNS              bool          `name:"mdns" help:"Find members on the local network by multicast DNS." default:"true" negatable:""`
	Zone              uint32        `help:"Failure domain of this machine, for policies."`
	Model             []string      `help:"Model file (GGUF) to serve." placeholder:"[NAME=]PATH"`
	Demo              bool          `help:"Also serve the built-in demonstration model, omx-demo."`
	Adapter           []string      `help:"LoRA adapter for a model of --model; SCALE 1 is as it was trained." placeholder:"MODEL=PATH[@SCALE]"`
	Upstream          []string      `help:"Other server whose models are served too: vLLM, llama-server, LM Studio, Ollama and the like." placeholder:"URL"`
	UpstreamKey       string        `help:"File with the key that upstream servers ask for." type:"path" placeholder:"FILE"`
	UpstreamSlots     int           `help:"Requests that an upstream server gets at once, at most 1024 (default: as many as a llama-server has slots, of others 4)." placeholder:"N"`
	Preload           []string      `help:"Stored model to load from the start." placeholder:"MODEL"`
	KeepAlive         time.Duration `help:"How long a stored model stays loaded when nobody asks; below 0 for good. Those of --model are always kept." default:"5m"`
	KeepConversations bool          `help:"Keep on disk what models remember of conversations while they are unloaded."`
	Memory            byteSize      `help:"Memory that loaded models may take together, as 12GiB or 800MiB (default: nine tenths of what is free)." placeholder:"SIZE"`
	EngineDir         []string      `help:"Folder with the engine libraries (default: ~/.local/state/omx/engine, then /usr/lib/omx)." env:"OMX_ENGINE_DIR" type:"path"`
	EngineOnly        string        `name:"engine-backend" help:"Backend to use where several are installed: cuda, cuda12, vulkan or cpu (default: the first of these)." placeholder:"NAME"`
	Slots             int           `help:"Requests of one model that run at once." default:"4"`
	Queue             int           `help:"Requests of one model that may wait." default:"64"`
	Context           int           `help:"Tokens of one request, prompt and answer." default:"2048"`
	Threads           int           `help:"Threads of one model (default: one per core)."`
	RoutePolicy       string        `help:"Routing policy: a .wasm file, whose new versions take effect at once, a folder, sha256:DIGEST or a built-in name; may end in @sha256:DIGEST." placeholder:"REF"`
	AdmitPolicy       string        `help:"Admission policy, likewise." placeholder:"REF"`
	RouteParam        []string      `help:"Parameter of the routing policy." placeholder:"KEY=VALUE"`
	AdmitParam        []string      `help:"Parameter of the admission policy." placeholder:"KEY=VALUE"`
	ReplicatePolicy   string        `help:"Replication policy, likewise: which node keeps which model. Without it nothing moves; all nodes should have the same." placeholder:"REF"`
	ReplicateParam    []string      `help:"Parameter of the replication policy." placeholder:"KEY=VALUE"`
	Replicas          []string      `help:"Copies of a model that replication keeps: MODEL=LEAST, MODEL=LEAST-MOST or MODEL=pin, which gives none up." placeholder:"MODEL=N"`
	ReplicateRate     byteSize      `help:"Bytes a second that a copy on its way here may take, as 12MiB (default: as fast as it goes)." placeholder:"SIZE"`
	ReplicateAfter    time.Duration `help:"How long a node that has gone may take to come back before its copies are made up for." default:"10m"`
	PolicyTrust       string        `help:"File of public keys; policies must be signed by them." type:"path" placeholder:"FILE"`
	PolicyLarge       bool          `help:"Allow policies of the size that Go makes: 8 MiB of code, 16 MiB of memory."`
	Record            bool          `help:"Record every decision in the data folder, at most 128 MiB, for: omx policy replay."`
	AdmitClosed       bool          `help:"Let nobody in when the admission policy fails (default: the built-in rule decides then)."`
	FirstToken        time.Duration `help:"How long a node may take until its first token before the next is tried." default:"60s"`
	Hedge             bool          `help:"Ask a second node, too, when a first token takes longer than 95 of 100 did; the faster one answers."`
	PeerTimeout       time.Duration `help:"How long a peer may be silent before it counts as gone." default:"3s"`
	JSON              bool          `help:"When ready, print the addresses as one line of JSON."`
	Verbose           bool          `short:"v" help:"Log more."`
}

func (c *serveCmd) Run(e *env) error {
	defer node.EaseGC()()
	level := slog.LevelWarn
	if c.Verbose {
		level = slog.LevelInfo
	}
	places, err := engineDirs(c.EngineDir, c.EngineOnly)
	if err != nil {
		return err
	}
	n, err := node.New(node.Config{
		Name: c.Name, Data: c.Data, Listen: c.Listen, Keys: c.Keys, AllowedHosts: c.AllowHost, Mesh: c.Mesh, Peers: c.Peer, Announce: c.Announce, Relay: c.Relay, NoMDNS: !c.MDNS, Zone: c.Zone,
		Models: c.Model, Demo: c.Demo, EngineDirs: places, Slots: c.Slots, QueueLimit: c.Queue,
		ContextTokens: c.Context, Threads: c.Threads, Adapters: c.Adapter, Upstreams: c.upstreams(), Preload: c.Preload, KeepAlive: c.KeepAlive, KeepConversations: c.KeepConversations, Memory: int64(c.Memory), RoutePolicy: c.RoutePolicy, AdmitPolicy: c.AdmitPolicy, RouteParams: c.RouteParam, AdmitParams: c.AdmitParam,
		ReplicatePolicy: c.ReplicatePolicy, ReplicateParams: c.ReplicateParam, Replicas: c.Replicas, ReplicateRate: int64(c.ReplicateRate), ReplicateAfter: c.ReplicateAfter,
		PolicyTrust: c.PolicyTrust, PolicyLarge: c.PolicyLarge, AdmitClosed: c.AdmitClosed, Record: c.Record,
		FirstToken: c.FirstToken, Hedge: c.Hedge, PeerTimeout: c.PeerTimeout, Version: version,
		Log: slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: level})),
	})
	if err != nil {
		return err
	}
	if err := n.Start(e.ctx); err != nil {
		return errors.Join(err, n.Close())
	}
	c.announce(e, n)
	select {
	case <-e.ctx.Done():
		e.say("stopping")
		return n.Close()
	case err := <-n.Failed():
		return errors.Join(err, n.Close())
	}
}

func (c *serveCmd) upstreams() (all []upstream.Config) {
	for _, url := range c.Upstream {
		all = append(all, upstream.Config{URL: url, KeyFile: c.UpstreamKey, Slots: c.UpstreamSlots})
	}
	return all
}

func (c *serveCmd) announce(e *env, n *node.Node) {
	info := n.Info()
	if c.JSON {
		line, err := json.Marshal(hosts.Ready{ID: info.ID.String(), Name: info.Name, API: n.URL(), Mesh: info.Addrs, PID: n.PID()})
		if err == nil {
			fmt.Fprintf(e.stdout, "%s\n", line)
		}
		return
	}
	e.say("node %s serves at %s", info.Name, n.URL())
	if m, err := n.MeshView(); err == nil {
		e.say("it is a member of mesh %s, role %s; see: omx mesh members", m.Mesh, m.Role)
	} else {
		for _, a := range info.Addrs {
			e.say("other nodes reach it with: --peer %s", a)
		}
	}
	if len(c.Model)+len(c.Upstream) == 0 && !c.Demo {
		e.say("it holds no model and passes requests on; add one with --model PATH or --demo")
	}
}

type idCmd struct {
	Data string `help:"Folder for the node's state (default: ~/.local/state/omx)." type:"path"`
}

func (c *idCmd) Run(e *env) error {
	data := c.Data
	if data == "" {
		var err error
		if data, err = node.DefaultData(); err != nil {
			return err
		}
	}
	id, err := mesh.Identity(filepath.Join(data, node.KeyFile))
	if err != nil {
		return err
	}
	fmt.Fprintln(e.stdout, id)
	return nil
}

type workerCmd struct{}

func (workerCmd) Run(e *env) error {
	defer node.EaseGC()()
	stdin, ok := e.stdin.(*os.File)
	if !ok {
		return errors.New("a worker is started by omx serve, not by hand")
	}
	if code := engine.RunWorker(e.ctx, stdin, e.stdout, e.stderr); code != 0 {
		return fmt.Errorf("worker ended with code %d", code)
	}
	return nil
}

type versionCmd struct{}

func (versionCmd) Run(e *env) error {
	fmt.Fprintln(e.stdout, "omx", version)
	return nil
}
