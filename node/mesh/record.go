package mesh

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"omx/node/catalog"
)

// wireRecord is a record on its way. In it, every At is the figure's age in µs
// plus one, and 0 still means never: two machines' clocks need not agree.
type wireRecord struct {
	Node       catalog.NodeInfo `json:"node"`
	CoordError float64          `json:"coord_error"`
}

func encodeRecord(info catalog.NodeInfo, coord Coordinate, now time.Time) ([]byte, error) {
	r := wireRecord{Node: info, CoordError: coord.Error}
	r.Node.Coord = coord.Coord
	r.Node.At = 0
	r.Node.Placements = append([]catalog.Placement(nil), info.Placements...)
	shiftTimes(&r.Node, func(at catalog.Micros) catalog.Micros {
		return min(max(micros(now)-at, 0), catalog.Micros(maxAge.Microseconds())) + 1
	})
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	if len(b) > MaxFrame {
		return nil, fmt.Errorf("encode record: %d bytes, the limit is %d; this node holds too many models", len(b), MaxFrame)
	}
	return b, nil
}

// checkRecordSize refuses a record that might one day not fit into a frame, its
// ages at their longest: a heartbeat must never fail.
func checkRecordSize(info catalog.NodeInfo) error {
	const long = -math.Pi / 1e5 // as text
	place := catalog.Coord{X: long, Y: long, Height: long}
	_, err := encodeRecord(info, Coordinate{Coord: place, Error: long}, time.UnixMicro(math.MaxInt64))
	return err
}

// decodeRecord accepts only what the peer says of itself.
func decodeRecord(b []byte, from catalog.NodeID, now time.Time) (catalog.NodeInfo, Coordinate, error) {
	var r wireRecord
	if err := json.Unmarshal(b, &r); err != nil {
		return catalog.NodeInfo{}, Coordinate{}, fmt.Errorf("%w: record: %v", ErrProtocol, err)
	}
	if r.Node.ID != from {
		return catalog.NodeInfo{}, Coordinate{}, fmt.Errorf("%w: record of another node", ErrProtocol)
	}
	if err := r.Node.Validate(); err != nil {
		return catalog.NodeInfo{}, Coordinate{}, fmt.Errorf("%w: %v", ErrProtocol, err)
	}
	if !validCoord(r.Node.Coord) {
		return catalog.NodeInfo{}, Coordinate{}, fmt.Errorf("%w: impossible coordinate", ErrProtocol)
	}
	shiftTimes(&r.Node, func(age catalog.Micros) catalog.Micros {
		age = min(max(age-1, 0), catalog.Micros(maxAge.Microseconds()))
		return max(micros(now)-age, 1)
	})
	r.Node.At = micros(now)
	return r.Node, Coordinate{Coord: r.Node.Coord, Error: clampError(r.CoordError)}, nil
}

// shiftTimes applies f to every moment that is not "never".
func shiftTimes(n *catalog.NodeInfo, f func(catalog.Micros) catalog.Micros) {
	for i := range n.Placements {
		p := &n.Placements[i]
		for _, at := range []*catalog.Micros{&p.Load.At, &p.Speed.At} {
			if *at != 0 {
				*at = f(*at)
			}
		}
	}
}

// sameFacts reports that b need not be told to somebody who knows a before the
// next heartbeat.
func sameFacts(a, b *catalog.NodeInfo) bool {
	if a.Name != b.Name || a.Zone != b.Zone || a.Draining != b.Draining || len(a.Placements) != len(b.Placements) {
		return false
	}
	for i := range a.Placements {
		p, q := &a.Placements[i], &b.Placements[i]
		if p.Model != q.Model || p.State != q.State || p.Load.Queued != q.Load.Queued || p.Load.Running != q.Load.Running || p.Load.Slots != q.Load.Slots {
			return false
		}
	}
	return true
}

func micros(t time.Time) catalog.Micros { return catalog.Micros(t.UnixMicro()) }
