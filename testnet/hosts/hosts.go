package hosts

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"omx/node/mesh"
)

// MaxNodes is how many processes make sense on one machine.
const MaxNodes = 32

const (
	startTimeout = 30 * time.Second // for one process to say that it is ready
	stopTimeout  = 10 * time.Second // for one process to end by itself
	stderrTail   = 4 << 10          // kept of a process's talk, for errors
)

// Config says what to start.
type Config struct {
	// Exe is the omx program.
	Exe string
	// Dir gets one folder per node; it must exist.
	Dir string
	// Nodes is how many, 1 to MaxNodes.
	Nodes int
	// Holders is how many of them, from the last one back, get the demonstration
	// model; the first ones are gateways. 0 to Nodes.
	Holders int
	// Args go to every "omx serve".
	Args []string
	// Talk gets what the processes say on stderr, each line with the node's name;
	// nil keeps only the end of it, for errors.
	Talk io.Writer
}

// Ready is the line a node prints when it serves.
type Ready struct {
	ID   string   `json:"id"`
	Name string   `json:"name"`
	API  string   `json:"api"`  // base URL
	Mesh []string `json:"mesh"` // addresses with the identity, for --peer
	PID  int      `json:"pid"`
}

// Host is one running process.
type Host struct {
	Ready
	Data   string // folder of its state
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process is gone
	err    error         // how it ended; read after exited
	tail   *tail
}

// Net is a running testnet.
type Net struct{ Hosts []*Host }

// Up starts the nodes one after the other and returns when all of them serve.
// On an error nothing is left running.
func Up(ctx context.Context, cfg Config) (*Net, error) {
	if cfg.Nodes < 1 || cfg.Nodes > MaxNodes || cfg.Holders < 0 || cfg.Holders > cfg.Nodes {
		return nil, fmt.Errorf("start testnet: %d nodes with %d holders; 1 to %d nodes, and not more holders than nodes", cfg.Nodes, cfg.Holders, MaxNodes)
	}
	ids := make([]string, cfg.Nodes)
	for i := range ids {
		id, err := identity(cfg.dir(i))
		if err != nil {
			return nil, err
		}
		ids[i] = id
	}
	n := &Net{}
	for i := range ids {
		h, err := cfg.start(ctx, i, n.Hosts, ids[i+1:])
		if err != nil {
			return nil, errors.Join(err, n.Down())
		}
		n.Hosts = append(n.Hosts, h)
	}
	return n, nil
}

func (c *Config) dir(i int) string { return filepath.Join(c.Dir, fmt.Sprintf("node-%d", i+1)) }

// identity makes a node's key ahead of its first start, so that the others can
// be told whom to let in.
func identity(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("create node folder: %w", err)
	}
	id, err := mesh.Identity(filepath.Join(dir, "identity.key"))
	if err != nil {
		return "", fmt.Errorf("create node identity: %w", err)
	}
	return id.String(), nil
}

func (c *Config) start(ctx context.Context, i int, before []*Host, after []string) (*Host, error) {
	name := fmt.Sprintf("node-%d", i+1)
	// One thread a model: workers that share cores spin at each other's barriers
	// and get hundreds of times slower than alone.
	args := []string{"serve", "--json", "--name", name, "--data", c.dir(i), "--listen", "127.0.0.1:0", "--threads", "1"}
	for _, h := range before {
		for _, a := range h.Mesh {
			args = append(args, "--peer", a)
		}
	}
	for _, id := range after {
		args = append(args, "--peer", "/p2p/"+id)
	}
	if i >= c.Nodes-c.Holders {
		args = append(args, "--demo")
	}
	h := &Host{Data: c.dir(i), cmd: exec.Command(c.Exe, append(args, c.Args...)...), exited: make(chan struct{}), tail: &tail{name: name, to: c.Talk}}
	h.cmd.Stderr = h.tail
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is ours to pass on
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := h.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	ready := make(chan error, 1)
	go func() {
		r := bufio.NewReader(out)
		line, err := r.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, &h.Ready)
		}
		ready <- err
		_, _ = io.Copy(io.Discard, r)
		h.err = h.cmd.Wait()
		close(h.exited)
	}()
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case err = <-ready:
	case <-timeout.C:
		err = fmt.Errorf("not ready after %v", startTimeout)
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		_ = h.Kill()
		return nil, fmt.Errorf("start %s: %w: %s", name, err, h.tail.String())
	}
	return h, nil
}

// Exited is closed when the process is gone.
func (h *Host) Exited() <-chan struct{} { return h.exited }

// Signal sends sig to the process.
func (h *Host) Signal(sig os.Signal) error { return h.cmd.Process.Signal(sig) }

// Kill ends the process at once, as a power cut would.
func (h *Host) Kill() error {
	err := h.cmd.Process.Kill()
	<-h.exited
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Stop asks the process to end and waits for it.
func (h *Host) Stop() error {
	if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", h.Name, err)
	}
	select {
	case <-h.exited:
		if h.err != nil {
			return fmt.Errorf("%s ended with %w: %s", h.Name, h.err, h.tail.String())
		}
		return nil
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("%s (process %s) did not end in %v and was killed", h.Name, strconv.Itoa(h.PID), stopTimeout), h.Kill())
	}
}

// Down stops all nodes that still run.
func (n *Net) Down() error {
	errs := make(chan error)
	for _, h := range n.Hosts {
		go func() { errs <- h.stopIfRunning() }()
	}
	var all error
	for range n.Hosts {
		all = errors.Join(all, <-errs)
	}
	return all
}

func (h *Host) stopIfRunning() error {
	select {
	case <-h.exited:
		return nil // it was ended on purpose, or its end was reported already
	default:
		return h.Stop()
	}
}
