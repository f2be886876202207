package virtual

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"omx/testnet/virtual/vnet"
)

// Kind is what goes wrong.
type Kind string

const (
	Loss    Kind = "loss"    // of packets, everywhere
	Bursts  Kind = "bursts"  // of loss, everywhere
	Mess    Kind = "mess"    // jitter, duplicates and packets out of order, everywhere
	Slow    Kind = "slow"    // a node is farther away
	Split   Kind = "split"   // some nodes and the others do not reach one another
	OneWay  Kind = "one-way" // nothing goes from one node to another
	Pause   Kind = "pause"   // a node stands still
	Rebind  Kind = "rebind"  // a node has another address in the eyes of the others
	Restart Kind = "restart" // a node vanishes, and comes back at the end
	Death   Kind = "death"   // a node vanishes for good
)

// Fault is one thing that goes wrong for a while.
type Fault struct {
	Kind Kind
	At   time.Duration // since the scenario began
	For  time.Duration // 0 for those that do not end
	Node []int         // whom it concerns; none: all links
	Size float64       // share, or seconds of delay
}

// End is when the network is as it should be again.
func (f *Fault) End() time.Duration { return f.At + f.For }

func (f Fault) String() string { return fmt.Sprintf("%8.3f s  %s", f.At.Seconds(), f.what()) }

func (f *Fault) what() string {
	s := string(f.Kind)
	switch {
	case len(f.Node) > 4:
		s += fmt.Sprintf(" of %d nodes", len(f.Node))
	case len(f.Node) > 0:
		s += " of"
		for _, n := range f.Node {
			s += fmt.Sprintf(" node-%d", n+1)
		}
	}
	if f.Size > 0 {
		s += fmt.Sprintf(", %.3g", f.Size)
	}
	if f.For > 0 {
		s += fmt.Sprintf(", for %.3f s", f.For.Seconds())
	}
	return s
}

// Scenario is a fleet, what it is asked and what goes wrong meanwhile.
type Scenario struct {
	Seed    uint64
	Nodes   int
	Holders int
	RTT     time.Duration
	Loss    float64 // of packets, all the time
	Faults  []Fault // by At
	Asked   []Asked // by At
}

// Asked is a request.
type Asked struct {
	At  time.Duration
	Via int
	Question
}

// End is when the last fault has ended.
func (s *Scenario) End() (end time.Duration) {
	for i := range s.Faults {
		end = max(end, s.Faults[i].End())
	}
	return end
}

func (s *Scenario) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d nodes, %d of them with the model, RTT %v, loss %g, %d requests\n", s.Seed, s.Nodes, s.Holders, s.RTT, s.Loss, len(s.Asked))
	for _, f := range s.Faults {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

const (
	faultsWithin = 10 * time.Second // of the scenario's beginning
	maxFaults    = 4
	shortFault   = 6 * time.Second // most of them: about what it takes to notice one
	longFault    = time.Minute     // until waits between dials are as long as they get
)

// Draw makes a scenario of 3 to 6 nodes from a seed.
func Draw(seed uint64) *Scenario {
	r := rand.New(rand.NewPCG(seed, 0x0e7))
	s := &Scenario{Seed: seed, Nodes: 3 + r.IntN(4), RTT: time.Duration(2+r.IntN(120)) * time.Millisecond}
	s.Holders = 2 + r.IntN(s.Nodes-1)
	s.draw(r, 1+r.IntN(maxFaults), 20+r.IntN(20))
	return s
}

// Draw draws faults and requests for a fleet of at least two nodes.
func (s *Scenario) Draw(faults, requests int) {
	s.draw(rand.New(rand.NewPCG(s.Seed, 0x0e7)), faults, requests)
}

func (s *Scenario) draw(r *rand.Rand, faults, requests int) {
	taken := make([]bool, s.Nodes) // each node is stopped, paused or moved once at most
	moved := false
	for range faults {
		if f, ok := drawFault(r, s.Nodes, taken, &moved); ok {
			s.Faults = append(s.Faults, f)
		}
	}
	slices.SortFunc(s.Faults, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
	end := max(s.End(), time.Second)
	for i := range requests {
		s.Asked = append(s.Asked, Asked{At: time.Duration(r.Int64N(int64(end))), Via: r.IntN(s.Nodes),
			Question: Question{Prompt: fmt.Sprintf("request %d of %d", i, s.Seed), MaxTokens: r.IntN(80)}})
	}
	slices.SortFunc(s.Asked, func(a, b Asked) int { return cmp.Compare(a.At, b.At) })
}

// drawFault draws one; false if it does not go with those before it.
func drawFault(r *rand.Rand, nodes int, taken []bool, moved *bool) (Fault, bool) {
	kinds := []Kind{Loss, Bursts, Mess, Slow, Split, OneWay, Pause, Rebind, Restart, Restart, Death}
	f := Fault{Kind: kinds[r.IntN(len(kinds))], At: time.Duration(r.Int64N(int64(faultsWithin))), For: 100*time.Millisecond + time.Duration(r.Int64N(int64(shortFault)))}
	if r.IntN(8) == 0 {
		f.For += time.Duration(r.Int64N(int64(longFault)))
	}
	a, b := r.IntN(nodes), r.IntN(nodes-1)
	if b >= a {
		b++
	}
	size := r.Float64()
	switch f.Kind {
	case Loss:
		f.Size = 0.01 + 0.29*size*size
	case Bursts, Mess:
		f.Size = 0.01 + 0.09*size
	case Slow:
		f.Node, f.Size = []int{a}, 0.01+0.4*size
	case Split:
		f.Node = r.Perm(nodes)[:1+r.IntN(nodes-1)]
	case OneWay:
		f.Node = []int{a, b}
	case Rebind:
		// Two nodes with new addresses would not find one another: peers are listed
		// with their addresses.
		if *moved {
			return f, false
		}
		*moved, f.For = true, 0
		fallthrough
	default:
		if taken[a] {
			return f, false
		}
		taken[a], f.Node = true, []int{a}
		if f.Kind == Death {
			f.For = 0
		}
	}
	return f, true
}

// path is how packets go while some faults are there.
func (s *Scenario) path(there []*Fault) func(from, to int) vnet.Path {
	return func(from, to int) vnet.Path {
		p := vnet.Path{Delay: s.RTT / 2, Loss: s.Loss}
		for _, f := range there {
			switch f.Kind {
			case Loss:
				p.Loss = max(p.Loss, f.Size)
			case Bursts:
				p.Burst = vnet.Burst{Enter: f.Size, Leave: 0.1, Loss: 0.8}
			case Mess:
				p.Jitter, p.Duplicate, p.Reorder = max(p.Jitter, s.RTT/2), f.Size, f.Size
			case Slow:
				if from == f.Node[0] || to == f.Node[0] {
					p.Delay += time.Duration(f.Size / 2 * float64(time.Second))
				}
			}
		}
		return p
	}
}
