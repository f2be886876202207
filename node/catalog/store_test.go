package catalog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

func openStore(t *testing.T, dir string) (*Store, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	s, err := OpenStore(dir, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, &log
}

// record makes node i: a place drawn from r, one to three models.
func record(i int, r *rand.Rand) NodeInfo {
	id, _ := ParseNodeID(fmt.Sprintf("node%05d", i))
	info := NodeInfo{ID: id, Name: fmt.Sprintf("box %d", i), Seq: uint64(i), Addrs: []string{"/ip4/127.0.0.1/udp/1/quic-v1"}, Zone: uint32(i % 5),
		Coord: Coord{X: r.Float32()*200 - 100, Y: r.Float32()*200 - 100, Height: r.Float32() * 20}}
	for m := range 1 + i%3 {
		model, _ := ParseModelID(fmt.Sprintf("family/model-%d:q4", m))
		info.Placements = append(info.Placements, Placement{Model: model, Digest: strings.Repeat("ab", 32), Bytes: int64(m+1) << 30, State: Loaded,
			Load: Load{Slots: 4, Running: 1, At: 5}, Speed: Speed{PrefillNS: 1000, DecodeUS: 2000, At: 6}})
	}
	return info
}

func putRecords(t *testing.T, s *Store, n int) []NodeInfo {
	t.Helper()
	r := rand.New(rand.NewPCG(1, uint64(n)))
	all := make([]NodeInfo, n)
	for i := range all {
		all[i] = record(i, r)
		if err := s.Put(all[i]); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func nodesOf(t *testing.T, s *Store) []NodeInfo {
	t.Helper()
	got, err := s.Nodes()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestStoreReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "catalog")
	s, log := openStore(t, dir)
	want := putRecords(t, s, 40)
	if err := s.Delete(want[7].ID); err != nil {
		t.Fatal(err)
	}
	want = slices.Delete(want, 7, 8)
	want[3].Placements = nil // a record replaces the one before, placements and all
	if err := s.Put(want[3]); err != nil {
		t.Fatal(err)
	}
	for range 2 { // as put, then as read back
		if got := nodesOf(t, s); !reflect.DeepEqual(got, want) {
			t.Fatalf("nodes = %+v, want %+v", got, want)
		}
		checkModels(t, s, want)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Nodes(); err == nil {
			t.Error("a closed store answers")
		}
		s, log = openStore(t, dir)
	}
	if log.Len() != 0 {
		t.Errorf("a clean store was opened with words: %s", log)
	}
}

// checkModels compares Models and Placements with a walk over the records.
func checkModels(t *testing.T, s *Store, nodes []NodeInfo) {
	t.Helper()
	want := map[ModelID][]Place{}
	for _, n := range nodes {
		for _, p := range n.Placements {
			want[p.Model] = append(want[p.Model], Place{n.ID, p})
		}
	}
	models, err := s.Models()
	if err != nil || len(models) != len(want) {
		t.Fatalf("%d models, %v; want %d", len(models), err, len(want))
	}
	for _, m := range models {
		places, err := s.Placements(m.Model)
		if err != nil || !reflect.DeepEqual(places, want[m.Model]) {
			t.Errorf("placements of %s = %+v, %v; want %+v", m.Model, places, err, want[m.Model])
		}
		for i, p := range places {
			if m.Holders[i] != p.Node || m.Digest != p.Digest || m.Bytes != p.Bytes {
				t.Errorf("model %+v does not agree with placement %+v", m, p)
			}
		}
	}
}

// A placement of "a" must not be listed for "a:b", nor one of another file
// under the same name as the same model.
func TestStoreModelNames(t *testing.T) {
	s, _ := openStore(t, t.TempDir())
	r := rand.New(rand.NewPCG(1, 1))
	one, two := record(1, r), record(2, r)
	a, _ := ParseModelID("a")
	ab, _ := ParseModelID("a:b")
	one.Placements = []Placement{{Model: a, Digest: "11"}, {Model: ab, Digest: "22"}}
	two.Placements = []Placement{{Model: a, Digest: "33"}}
	for _, n := range []NodeInfo{one, two} {
		if err := s.Put(n); err != nil {
			t.Fatal(err)
		}
	}
	if p, _ := s.Placements(a); len(p) != 2 {
		t.Errorf("%d placements of a, want 2", len(p))
	}
	models, _ := s.Models()
	want := []ModelInfo{{a, "11", 0, []NodeID{one.ID}}, {a, "33", 0, []NodeID{two.ID}}, {ab, "22", 0, []NodeID{one.ID}}}
	if !reflect.DeepEqual(models, want) {
		t.Errorf("models = %+v, want %+v", models, want)
	}
}

func TestStoreRefuses(t *testing.T) {
	s, _ := openStore(t, t.TempDir())
	big := record(1, rand.New(rand.NewPCG(1, 1)))
	big.Addrs = []string{strings.Repeat("x", maxStoredValue)}
	nan := record(2, rand.New(rand.NewPCG(1, 1)))
	nan.Coord.X /= 0 * nan.Coord.Y
	below := record(3, rand.New(rand.NewPCG(1, 1)))
	below.Coord.Height = -1
	for name, info := range map[string]NodeInfo{"no id": {}, "too big": big, "infinite place": nan, "negative height": below} {
		if err := s.Put(info); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if s.nodes != 0 || s.bytes != 0 || len(nodesOf(t, s)) != 0 {
		t.Errorf("refused records count: %d nodes, %d bytes", s.nodes, s.bytes)
	}
}

func TestStoreFull(t *testing.T) {
	s, _ := openStore(t, t.TempDir())
	r := rand.New(rand.NewPCG(1, 1))
	bare := func(i int) NodeInfo { n := record(i, r); n.Placements = nil; return n }
	for i := range maxStored {
		if err := s.Put(bare(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Put(bare(maxStored)); err == nil {
		t.Error("one node too many was taken")
	}
	if err := s.Put(bare(5)); err != nil {
		t.Errorf("a known node was refused in a full store: %v", err)
	}
	if err := s.Delete(bare(6).ID); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(bare(maxStored)); err != nil {
		t.Errorf("refused though there is room again: %v", err)
	}
}

// The count of bytes is what bounds the file, so it must be the file's size.
func TestStoreCountsBytes(t *testing.T) {
	dir := t.TempDir()
	s, _ := openStore(t, dir)
	all := putRecords(t, s, 30)
	putRecords(t, s, 20)
	s.Delete(all[11].ID)
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(filepath.Join(dir, dataFile))
	if err != nil || fi.Size() != int64(s.bytes) {
		t.Errorf("file has %d bytes (%v), counted %d", fi.Size(), err, s.bytes)
	}
}

func TestStoreModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
	dir := filepath.Join(t.TempDir(), "catalog")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s, _ := openStore(t, dir)
	putRecords(t, s, 3)
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{".": 0o700, dataFile: 0o600, sumFile: 0o600, lockFile: 0o600} {
		fi, err := os.Stat(filepath.Join(dir, name))
		if err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v; want %v", name, fi.Mode().Perm(), err, want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	left, _ := os.ReadDir(dir)
	if len(left) != 2 {
		t.Errorf("after a clean close there are %v, want the data and its checksum only", left)
	}
}

func TestStoreLock(t *testing.T) {
	dir := t.TempDir()
	s, _ := openStore(t, dir)
	_, err := OpenStore(dir, slog.New(slog.DiscardHandler))
	if !errors.Is(err, ErrStoreLocked) || !strings.Contains(err.Error(), "stop the other omx") {
		t.Fatalf("second opener got %v, want ErrStoreLocked and what to do", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openStore(t, dir)
}

// Closing removes the lock file while others may have it open; two must never
// hold the folder at once.
func TestStoreLockRace(t *testing.T) {
	dir := t.TempDir()
	if err := makeStoreDir(dir); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // held by whoever has the lock; TryLock finds a second one
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 300 {
				l, err := lockStore(dir)
				if errors.Is(err, ErrStoreLocked) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if !mu.TryLock() {
					t.Error("two hold the lock")
					return
				}
				mu.Unlock()
				if err := l.release(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

const childEnv = "OMX_TEST_STORE_DIR"

// TestStoreKilled kills a process that has the store open: the lock is free at
// once, what was saved is there and what was not is gone.
func TestStoreKilled(t *testing.T) {
	if dir := os.Getenv(childEnv); dir != "" {
		storeChild(t, dir)
	}
	if runtime.GOOS == "windows" {
		t.Skip("the lock file stays behind without flock")
	}
	dir := t.TempDir()
	killed := func(save string) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestStoreKilled$")
		cmd.Env = append(os.Environ(), childEnv+"="+dir, "OMX_TEST_STORE_SAVE="+save)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil || line != "ready\n" {
			t.Errorf("child said %q, %v", line, err)
		}
		cmd.Process.Kill()
		cmd.Wait()
	}
	killed("")
	s, log := openStore(t, dir)
	if n := len(nodesOf(t, s)); n != 0 || log.Len() != 0 {
		t.Errorf("%d nodes after a kill without Save, log %q; want none and nothing", n, log)
	}
	s.Close()
	killed("yes")
	s, log = openStore(t, dir)
	if n := len(nodesOf(t, s)); n != 10 || log.Len() != 0 {
		t.Errorf("%d nodes after a kill after Save, log %q; want 10 and nothing", n, log)
	}
	putRecords(t, s, 20) // and it works
}

func storeChild(t *testing.T, dir string) {
	s, err := OpenStore(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	putRecords(t, s, 10)
	if os.Getenv("OMX_TEST_STORE_SAVE") != "" {
		if err := s.Save(); err != nil {
			t.Fatal(err)
		}
		s.Delete(record(1, rand.New(rand.NewPCG(1, 1))).ID) // not saved
	}
	fmt.Println("ready")
	bufio.NewReader(os.Stdin).ReadByte() // until killed
	os.Exit(1)
}

// Near must agree with sorting all nodes by distance.
func TestStoreNear(t *testing.T) {
	s, _ := openStore(t, t.TempDir())
	all := putRecords(t, s, 300)
	twin := all[17]
	twin.ID, _ = ParseNodeID("aTwin")
	if err := s.Put(twin); err != nil {
		t.Fatal(err)
	}
	all = append(all, twin)
	r := rand.New(rand.NewPCG(2, 2))
	for round := range 300 {
		from := Coord{X: r.Float32()*300 - 150, Y: r.Float32()*300 - 150, Height: r.Float32() * 30}
		if round%3 == 0 {
			from = all[r.IntN(len(all))].Coord
		}
		k := 1 + r.IntN(20)
		slices.SortFunc(all, func(a, b NodeInfo) int {
			if d, e := from.Distance(a.Coord), from.Distance(b.Coord); d != e {
				return map[bool]int{true: -1, false: 1}[d < e]
			}
			return strings.Compare(a.ID.String(), b.ID.String())
		})
		got, err := s.Near(from, k)
		if err != nil || len(got) != k {
			t.Fatalf("%d near nodes, %v; want %d", len(got), err, k)
		}
		for i := range got {
			if got[i] != all[i].ID {
				t.Fatalf("from %+v: near %d is %s, want %s", from, i, got[i], all[i].ID)
			}
		}
	}
	if got, err := s.Near(Coord{}, 1000); err != nil || len(got) != len(all) {
		t.Errorf("asked for more than there are: %d, %v; want %d", len(got), err, len(all))
	}
}

func BenchmarkStoreNear(b *testing.B) {
	s, err := OpenStore(b.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 1000 {
		if err := s.Put(record(i, r)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		s.Near(Coord{X: r.Float32() * 100}, 10)
	}
}
