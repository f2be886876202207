package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Recovery is what happens when a worker is killed in mid-answer while another
// model of the node answers, too.
type Recovery struct {
	Kills     int           `json:"kills"`         // each on a node of its own
	Back      time.Duration `json:"back_ns"`       // from the kill to the next token of its model: the longest
	Up        bool          `json:"up"`            // the node answered right after every kill
	GapBefore time.Duration `json:"gap_before_ns"` // the longest between two tokens of the other model before a kill
	GapAfter  time.Duration `json:"gap_after_ns"`  // and as long after it
	Broken    int           `json:"broken"`        // answers of the other model that broke off
}

const recoveryTimeout = 30 * time.Second

// recoveries kills so many workers. Where there is no /proc it does nothing.
func recoveries(ctx context.Context, opt Options, model string, n counts, progress io.Writer) (*Recovery, error) {
	if runtime.GOOS != "linux" {
		return nil, nil
	}
	other := filepath.Join(filepath.Dir(model), "other.gguf")
	data, err := os.ReadFile(model)
	if err == nil {
		err = os.WriteFile(other, data, 0o600)
	}
	if err != nil {
		return nil, err
	}
	r := &Recovery{Kills: n.kills, Up: true}
	for i := range n.kills {
		fmt.Fprintf(progress, "loss of a worker: %d of %d\n", i+1, n.kills)
		if err := r.kill(ctx, opt, model, other, n.window); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// kill starts a node with both models and kills the first one's worker.
func (r *Recovery) kill(ctx context.Context, opt Options, model, other string, window time.Duration) (err error) {
	s, err := serve(ctx, opt, model, other)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	worker, err := workerOf(model)
	if err != nil {
		return err
	}
	lost, steady := listen(ctx, s.addr(), s.models[0].ID), listen(ctx, s.addr(), s.models[1].ID)
	defer lost.stop()
	defer steady.stop()
	_, err1 := lost.first(time.Time{})
	_, err2 := steady.first(time.Time{})
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	time.Sleep(window)

	killed := time.Now()
	if err := worker.Kill(); err != nil {
		return fmt.Errorf("kill a worker: %w", err)
	}
	r.Up = r.Up && up(ctx, s.URL())
	back, err := lost.first(killed)
	if err != nil {
		return fmt.Errorf("after its worker was killed: %w", err)
	}
	time.Sleep(time.Until(killed.Add(window)))
	end := time.Now()
	steady.stop()
	select {
	case <-s.Failed():
		r.Up = false
	default:
	}
	r.Back = max(r.Back, back.Sub(killed))
	r.GapBefore = max(r.GapBefore, steady.longest(killed.Add(-window), killed))
	r.GapAfter = max(r.GapAfter, steady.longest(killed, end))
	r.Broken += steady.broken
	return nil
}

// up asks the node itself.
func up(ctx context.Context, url string) bool {
	client := http.Client{Timeout: recoveryTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v1/models", nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// maxStat bounds what is read of a process's state: one line.
const maxStat = 4 << 10

// workerOf finds the child of this process that has
// the model's file in memory.
func workerOf(model string) (*os.Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("look for a worker: %w", err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || parentOf(pid) != os.Getpid() {
			continue
		}
		maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
		if err == nil && bytes.Contains(maps, []byte(model+"\n")) {
			return os.FindProcess(pid)
		}
	}
	return nil, fmt.Errorf("look for a worker: none has %s in memory", model)
}

// parentOf is 0 where it is not known.
func parentOf(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil || len(stat) > maxStat {
		return 0 // it has ended
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name before may hold anything
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return 0
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return parent
}
