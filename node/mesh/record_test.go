package mesh

import (
	"errors"
	"math"
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
	b, err := encodeRecord(info, where, theirs)
	if err != nil {
		t.Fatal(err)
	}
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

func TestRecordRefused(t *testing.T) {
	id := poolID(t, 1)
	node := func(rest string) string { return `{"node":{"id":"` + id.String() + `"` + rest + `}}` }
	for _, c := range []struct{ name, in string }{
		{"nothing", ""},
		{"not JSON", "{"},
		{"of another node", strings.Replace(node(""), id.String(), poolID(t, 2).String(), 1)},
		{"without an id", `{"node":{}}`},
		{"name too long", node(`,"name":"` + strings.Repeat("x", catalog.MaxName+1) + `"`)},
		{"too many models", node(`,"placements":[` + strings.Repeat(`{"model":"m"},`, catalog.MaxPlacements) + `{"model":"m"}]`)},
		{"model name with a way out", node(`,"placements":[{"model":"../x"}]`)},
		{"impossible place", node(`,"coord":{"x":1e9}`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, _, err := decodeRecord([]byte(c.in), id, time.Unix(1, 0)); !errors.Is(err, ErrProtocol) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, _, err := decodeRecord([]byte(node("")), id, time.Unix(1, 0)); err != nil {
		t.Errorf("the least record: %v", err)
	}
}

// What SetRecord accepts fits into a frame at any later time.
func TestRecordSize(t *testing.T) {
	info := catalog.NodeInfo{ID: poolID(t, 1), Seq: math.MaxUint64}
	long := nodetest.Model(t, strings.Repeat("m", 100))
	for len(info.Placements) < catalog.MaxPlacements && checkRecordSize(info) == nil {
		info.Placements = append(info.Placements, catalog.Placement{Model: long, Digest: strings.Repeat("a", 64), Bytes: math.MaxInt64,
			Load: catalog.Load{At: 1}, Speed: catalog.Speed{At: 1}})
	}
	if err := checkRecordSize(info); err == nil {
		t.Fatal("a record of any size is accepted")
	}
	info.Placements = info.Placements[:len(info.Placements)-1]
	far := Coordinate{Coord: catalog.Coord{X: -59999.996, Y: -1.2345678e-5, Height: 1.2345678e-5}, Error: 0.12345678901234567}
	for _, now := range []time.Time{time.UnixMicro(1), time.Unix(1_800_000_000, 0)} {
		if _, err := encodeRecord(info, far, now); err != nil {
			t.Error(err)
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	id := poolID(f, 1)
	for _, n := range []catalog.NodeInfo{{ID: id}, {ID: id, Name: "n", Placements: []catalog.Placement{{Model: nodetest.Model(f, "m"), Load: catalog.Load{At: 9}}}}} {
		b, err := encodeRecord(n, NewCoordinate(), time.Unix(1, 0))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, b []byte) {
		info, place, err := decodeRecord(b, id, now)
		if err != nil {
			return
		}
		if info.ID != id || info.Validate() != nil || !validCoord(info.Coord) || place.Error > coordErrorMax {
			t.Errorf("accepted %+v", info)
		}
		for _, p := range info.Placements {
			for _, at := range []catalog.Micros{p.Load.At, p.Speed.At} {
				if at != 0 && (at > micros(now) || at < micros(now)-catalog.Micros(maxAge.Microseconds())) {
					t.Errorf("moment %d", at)
				}
			}
		}
	})
}
