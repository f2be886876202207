package node

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"omx/node/catalog"
	"omx/node/decide"
	"omx/node/engine"
	"omx/node/engine/upstream"
)

// Config is all a node needs to run. The zero value of a field means its
// default.
type Config struct {
	// Name is how people call this machine; default the host name. At most 64
	// bytes.
	Name string
	// Data is the folder for the identity, the catalog and the built-in model;
	// default is omx below the user's state folder. One node at a time uses it.
	Data string
	// Listen is the host:port of the HTTP API; default 127.0.0.1:11435. Port 0
	// takes a free one.
	Listen string
	// Keys is the file of API keys, as package keys has it; default "keys" in Data.
	// If it is there, or comes later, requests must have a key.
	Keys string
	// AllowedHosts are further names under which clients may address the API,
	// beside IP addresses and localhost.
	AllowedHosts []string
	// Mesh is the multiaddr of the UDP port for other nodes; default
	// /ip4/127.0.0.1/udp/0/quic-v1, which only this machine reaches.
	Mesh string
	// Peers are the nodes that may talk with this one: /ip4/…/udp/…/quic-v1/p2p/ID
	// to dial it, or /p2p/ID for one that dials us. Nobody else is let in. In a mesh
	// with a key, see MeshFolder, they are addresses to begin with, also HOST:PORT.
	Peers []string
	// Announce are addresses at which other members reach this node, beside those of
	// its interfaces: HOST:PORT or multiaddrs.
	Announce []string
	// Relay has this node pass packets on between members that cannot reach one another.
	Relay bool
	// NoMDNS has members on the local network not look for one another.
	NoMDNS bool
	// Zone is the failure domain of this machine, for policies; default 0.
	Zone uint32
	// Models are model files to serve, as PATH or NAME=PATH.
	Models []string
	// Demo also serves the built-in demonstration model.
	Demo bool
	// EngineDirs are searched in order for the engine libraries.
	EngineDirs []string
	// Exe is the program started as "Exe worker" for each model; default this
	// program.
	Exe string
	// Engine answers in place of models on this machine, for simulations; the
	// node closes it. Models, Demo and the fields of one model are then unused.
	Engine engine.Engine
	// Slots is how many requests of one model run at once; default 4, at most 64.
	Slots int
	// QueueLimit is how many more may wait per model; default 64.
	QueueLimit int
	// ContextTokens is the room of one request, prompt and answer; default 2048.
	ContextTokens int
	// Threads of one model; default one per core.
	Threads int
	// Adapters are LoRA adapters for models of Models, as MODEL=PATH or
	// MODEL=PATH@SCALE.
	Adapters []string
	// Memory is how many bytes the models that are loaded may take together; default
	// nine tenths of what is free when the node starts.
	Memory int64
	// KeepAlive is how long a stored model stays loaded when nobody asks; default 5
	// minutes, below 0 for good. Those of Models are loaded from the start and kept.
	KeepAlive time.Duration
	// KeepConversations keeps on disk, in the data folder, what stored models remember
	// of conversations while they are unloaded, so that they need not be read again.
	KeepConversations bool
	// Upstreams are other servers whose models this node serves as its own.
	Upstreams []upstream.Config
	// Preload names stored models to be loaded from the start.
	Preload []string
	// RoutePolicy and AdmitPolicy are policies, as package policy reads
	// references; a change of a file takes effect within a second. Default: what
	// decided before, else the default built-in policies.
	RoutePolicy string
	AdmitPolicy string
	// RouteParams and AdmitParams are parameters for these, key=value each.
	RouteParams []string
	AdmitParams []string
	// ReplicatePolicy says which node keeps which model, and ReplicateParams are its
	// parameters; default: nothing moves, and this node takes no copies. Where it decides,
	// all nodes that are to hold models should have the same.
	ReplicatePolicy string
	ReplicateParams []string
	// Replicas is how many copies of models are wanted, as ParseReplicas reads it.
	Replicas []string
	// ReplicateRate bounds a copy on its way here, in bytes a second; 0: as fast as it
	// goes.
	ReplicateRate int64
	// ReplicateAfter is how long a node that has gone may take to come back before its
	// copies are made up for; default 10 minutes.
	ReplicateAfter time.Duration
	// PolicyTrust is a file of public keys: policies must be signed by them.
	// Default: none need be.
	PolicyTrust string
	// PolicyLarge allows policies the size of those that Go makes.
	PolicyLarge bool
	// Record writes every decision to the folder "decisions" of Data, at most 128
	// MiB, for: omx policy replay. Default: only the last ones are kept in memory.
	Record bool
	// AdmitClosed sheds requests when the admission policy fails. Default: the
	// built-in rule decides then.
	AdmitClosed bool
	// FirstToken is how long one node may take until its first token before the
	// next is tried; default 60 s.
	FirstToken time.Duration
	// Hedge asks a second node, too, when a first token takes longer than 95 of 100
	// did; whichever is first answers. Default: only when the first one fails.
	Hedge bool
	// PeerTimeout is how long a peer may be silent before it counts as gone;
	// default 3 s.
	PeerTimeout time.Duration
	// Lab sets the node up as one of many in a program that tests them; nil: as the
	// one node of a machine.
	Lab *Lab
	// listenUDP opens the mesh's sockets; tests break them.
	listenUDP func(network string, laddr *net.UDPAddr) (net.PacketConn, error)
	// replicateEvery is how often the replication policy is asked, and keepPromise how long
	// a node keeps a copy that another counts on; tests are in a hurry.
	replicateEvery, keepPromise time.Duration
	// Version is shown by the API.
	Version string
	// Log gets what an operator should know; default discards.
	Log *slog.Logger
}

