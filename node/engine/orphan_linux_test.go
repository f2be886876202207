package engine

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"omx/node/catalog"
	"omx/node/nodetest"
)

// orphanParent serves a model, has it decode without end and prints the worker's
// process number.
func orphanParent() {
	id, _ := catalog.ParseModelID("endless")
	l, err := NewLocal(LocalConfig{Models: []ModelFile{{ID: id, Path: os.Args[2], Preload: true}}, LibraryDirs: os.Args[3:], Slots: 2, Threads: 1})
	if err == nil {
		err = l.Start(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	printed := false
	for { // again when the context is full
		p := &Prompt{Model: id, Messages: []Message{{Role: "user", Content: "Hello"}}}
		_, err := l.Generate(context.Background(), p, func(Token) error {
			if !printed {
				fmt.Println(l.models[0].proc.cmd.Process.Pid)
			}
			printed = true
			return nil
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// A node that is killed leaves no worker behind, not even one at work.
func TestNoOrphan(t *testing.T) {
	cmd := exec.Command(os.Args[0], append([]string{"parent", endlessModel(t)}, nodetest.EngineDirs(t)...)...)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	pid, e := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || e != nil || !alive(pid) {
		t.Fatalf("%q: no worker (%v)", line, err)
	}
	began := time.Now()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	eventually(t, "the worker is gone", func() bool { return !alive(pid) })
	if d := time.Since(began); d > time.Second {
		t.Errorf("the worker lived on for %v", d)
	} else {
		t.Logf("gone after %v", d)
	}
}

// alive says whether a process runs; one that only waits to be reaped does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}
