package mesh

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"omx/node/catalog"
	"omx/node/nodetest"
)

// Ages survive clocks that disagree by years, and "never" stays "never".
func TestRecordAges(t *testing.T) {
	theirs, ours := time.Unix(5, 0), time.Unix(2_000_000_000, 0)
	id := poolID(t, 1)
	info := catalog.NodeInfo{ID: id, Seq: 7, Placements: []catalog.Placement{
		{Model: nodetest.Model(t, "fresh"), Load: catalog.Load{At: micros(theirs)}},
		{Model: nodetest.Model(t, "old"), Load: catalog.Load{At: micros(theirs) - 2_000_000}, Speed: catalog.Speed{At: micros(theirs) - 1}},
		{Model: nodetest.Model(t, "future"), Load: catalog.Load{At: micros(theirs) + 9_000_000}},
		{Model: nodetest.Model(t, "never")},
	}}
	where := Coordinate{Coord: catalog.Coord{X: 1, Y: -2, Height: 3}, Error: 0.5}
	b := encodeRecord(nil, &info, where, theirs, whole)
	if info.Placements[0].Load.At != micros(theirs) {
		t.Fatal("encoding changed the record")
	}
	got, place, err := decodeRecord(b, id, ours)
	if err != nil {
		t.Fatal(err)
	}
	if place != where || got.Coord != where.Coord || got.Seq != 7 || got.At != micros(ours) {
		t.Errorf("got %+v at %+v", got, place)
	}
	for i, want := range []struct{ load, speed catalog.Micros }{
		{micros(ours), 0}, {micros(ours) - 2_000_000, micros(ours) - 1}, {micros(ours), 0}, {0, 0},
	} {
		if p := got.Placements[i]; p.Load.At != want.load || p.Speed.At != want.speed {
			t.Errorf("%s: %d and %d, want %d and %d", p.Model, p.Load.At, p.Speed.At, want.load, want.speed)
		}
	}
}

// All that is said arrives; what is passed on lacks addresses and prefixes.
func TestRecordIsWhole(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	in := typical(t, 16)
	in.At, in.Draining, in.Zone = micros(now), true, 7
	in.Placements[1].State = catalog.OnDisk
	in.Fetching = []catalog.ModelID{nodetest.Model(t, "coming:1b")}
	in.Addrs = append(in.Addrs, "/ip4/192.0.2.1/udp/1/quic-v1") // without an identity
	got, _, err := decodeRecord(encodeRecord(nil, &in, Coordinate{Coord: in.Coord}, now, whole), in.ID, now)
	if err != nil || !reflect.DeepEqual(got, in) {
		t.Errorf("%+v became\n%+v, %v", in, got, err)
	}
	got, _, err = decodeRecord(encodeRecord(nil, &in, Coordinate{Coord: in.Coord}, now, brief), in.ID, now)
	in.Addrs = nil
	for i := range in.Placements {
		in.Placements[i].Prefixes = nil
	}
	if err != nil || !reflect.DeepEqual(got, in) {
		t.Errorf("%+v became, to be passed on,\n%+v, %v", in, got, err)
	}
}

// typical is what a node with two models says of itself.
func typical(t testing.TB, prefixes uint32) catalog.NodeInfo {
	id := poolID(t, 1)
	now := micros(time.Unix(1_800_000_000, 0))
	info := catalog.NodeInfo{ID: id, Name: "workshop-pc-3", Seq: uint64(now), Coord: catalog.Coord{X: 3, Y: -4, Height: 1},
		Addrs:      []string{"/ip4/192.168.178.34/udp/4001/quic-v1/p2p/" + id.String(), "/ip6/fd00::1c2b:aaff:fe11:2233/udp/4001/quic-v1/p2p/" + id.String()},
		MemFreeMiB: 23_123, MemTotalMiB: 32_010, DiskFreeMiB: 412_331}
	for _, m := range []string{"llama3.2:3b", "qwen2.5-coder:7b"} {
		p := catalog.Placement{Model: nodetest.Model(t, m), Digest: strings.Repeat("9f", 32), Bytes: 4_683_073_184, State: catalog.Loaded, Context: 8192,
			Load:  catalog.Load{Running: 1, Slots: 4, At: now - 234_000},
			Speed: catalog.Speed{PrefillNS: 823_456, DecodeUS: 23_456, Batch: 120, At: now - 234_000}}
		for h := range prefixes {
			p.Prefixes = append(p.Prefixes, h<<24|h)
		}
		info.Placements = append(info.Placements, p)
	}
	return info
}

