package vnet

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"omx/node/nodetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs f with a network of n nodes.
func bubble(t *testing.T, n int, cfg Config, f func(t *testing.T, net *Net, s []*Socket)) {
	t.Helper()
	nodetest.Bubble(t, func(t *testing.T) {
		nw := New(cfg)
		defer nw.Close()
		var socks []*Socket
		for i := range n {
			s, err := nw.Listen(i, 4001)
			if err != nil {
				t.Fatal(err)
			}
			socks = append(socks, s)
		}
		f(t, nw, socks)
	})
}

func addr(i int) *net.UDPAddr { return &net.UDPAddr{IP: IP(i), Port: 4001} }

// number sends the k-th packet.
func number(t *testing.T, s *Socket, to, k int) {
	t.Helper()
	var b [100]byte
	binary.BigEndian.PutUint32(b[:], uint32(k))
	if _, err := s.WriteTo(b[:], addr(to)); err != nil {
		t.Fatal(err)
	}
}

type got struct {
	k    int
	at   time.Duration
	from string
}

// drain reads what comes until nothing has come for a while.
func drain(t *testing.T, s *Socket, quiet time.Duration) (all []got) {
	t.Helper()
	began := time.Now()
	for {
		var b [2000]byte
		s.SetReadDeadline(time.Now().Add(quiet))
		n, from, err := s.ReadFrom(b[:])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return all
		}
		if err != nil || n < 4 {
			t.Fatalf("read %d bytes: %v", n, err)
		}
		all = append(all, got{int(binary.BigEndian.Uint32(b[:])), time.Since(began), from.String()})
	}
}

func numbers(all []got) (ks []int) {
	for _, g := range all {
		ks = append(ks, g.k)
	}
	return ks
}

func constant(p Path) func(int, int) Path { return func(int, int) Path { return p } }

func TestDelayIsExact(t *testing.T) {
	bubble(t, 2, Config{Path: constant(Path{Delay: 25 * time.Millisecond})}, func(t *testing.T, n *Net, s []*Socket) {
		number(t, s[0], 1, 7)
		all := drain(t, s[1], time.Second)
		if len(all) != 1 || all[0] != (got{7, 25 * time.Millisecond, "198.18.0.1:4001"}) {
			t.Errorf("got %+v", all)
		}
	})
}

// What is lost on a link is the same whatever else goes on, and another seed
// loses other packets.
func TestLossFollowsFromSeedAndLink(t *testing.T) {
	arrived := func(seed uint64, noise bool) (ks []int) {
		bubble(t, 3, Config{Seed: seed, Path: constant(Path{Loss: 0.3})}, func(t *testing.T, n *Net, s []*Socket) {
			for k := range 200 {
				number(t, s[0], 1, k)
				if noise && k%3 == 0 {
					number(t, s[2], 1, 1000)
					number(t, s[0], 2, 1000)
				}
				time.Sleep(time.Millisecond)
			}
			ks = slices.DeleteFunc(numbers(drain(t, s[1], time.Second)), func(k int) bool { return k == 1000 })
			if c := n.Link(0, 1); c.Sent != 200 || c.Received != uint64(len(ks)) || c.Lost != 200-c.Received {
				t.Errorf("%d arrived, counted %+v", len(ks), c)
			}
		})
		return ks
	}
	first := arrived(1, false)
	if n := len(first); n < 115 || n > 165 {
		t.Errorf("%d of 200 arrived at a loss of 0.3", n)
	}
	if !slices.Equal(first, arrived(1, true)) {
		t.Error("the traffic of others changes what is lost")
	}
	if slices.Equal(first, arrived(2, false)) {
		t.Error("the seed changes nothing")
	}
}

func TestJitterKeepsTheOrderAndReorderDoesNot(t *testing.T) {
	for _, reorder := range []float64{0, 0.1} {
		p := Path{Delay: 10 * time.Millisecond, Jitter: 10 * time.Millisecond, Reorder: reorder}
		bubble(t, 2, Config{Path: constant(p)}, func(t *testing.T, n *Net, s []*Socket) {
			for k := range 200 {
				number(t, s[0], 1, k)
				time.Sleep(time.Millisecond)
			}
			all := drain(t, s[1], time.Second)
			if len(all) != 200 || slices.IsSorted(numbers(all)) != (reorder == 0) {
				t.Errorf("reorder %v: %d arrived, in order: %t", reorder, len(all), slices.IsSorted(numbers(all)))
			}
		})
	}
}

