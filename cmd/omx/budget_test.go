package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"omx/node/nodetest"
	"omx/testnet/hosts"
)

// Budgets of what is shipped. Measured 2026-11: 22.7 MB for amd64, 21.2 MB
// for arm64; 22 MiB resident; 0.1 to 0.6 s beside a node and a load of ten.
const (
	maxBinary = 32 << 20        // bytes, stripped
	maxIdle   = 60 << 10        // KiB resident, a node without a model
	maxDoctor = 2 * time.Second // omx doctor: somebody waits for it at night
)

func TestBudgets(t *testing.T) {
	dir := t.TempDir()
	for _, arch := range []string{"amd64", "arm64"} {
		out := filepath.Join(dir, "omx-"+arch)
		build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=-buildvcs=false")
		if b, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build for linux/%s: %v\n%s", arch, err, b)
		}
		st, err := os.Stat(out)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("linux/%s: %.1f MB", arch, float64(st.Size())/1e6)
		if st.Size() > maxBinary {
			t.Errorf("the linux/%s program has %d bytes, the budget is %d", arch, st.Size(), maxBinary)
		}
	}
	net, err := hosts.Up(t.Context(), hosts.Config{Exe: filepath.Join(dir, "omx-"+runtime.GOARCH), Dir: t.TempDir(), Nodes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := net.Down(); err != nil {
			t.Error(err)
		}
	}()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", net.Hosts[0].PID))
	if err != nil {
		t.Fatal(err)
	}
	kib := 0
	for _, line := range strings.Split(string(status), "\n") {
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			break
		}
	}
	t.Logf("idle node: %d KiB resident", kib)
	if kib == 0 || kib > maxIdle {
		t.Errorf("an idle node takes %d KiB, the budget is %d", kib, maxIdle)
	}
	took := time.Hour
	for range 3 { // others use this machine, too
		began := time.Now()
		look := exec.Command(filepath.Join(dir, "omx-"+runtime.GOARCH), "doctor", "--data", net.Hosts[0].Data, "--api", net.Hosts[0].API, "--engine-dir", nodetest.EngineDirs(t)[0])
		if out, err := look.CombinedOutput(); err != nil {
			t.Fatalf("omx doctor: %v\n%s", err, out)
		}
		took = min(took, time.Since(began))
	}
	t.Logf("omx doctor: %v", took)
	if took > maxDoctor {
		t.Errorf("omx doctor takes %v, the budget is %v", took, maxDoctor)
	}
}
