package fit

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"omx/node/engine/demo"
	"omx/node/engine/frame"
	"omx/node/engine/gguf"
)

// dropPages says that the process has started and then, each time it is told to,
// gives back the pages of model files: what is needed of them comes again.
func dropPages(orders, done *os.File) {
	_, _ = done.Write([]byte{0})
	go func() {
		for b := make([]byte, 1); ; {
			if n, _ := orders.Read(b); n == 0 {
				return
			}
			maps, _ := os.ReadFile("/proc/self/maps")
			for line := range bytes.Lines(maps) {
				var from, to uintptr
				if !bytes.HasSuffix(bytes.TrimSpace(line), []byte(".gguf")) {
					continue
				}
				if _, err := fmt.Sscanf(string(line), "%x-%x", &from, &to); err == nil {
					_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
				}
			}
			_, _ = done.Write(b)
		}
	}()
}

// loaded is a real worker with a model.
type loaded struct {
	t            *testing.T
	pid          int
	in           *os.File
	out          frame.Reader
	orders, done *os.File
	before       int64 // bytes resident before anything was loaded
	requests     uint32
}

func startWorker(t *testing.T, path string, r Room) *loaded {
	t.Helper()
	var files [4][2]*os.File // stdin, stdout, orders, done: each to read and to write
	for i := range files {
		var err error
		if files[i][0], files[i][1], err = os.Pipe(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { files[i][0].Close(); files[i][1].Close() })
	}
	cmd := exec.Command(os.Args[0], "worker")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = files[0][0], files[1][1], os.Stderr
	cmd.ExtraFiles = []*os.File{files[2][0], files[3][1]}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		files[0][1].Close()
		files[0][0].Close()
		_ = cmd.Wait()
	})
	files[1][1].Close()
	files[3][1].Close()
	l := &loaded{t: t, pid: cmd.Process.Pid, in: files[0][1], out: *frame.NewReader(bufio.NewReader(files[1][0])), orders: files[2][1], done: files[3][0]}
	l.wait()
	l.before = l.resident()
	l.send(frame.Load, 0, frame.LoadConfig{Model: path, Library: libraryDir(t), Slots: r.Slots, Context: r.Context, Threads: 1})
	f, err := l.out.Next()
	for err == nil && f.Kind == frame.Progress {
		f, err = l.out.Next()
	}
	if err != nil || f.Kind != frame.Ready {
		t.Fatalf("the worker does not load: %v %s", err, f.Payload)
	}
	return l
}

func (l *loaded) wait() {
	if _, err := l.done.Read(make([]byte, 1)); err != nil {
		l.t.Fatal(err)
	}
}

func (l *loaded) send(kind frame.Kind, request uint32, v any) {
	l.t.Helper()
	f, err := frame.Make(kind, request, v)
	if err == nil {
		_, err = l.in.Write(frame.Append(nil, f))
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// answer has each slot answer a prompt and returns how many tokens they were.
func (l *loaded) answer(prompts ...string) (tokens int) {
	l.t.Helper()
	for _, p := range prompts {
		l.requests++
		l.send(frame.Submit, l.requests, frame.Job{Raw: p, MaxTokens: 8, Scope: uint64(l.requests)})
	}
	for ended := 0; ended < len(prompts); {
		f, err := l.out.Next()
		if err != nil {
			l.t.Fatal(err)
		}
		var r frame.Result
		if f.Kind == frame.End {
			ended++
			if err := f.Decode(&r); err != nil || r.Code != frame.OK {
				l.t.Fatalf("not answered: %v %s", err, f.Payload)
			}
			tokens += r.Prompt
		}
	}
	return tokens
}

func (l *loaded) resident() int64 {
	l.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", l.pid))
	if err != nil {
		l.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		l.t.Fatal(err)
	}
	return kib << 10
}

// A real worker takes what was estimated: never more, and the estimate is not much
// more. What is resident is more where llama.cpp holds weights in another order: the
// pages of the file that it has read once and needs no more are not counted.
func TestWorkerTakesWhatIsEstimated(t *testing.T) {
	path, err := demo.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	made := func(kind gguf.Type) string {
		return shape{vocab: 16000, width: 512, layers: 8, heads: 8, kvHeads: 4, ff: 1408, kind: kind}.write(t)
	}
	tests := []struct{ name, path, long string }{
		{"demonstration model", path, strings.Repeat("what is a house and who are you, the same again? ", 80)},
		{"40 M parameters, Q8_0", made(gguf.Q8_0), strings.Repeat("a", 1100)},
		{"40 M parameters, F16", made(gguf.F16), strings.Repeat("a", 1100)},
	}
	room := Room{Slots: 4, Context: 2048, KV: gguf.F16}
	const mib = 1 << 20
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, err := gguf.Check(tt.path)
			if err != nil {
				t.Fatal(err)
			}
			n := Estimate(h, room)
			l := startWorker(t, tt.path, room)
			tokens := l.answer(tt.long, "one", "two", "three") // the cache is resident as a whole
			if tokens < room.Context/2 {
				t.Errorf("%d tokens fill too little of a slot", tokens)
			}
			all := l.resident() - l.before
			if _, err := l.orders.Write([]byte{1}); err != nil {
				t.Fatal(err)
			}
			l.wait()
			l.answer("four", "five", "six", "seven")
			needed := l.resident() - l.before
			t.Logf("%s parameters: %d MiB resident, %d needed, %d estimated (weights %d, cache %d, compute %d, process %d)", h.ParameterSize(),
				all/mib, needed/mib, n.Total()/mib, n.Weights/mib, n.KV/mib, n.Compute/mib, n.Process/mib)
			if n.Total() < needed || float64(n.Total()) > 1.35*float64(needed)+32*mib {
				t.Errorf("%d MiB are needed, the estimate is %d", needed/mib, n.Total()/mib)
			}
			if most := n.Total() + n.Mapped; all > most {
				t.Errorf("%d MiB are resident, the most that is expected are %d", all/mib, most/mib)
			}
		})
	}
}
