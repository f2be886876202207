package mesh

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"omx/node/catalog"
)

// A record is what a node says of itself, packed; n are numbers of variable length,
// t texts with such a length in front:
//
//	seq 8 | flags 1 | x 4 | y 4 | height 4 | error 4 | zone n | memory free n | total n | disk free n |
//	name t | addrs n, t each | fetching n, t each | (length n, placement)* | 0
//	placement: model t | digest 0 or 32 in length n | bytes n | state 1 |
//	           queued n | running n | slots n | pending n | age n |
//	           prefill n | decode n | batch n | age n | context n | prefixes n, 4 each
//
// Every moment is its age in µs plus one, and 0 still means never: two machines'
// clocks need not agree. Whose record it is, is not in it: the connection says so,
// or the signature. What follows in a record or a placement is of a later version.
const (
	flagDraining = 1
	ownSuffix    = "/p2p/" // the identity behind it does not travel
)

// form is how much of a record is told.
type form uint8

const (
	whole form = iota // to who is connected
	brief             // to be passed on: without addresses and prefixes, at most maxSigned
)

func encodeRecord(b []byte, info *catalog.NodeInfo, coord Coordinate, now time.Time, f form) []byte {
	began := len(b)
	b = binary.BigEndian.AppendUint64(b, info.Seq)
	flags := byte(0)
	if info.Draining {
		flags |= flagDraining
	}
	b = append(b, flags)
	for _, v := range []float32{coord.Coord.X, coord.Coord.Y, coord.Coord.Height, float32(coord.Error)} {
		b = appendFloat(b, v)
	}
	for _, v := range []uint32{info.Zone, info.MemFreeMiB, info.MemTotalMiB, info.DiskFreeMiB} {
		b = binary.AppendUvarint(b, uint64(v))
	}
	b = appendText(b, info.Name)
	addrs := info.Addrs
	if f == brief {
		addrs = nil
	}
	b = binary.AppendUvarint(b, uint64(len(addrs)))
	for _, a := range addrs {
		if bare, ok := strings.CutSuffix(a, ownSuffix+info.ID.String()); ok {
			a = bare + ownSuffix
		}
		b = appendText(b, a)
	}
	b = binary.AppendUvarint(b, uint64(len(info.Fetching)))
	for _, m := range info.Fetching {
		b = appendText(b, m.String())
	}
	var room [512]byte
	add := func(p *catalog.Placement) {
		raw := appendPlacement(room[:0], p, now, f)
		if f == whole || len(b)-began+binary.MaxVarintLen16+len(raw)+1 <= maxBrief {
			b = append(binary.AppendUvarint(b, uint64(len(raw))), raw...)
		}
	}
	for i := range info.Placements {
		if p := &info.Placements[i]; f == whole || p.State == catalog.Loaded {
			add(p)
		}
	}
	for i := range info.Placements { // what is not loaded is left out first
		if p := &info.Placements[i]; f == brief && p.State != catalog.Loaded {
			add(p)
		}
	}
	return append(b, 0)
}

func appendPlacement(b []byte, p *catalog.Placement, now time.Time, f form) []byte {
	b = appendText(b, p.Model.String())
	digest, err := hex.DecodeString(p.Digest)
	if err != nil || len(digest) != digestLen {
		digest = nil
	}
	b = append(binary.AppendUvarint(b, uint64(len(digest))), digest...)
	b = binary.AppendUvarint(b, uint64(max(p.Bytes, 0)))
	b = append(b, byte(p.State))
	l, s := &p.Load, &p.Speed
	for _, v := range []uint64{uint64(l.Queued), uint64(l.Running), uint64(l.Slots), uint64(l.Pending), ageOf(l.At, now),
		uint64(s.PrefillNS), uint64(s.DecodeUS), uint64(s.Batch), ageOf(s.At, now), uint64(p.Context)} {
		b = binary.AppendUvarint(b, v)
	}
	prefixes := p.Prefixes
	if f == brief {
		prefixes = nil
	}
	b = binary.AppendUvarint(b, uint64(len(prefixes)))
	for _, h := range prefixes {
		b = binary.BigEndian.AppendUint32(b, h)
	}
	return b
}

// ageOf is how a moment travels.
func ageOf(at catalog.Micros, now time.Time) uint64 {
	if at == 0 {
		return 0
	}
	return uint64(min(max(micros(now)-at, 0), catalog.Micros(maxAge.Microseconds()))) + 1
}

// since is the moment of an age, by this node's clock.
func since(age uint64, now time.Time) catalog.Micros {
	if age == 0 {
		return 0
	}
	return max(micros(now)-catalog.Micros(min(age-1, uint64(maxAge.Microseconds()))), 1)
}