// Bursts lose packets in rows: at the same share, fewer and longer rows than
// single losses make.
func TestBursts(t *testing.T) {
	rows := func(p Path) (rows, lost int) {
		bubble(t, 2, Config{Path: constant(p)}, func(t *testing.T, n *Net, s []*Socket) {
			seen := make([]bool, 5000)
			for k := range seen {
				number(t, s[0], 1, k)
				if k%200 == 199 {
					for _, g := range drain(t, s[1], time.Millisecond) {
						seen[g.k] = true
					}
				}
			}
			for k := range seen {
				if !seen[k] {
					lost++
					if k == 0 || seen[k-1] {
						rows++
					}
				}
			}
		})
		return rows, lost
	}
	r1, l1 := rows(Path{Loss: 0.1})
	r2, l2 := rows(Path{Burst: Burst{Enter: 0.0125, Leave: 0.1, Loss: 0.9}}) // a ninth of the time, so 0.1
	if l1 < 400 || l1 > 600 || l2 < 350 || l2 > 650 || l1 > 2*r1 || l2 < 4*r2 {
		t.Errorf("single losses: %d in %d rows; bursts: %d in %d rows", l1, r1, l2, r2)
	}
}

// An access of 1 Mbit/s lets 128 bytes through in 1.024 ms each, and loses what
// its queue has no room for.
func TestAccess(t *testing.T) {
	for name, a := range map[string]Access{"up": {Up: 1e6, Queue: 2560 - header}, "down": {Down: 1e6, Queue: 2560 - header}} {
		cfg := Config{Access: func(i int) Access {
			if (i == 0) == (name == "up") {
				return a
			}
			return Access{}
		}}
		bubble(t, 2, cfg, func(t *testing.T, n *Net, s []*Socket) {
			for k := range 50 {
				number(t, s[0], 1, k)
			}
			all := drain(t, s[1], time.Second)
			if len(all) != 21 || all[20].at != 21*1024*time.Microsecond || n.Total().Queue != 29 {
				t.Errorf("%s: %d arrived, the last at %v, %d had no room", name, len(all), all[len(all)-1].at, n.Total().Queue)
			}
		})
	}
}

func TestCuts(t *testing.T) {
	bubble(t, 4, Config{}, func(t *testing.T, n *Net, s []*Socket) {
		reach := func(from, to int) bool {
			number(t, s[from], to, from)
			return len(drain(t, s[to], time.Millisecond)) == 1
		}
		n.Split(0, 1)
		n.Split(2)
		for _, c := range []struct {
			from, to int
			want     bool
		}{{0, 1, true}, {1, 0, true}, {0, 2, false}, {2, 0, false}, {2, 3, false}, {1, 3, false}} {
			if reach(c.from, c.to) != c.want {
				t.Errorf("from %d to %d: %t", c.from, c.to, !c.want)
			}
		}
		n.Heal()
		n.Cut(0, 3)
		if reach(0, 3) || !reach(3, 0) || !reach(0, 2) {
			t.Error("a cut of one way does more or less")
		}
		n.Heal()
		if !reach(0, 3) {
			t.Error("it does not heal")
		}
	})
}

func TestPauseHoldsBothWays(t *testing.T) {
	bubble(t, 2, Config{Path: constant(Path{Delay: time.Millisecond})}, func(t *testing.T, n *Net, s []*Socket) {
		n.Pause(1)
		number(t, s[0], 1, 1)
		number(t, s[1], 0, 2)
		if a, b := drain(t, s[0], time.Second), drain(t, s[1], time.Second); len(a)+len(b) != 0 {
			t.Errorf("through a pause came %v and %v", a, b)
		}
		n.Resume(1)
		if a, b := drain(t, s[0], time.Second), drain(t, s[1], time.Second); len(a) != 1 || len(b) != 1 || a[0].at != time.Millisecond {
			t.Errorf("after the pause came %v and %v", a, b)
		}
	})
}

func TestKilledNodeIsSilent(t *testing.T) {
	bubble(t, 2, Config{Path: constant(Path{Delay: time.Millisecond})}, func(t *testing.T, n *Net, s []*Socket) {
		number(t, s[0], 1, 1)
		n.Kill(1)
		number(t, s[1], 0, 2) // it does not know
		again, err := n.Listen(1, 4001)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := drain(t, s[0], time.Second), drain(t, again, time.Second); len(a)+len(b) != 0 {
			t.Errorf("from the killed node came %v, to its successor %v", a, b)
		}
		number(t, s[0], 1, 3)
		if b := drain(t, again, time.Second); len(b) != 1 {
			t.Errorf("the successor got %v", b)
		}
		s[1].Close() // of the dead must not close the living
		number(t, s[0], 1, 4)
		if b := drain(t, again, time.Second); len(b) != 1 {
			t.Errorf("the successor got %v", b)
		}
	})
}

func TestRebind(t *testing.T) {
	bubble(t, 2, Config{}, func(t *testing.T, n *Net, s []*Socket) {
		n.Rebind(1)
		number(t, s[1], 0, 1)
		a := drain(t, s[0], time.Second)
		number(t, s[0], 1, 2)
		if len(a) != 1 || a[0].from != "198.18.0.2:4002" || len(drain(t, s[1], time.Second)) != 0 {
			t.Errorf("got %v, or something at the old address", a)
		}
		if _, err := s[0].WriteTo([]byte("1234"), &net.UDPAddr{IP: IP(1), Port: 4002}); err != nil || len(drain(t, s[1], time.Second)) != 1 {
			t.Errorf("nothing at the new address: %v", err)
		}
	})
}