// Lab is a node's place in a network that does not exist. Such a node has no HTTP
// API, reads neither changed files nor the machine's resources, and so needs
// nothing of the system but files.
type Lab struct {
	// ListenUDP and SourceIP are as mesh.Config has them.
	ListenUDP func(network string, laddr *net.UDPAddr) (net.PacketConn, error)
	SourceIP  net.IP
	// Key is the identity; nil: as any node has it, in a file.
	Key ed25519.PrivateKey
	// MaxConns is how many connections with other nodes are kept; 0: as any node does.
	MaxConns int
	// Load loads policies in place of a host of its own; nil: as any node does.
	Load decide.Loader
}

// WithDefaults fills in what is not set.
func (c Config) WithDefaults() (Config, error) {
	if c.Name == "" {
		c.Name, _ = os.Hostname()
		c.Name = c.Name[:min(len(c.Name), catalog.MaxName)]
	}
	if c.Data == "" {
		dir, err := DefaultData()
		if err != nil {
			return c, err
		}
		c.Data = dir
	}
	def(&c.Listen, "127.0.0.1:11435")
	def(&c.Mesh, "/ip4/127.0.0.1/udp/0/quic-v1")
	def(&c.Slots, 4)
	def(&c.QueueLimit, 64)
	def(&c.ContextTokens, 2048)
	def(&c.FirstToken, 60*time.Second)
	def(&c.PeerTimeout, 3*time.Second)
	def(&c.ReplicateAfter, 10*time.Minute)
	def(&c.replicateEvery, 5*time.Second)
	def(&c.keepPromise, time.Minute)
	def(&c.Version, "dev")
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, c.validate()
}

func def[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// validate lists all that is wrong at once.
func (c *Config) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(len(c.Name) <= catalog.MaxName, "name %q is longer than %d bytes; choose a shorter one with --name", c.Name, catalog.MaxName)
	check(c.Slots >= 1 && c.Slots <= 64, "slots must be between 1 and 64, not %d", c.Slots)
	check(c.QueueLimit >= 1 && c.QueueLimit <= 4096, "queue limit must be between 1 and 4096, not %d", c.QueueLimit)
	check(c.ContextTokens >= 128 && c.ContextTokens <= 1<<20, "context must be between 128 and 1048576 tokens, not %d", c.ContextTokens)
	check(c.Threads >= 0 && c.Threads <= 1024, "threads must be between 1 and 1024, not %d", c.Threads)
	check(c.FirstToken > 0, "the first-token timeout must be above 0, not %v", c.FirstToken)
	check(c.PeerTimeout >= 100*time.Millisecond, "the peer timeout must be at least 100ms, not %v", c.PeerTimeout)
	check(c.Memory >= 0, "memory must not be below 0, not %d", c.Memory)
	check(c.ReplicateRate >= 0, "the rate of copies must not be below 0, not %d", c.ReplicateRate)
	check(c.ReplicateAfter > 0, "the wait for nodes to come back must be above 0, not %v", c.ReplicateAfter)
	if _, err := ParseReplicas(c.Replicas); err != nil {
		errs = append(errs, err)
	}
	for _, m := range c.Models {
		if _, _, err := SplitModel(m); err != nil {
			errs = append(errs, err)
		}
	}
	for i := range c.Upstreams {
		if err := c.Upstreams[i].Validate(); err != nil {
			errs = append(errs, err)
		}
	}
	for _, a := range c.Adapters {
		if _, _, err := splitAdapter(a); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// SplitModel reads PATH or NAME=PATH; without a name, the file's own does, less
// its extension.
func SplitModel(s string) (catalog.ModelID, string, error) {
	name, path, named := strings.Cut(s, "=")
	if !named {
		path = s
		name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	id, err := catalog.ParseModelID(name)
	if err != nil {
		return id, path, fmt.Errorf("model %q: %w; name it with --model NAME=PATH", s, err)
	}
	return id, path, nil
}

// splitAdapter reads MODEL=PATH or MODEL=PATH@SCALE.
func splitAdapter(s string) (model catalog.ModelID, a engine.Adapter, err error) {
	name, path, ok := strings.Cut(s, "=")
	if model, err = catalog.ParseModelID(name); err != nil || !ok || path == "" {
		return model, a, fmt.Errorf("adapter %q: name it with --adapter MODEL=PATH or MODEL=PATH@SCALE", s)
	}
	a = engine.Adapter{Path: path, Scale: 1}
	if at := strings.LastIndexByte(path, '@'); at > 0 {
		if scale, err := strconv.ParseFloat(path[at+1:], 32); err == nil && scale >= -maxScale && scale <= maxScale {
			a = engine.Adapter{Path: path[:at], Scale: float32(scale)}
		}
	}
	return model, a, nil
}

// maxScale is how many times as strong as it was trained an adapter may be.
const maxScale = 100

// DefaultData is where a node keeps its state: $XDG_STATE_HOME/omx, or what
// systemd or the home folder give.
func DefaultData() (string, error) {
	for _, v := range []string{"STATE_DIRECTORY", "XDG_STATE_HOME"} {
		if dir := os.Getenv(v); filepath.IsAbs(dir) {
			if v == "XDG_STATE_HOME" {
				dir = filepath.Join(dir, "omx")
			}
			return dir, nil
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find a place for the node's state: %w; name one with --data", err)
	}
	return filepath.Join(home, ".local", "state", "omx"), nil
}