// checkRecordSize refuses a record that might one day not fit into a frame, its
// ages at their longest: a heartbeat must never fail.
func checkRecordSize(info *catalog.NodeInfo) error {
	if n := len(encodeRecord(nil, info, Coordinate{}, time.UnixMicro(math.MaxInt64), whole)); n > MaxFrame {
		return fmt.Errorf("encode record: %d bytes, the limit is %d; this node holds too many models", n, MaxFrame)
	}
	return nil
}

// recordSeq is the number of a packed record; 0 if it is none.
func recordSeq(b []byte) uint64 {
	if len(b) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// decodeRecord reads what a node has said of itself at now.
func decodeRecord(b []byte, from catalog.NodeID, now time.Time) (catalog.NodeInfo, Coordinate, error) {
	u := unpacker{b: b}
	info := catalog.NodeInfo{ID: from, Seq: recordSeq(u.bytes(8)), At: micros(now)}
	info.Draining = u.byte()&flagDraining != 0
	info.Coord = catalog.Coord{X: u.float(), Y: u.float(), Height: u.float()}
	sure := u.float()
	info.Zone, info.MemFreeMiB, info.MemTotalMiB, info.DiskFreeMiB = u.uint32(), u.uint32(), u.uint32(), u.uint32()
	info.Name = u.text(catalog.MaxName)
	for range u.number(catalog.MaxAddrs) {
		a := u.text(maxAddrText)
		if strings.HasSuffix(a, ownSuffix) {
			a += from.String()
		}
		info.Addrs = append(info.Addrs, a)
	}
	for range u.number(catalog.MaxFetching) {
		m, err := catalog.ParseModelID(u.text(maxModelText))
		if err != nil {
			u.bad = true
			break
		}
		info.Fetching = append(info.Fetching, m)
	}
	for n := u.number(MaxFrame); n > 0; n = u.number(MaxFrame) {
		p, ok := decodePlacement(u.bytes(int(n)), now)
		if !ok || len(info.Placements) >= catalog.MaxPlacements {
			u.bad = true
			break
		}
		info.Placements = append(info.Placements, p)
	}
	switch {
	case u.bad:
		return catalog.NodeInfo{}, Coordinate{}, fmt.Errorf("%w: record of %d bytes", ErrProtocol, len(b))
	case !validCoord(info.Coord):
		return catalog.NodeInfo{}, Coordinate{}, fmt.Errorf("%w: impossible coordinate", ErrProtocol)
	}
	if err := info.Validate(); err != nil {
		return catalog.NodeInfo{}, Coordinate{}, fmt.Errorf("%w: %v", ErrProtocol, err)
	}
	return info, Coordinate{Coord: info.Coord, Error: clampError(float64(sure))}, nil
}

func decodePlacement(b []byte, now time.Time) (p catalog.Placement, ok bool) {
	u := unpacker{b: b}
	model, err := catalog.ParseModelID(u.text(maxModelText))
	digest := u.bytes(int(u.number(digestLen)))
	if err != nil || len(digest) != 0 && len(digest) != digestLen {
		return p, false
	}
	p.Model, p.Digest = model, hex.EncodeToString(digest)
	p.Bytes = int64(u.number(math.MaxInt64))
	p.State = catalog.State(u.byte())
	p.Load = catalog.Load{Queued: u.uint32(), Running: u.uint32(), Slots: u.uint32(), Pending: u.uint32(), At: since(u.number(math.MaxInt64), now)}
	p.Speed = catalog.Speed{PrefillNS: u.uint32(), DecodeUS: u.uint32(), Batch: u.uint32(), At: since(u.number(math.MaxInt64), now)}
	p.Context = u.uint32()
	n := int(u.number(catalog.MaxPrefixes))
	if raw := u.bytes(4 * n); n > 0 && raw != nil {
		p.Prefixes = make(catalog.Prefixes, n)
		for i := range p.Prefixes {
			p.Prefixes[i] = binary.BigEndian.Uint32(raw[4*i:])
			u.bad = u.bad || i > 0 && p.Prefixes[i] <= p.Prefixes[i-1] // they are searched
		}
	}
	return p, !u.bad
}

// sameFacts reports that b need not be told to somebody who knows a before the
// next heartbeat.
func sameFacts(a, b *catalog.NodeInfo) bool {
	if a.Name != b.Name || a.Zone != b.Zone || a.Draining != b.Draining || len(a.Placements) != len(b.Placements) || !slices.Equal(a.Fetching, b.Fetching) {
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