func TestRecordRefused(t *testing.T) {
	now, whose := time.Unix(1, 0), poolID(t, 1)
	with := func(change func(*catalog.NodeInfo)) []byte {
		info := typical(t, 2)
		change(&info)
		return encodeRecord(nil, &info, Coordinate{Coord: info.Coord}, now, whole)
	}
	for _, c := range []struct {
		name string
		in   []byte
	}{
		{"nothing", nil},
		{"half of one", with(func(*catalog.NodeInfo) {})[:100]},
		{"no end", with(func(i *catalog.NodeInfo) { i.Placements = nil })[:60]},
		{"name too long", with(func(i *catalog.NodeInfo) { i.Name = strings.Repeat("x", catalog.MaxName+1) })},
		{"too many models", with(func(i *catalog.NodeInfo) {
			for n := range catalog.MaxPlacements {
				i.Placements = append(i.Placements, catalog.Placement{Model: nodetest.Model(t, "m"+strconv.Itoa(n))})
			}
		})},
		{"a model twice", with(func(i *catalog.NodeInfo) { i.Placements[1].Model = i.Placements[0].Model })},
		{"model without a name", with(func(i *catalog.NodeInfo) { i.Placements[0].Model = catalog.ModelID{} })},
		{"too many prefixes", with(func(i *catalog.NodeInfo) { i.Placements[0].Prefixes = make(catalog.Prefixes, catalog.MaxPrefixes+1) })},
		{"prefixes out of order", with(func(i *catalog.NodeInfo) { i.Placements[0].Prefixes = catalog.Prefixes{2, 1} })},
		{"too many addresses", with(func(i *catalog.NodeInfo) { i.Addrs = make([]string, catalog.MaxAddrs+1) })},
		{"impossible place", with(func(i *catalog.NodeInfo) { i.Coord.X = 1e9 })},
		{"model name with a way out", bytes.Replace(with(func(*catalog.NodeInfo) {}), []byte("llama3.2:3b"), []byte("../ama3.2:3"), 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, _, err := decodeRecord(c.in, whose, now); !errors.Is(err, ErrProtocol) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, _, err := decodeRecord(encodeRecord(nil, &catalog.NodeInfo{ID: whose}, Coordinate{}, now, whole), whose, now); err != nil {
		t.Errorf("the least record: %v", err)
	}
	if _, _, err := decodeRecord(append(with(func(*catalog.NodeInfo) {}), "of a later version"...), whose, now); err != nil {
		t.Errorf("a later version's record: %v", err)
	}
}

// What SetRecord accepts fits into a frame at any later time, and what is passed on of
// it has a bound of its own.
func TestRecordSize(t *testing.T) {
	info := catalog.NodeInfo{ID: poolID(t, 1), Seq: math.MaxUint64}
	for len(info.Placements) < catalog.MaxPlacements && checkRecordSize(&info) == nil {
		info.Placements = append(info.Placements, catalog.Placement{Model: nodetest.Model(t, strings.Repeat("m", 120)+strconv.Itoa(len(info.Placements))),
			Digest: strings.Repeat("a", 64), Bytes: math.MaxInt64, State: catalog.OnDisk, Load: catalog.Load{At: 1}, Speed: catalog.Speed{At: 1},
			Prefixes: make(catalog.Prefixes, catalog.MaxPrefixes/8)})
	}
	if err := checkRecordSize(&info); err == nil {
		t.Fatal("a record of any size is accepted")
	}
	last := len(info.Placements) - 1
	info.Placements = info.Placements[:last]
	info.Placements[last-1].State = catalog.Loaded
	for _, now := range []time.Time{time.UnixMicro(1), time.Unix(1_800_000_000, 0)} {
		if n := len(encodeRecord(nil, &info, Coordinate{}, now, whole)); n > MaxFrame {
			t.Errorf("%d bytes", n)
		}
		b := encodeRecord([]byte("before"), &info, Coordinate{}, now, brief)[6:]
		got, _, err := decodeRecord(b, info.ID, now)
		if err != nil || len(b) > maxBrief || len(b) < maxBrief*9/10 || got.Placements[0].Model != info.Placements[last-1].Model {
			t.Errorf("passed on: %d bytes with %d models, %v", len(b), len(got.Placements), err)
		}
	}
}

// How long records are; see "Why are records passed on once?" in RATIONALE.md.
func TestTypicalRecord(t *testing.T) {
	for _, prefixes := range []uint32{0, 16, 128} {
		info := typical(t, prefixes)
		now := time.UnixMicro(int64(info.Seq))
		told, passed := encodeRecord(nil, &info, Coordinate{}, now, whole), encodeRecord(nil, &info, Coordinate{}, now, brief)
		text, err := json.Marshal(info)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("2 models, %d prefixes each: %d bytes as JSON, %d told, %d passed on with a signature", prefixes, len(text), len(told), len(passed)+64)
		if len(passed)+64 > 280 || len(told) > 330+8*int(prefixes) {
			t.Error("they have grown")
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	info := typical(f, 3)
	f.Add(encodeRecord(nil, &info, NewCoordinate(), time.Unix(1, 0), whole))
	f.Add(encodeRecord(nil, &info, NewCoordinate(), time.Unix(1, 0), brief))
	f.Add(encodeRecord(nil, &catalog.NodeInfo{}, NewCoordinate(), time.Unix(1, 0), whole))
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, b []byte) {
		info, place, err := decodeRecord(b, info.ID, now)
		if err != nil {
			return
		}
		if info.Validate() != nil || !validCoord(info.Coord) || place.Error > coordErrorMax {
			t.Errorf("accepted %+v", info)
		}
		for _, p := range info.Placements {
			for _, at := range []catalog.Micros{p.Load.At, p.Speed.At} {
				if at != 0 && (at > micros(now) || at < micros(now)-catalog.Micros(maxAge.Microseconds())) {
					t.Errorf("moment %d", at)
				}
			}
		}
		again, _, err := decodeRecord(encodeRecord(nil, &info, place, now, whole), info.ID, now)
		if err != nil || !reflect.DeepEqual(info, again) {
			t.Errorf("%+v came back as %+v, %v", info, again, err)
		}
	})
}
