package vnet

import "time"

// Path is how packets go from one node to another. The zero value: at once, and
// all of them.
type Path struct {
	// Delay is the time one way. Up to Jitter more is drawn for each packet; they
	// arrive in order all the same.
	Delay, Jitter time.Duration
	// Loss and Duplicate are the shares of packets that are lost, or come twice.
	Loss, Duplicate float64
	// Reorder is the share of packets that are held back by half the delay and a
	// millisecond, so that later ones overtake them.
	Reorder float64
	// Burst is further loss, that comes in bursts.
	Burst Burst
}

// Burst is the model of Gilbert and Elliott: with each packet, a burst begins with
// probability Enter and ends with probability Leave; within one, the share Loss is
// lost.
type Burst struct{ Enter, Leave, Loss float64 }

// Access is a node's own line. The zero value has no limits.
type Access struct {
	Up, Down float64 // bits a second, 0: no limit
	Queue    int     // bytes that may wait in each direction; default 1 MiB
}

// span is how long bytes take on a line.
func span(bytes int, rate float64) time.Duration {
	if rate <= 0 {
		return 0
	}
	return time.Duration(float64(bytes+header) * 8 / rate * 1e9)
}

// A purpose keeps draws for one packet apart.
type purpose uint64

const (
	forLoss purpose = iota + 1
	forBurst
	forBurstLoss
	forDuplicate
	forReorder
	forJitter
)

// link is what is known of one direction between two nodes.
type link struct {
	key   uint64
	path  Path
	shape int           // of which Net.Shape path is
	sent  uint64        // packets so far
	last  time.Duration // when the last one arrives that keeps the order
	burst bool
	cut   bool
	Counters
}

// draw is a number in [0, 1) for the packet sent last.
func (l *link) draw(seed uint64, p purpose) float64 {
	h := mix(mix(mix(seed, l.key), l.sent), uint64(p))
	return float64(h>>11) / (1 << 53)
}

func (l *link) hits(seed uint64, p purpose, share float64) bool {
	return share > 0 && l.draw(seed, p) < share
}

// loses decides over the packet sent last.
func (l *link) loses(seed uint64) bool {
	if b := &l.path.Burst; b.Enter > 0 {
		turn := b.Enter
		if l.burst {
			turn = b.Leave
		}
		if l.hits(seed, forBurst, turn) {
			l.burst = !l.burst
		}
		if l.burst && l.hits(seed, forBurstLoss, b.Loss) {
			return true
		}
	}
	return l.hits(seed, forLoss, l.path.Loss)
}

// arrival is when the packet sent last arrives, if it leaves at a moment.
func (l *link) arrival(seed uint64, leaves time.Duration) time.Duration {
	at := leaves + l.path.Delay
	if l.path.Jitter > 0 {
		at += time.Duration(l.draw(seed, forJitter) * float64(l.path.Jitter))
	}
	if l.hits(seed, forReorder, l.path.Reorder) {
		return at + l.path.Delay/2 + time.Millisecond
	}
	l.last = max(l.last, at)
	return l.last
}

// mix is SplitMix64's finisher.
func mix(h, k uint64) uint64 {
	h = (h ^ k) + 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