func TestSocketEnds(t *testing.T) {
	bubble(t, 1, Config{}, func(t *testing.T, n *Net, s []*Socket) {
		time.AfterFunc(time.Second, func() { s[0].Close() })
		if open := n.Open(); !slices.Equal(open, []int{0}) {
			t.Errorf("open are %v", open)
		}
		if _, _, err := s[0].ReadFrom(make([]byte, 10)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read of a closed socket: %v", err)
		}
		if _, err := s[0].WriteTo(make([]byte, MaxPacket+1), addr(0)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write to a closed socket: %v", err)
		}
		if open := n.Open(); len(open) != 0 {
			t.Errorf("open are %v", open)
		}
		again, err := n.Listen(0, 4001)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Listen(0, 4001); err == nil {
			t.Error("two sockets of one node")
		}
		if _, err := again.WriteTo(make([]byte, MaxPacket+1), addr(0)); !errors.Is(err, syscall.EMSGSIZE) {
			t.Errorf("a packet too long: %v", err)
		}
		if _, err := again.WriteTo([]byte("x"), &net.UDPAddr{IP: net.ParseIP("2001:db8::1"), Port: 1}); err == nil {
			t.Error("an address of another kind of network is taken")
		}
	})
}

// Whatever happens, each packet that was sent is accounted for once.
func TestNothingIsUncounted(t *testing.T) {
	for seed := range uint64(20) {
		p := Path{Delay: 5 * time.Millisecond, Jitter: 5 * time.Millisecond, Loss: 0.1, Duplicate: 0.1, Reorder: 0.1, Burst: Burst{0.01, 0.1, 0.8}}
		cfg := Config{Seed: seed, Path: constant(p), Access: func(int) Access { return Access{Up: 1e6, Down: 1e6, Queue: 4096} },
			NAT: func(i int) NAT { return NAT(i % 3) }}
		bubble(t, 4, cfg, func(t *testing.T, n *Net, s []*Socket) {
			r := rand.New(rand.NewPCG(seed, 1))
			paused := false
			for range 2000 {
				i, j := r.IntN(4), r.IntN(4)
				switch r.IntN(100) {
				case 0:
					n.Split(i)
				case 1:
					n.Cut(i, j)
				case 2:
					n.Heal()
				case 3:
					n.Pause(3)
					paused = true
				case 4:
					n.Resume(3)
					paused = false
				case 5:
					n.Rebind(2)
				case 6:
					n.Kill(1)
					var err error
					if s[1], err = n.Listen(1, 4001); err != nil {
						t.Fatal(err)
					}
				default:
					if i != 3 || !paused { // what a paused node holds is neither sent nor lost
						number(t, s[i], j, 1)
					}
				}
				time.Sleep(time.Duration(r.IntN(2000)) * time.Microsecond)
			}
			n.Resume(3)
			time.Sleep(time.Second)
			if c := n.Total(); c.Sent+c.Duplicated != c.Received+c.Lost+c.Cut+c.Queue+c.Gone+c.Shut+c.Overrun || c.Shut == 0 || c.Received == 0 || c.Gone == 0 {
				t.Errorf("seed %d: %+v", seed, c)
			}
		})
	}
}

// The network needs no bubble.
func TestRealTime(t *testing.T) {
	n := New(Config{Path: constant(Path{Delay: time.Millisecond})})
	defer n.Close()
	a, err := n.Listen(0, 4001)
	if err != nil {
		t.Fatal(err)
	}
	b, err := n.Listen(1, 4001)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	number(t, a, 1, 5)
	if k, _, err := b.ReadFrom(make([]byte, 200)); err != nil || k != 100 || time.Since(began) < time.Millisecond {
		t.Errorf("%d bytes after %v: %v", k, time.Since(began), err)
	}
}

// What a packet costs on its way, many at once.
func BenchmarkPacket(b *testing.B) {
	n := New(Config{Seed: 1, Path: constant(Path{Loss: 0.01, Jitter: time.Nanosecond})})
	defer n.Close()
	a, err := n.Listen(0, 4001)
	if err != nil {
		b.Fatal(err)
	}
	s, err := n.Listen(1, 4001)
	if err != nil {
		b.Fatal(err)
	}
	buf, to, read := make([]byte, 1200), addr(1), uint64(0)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := a.WriteTo(buf, to); err != nil {
			b.Fatal(err)
		}
		for i%100 == 99 && n.Of(0).Sent-n.Of(0).Lost > n.Of(1).Received {
			runtime.Gosched()
		}
		for range n.Of(1).Received - read {
			if _, _, err := s.ReadFrom(buf); err != nil {
				b.Fatal(err)
			}
			read++
		}
	}
}
