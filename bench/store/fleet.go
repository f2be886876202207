package store

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"

	"omx/node/catalog"
)

// fleet makes the records of n nodes: five models each of twenty, at scattered
// places.
func fleet(n int) ([]catalog.NodeInfo, []catalog.ModelID, error) {
	r := rand.New(rand.NewPCG(1, 2))
	var models []catalog.ModelID
	for i := range 20 {
		m, err := catalog.ParseModelID(fmt.Sprintf("model-%02d:8b", i))
		if err != nil {
			return nil, nil, err
		}
		models = append(models, m)
	}
	all := make([]catalog.NodeInfo, n)
	for i := range all {
		id, err := catalog.ParseNodeID(fmt.Sprintf("12D3KooWStoreBench%034d", i))
		if err != nil {
			return nil, nil, err
		}
		info := catalog.NodeInfo{ID: id, Name: fmt.Sprintf("shelf-%d", i), Seq: 1, At: 1, Zone: uint32(i % 7),
			Addrs: []string{"/ip4/192.0.2.1/udp/4001/quic-v1"}, MemFreeMiB: 8192, MemTotalMiB: 16384,
			Coord: catalog.Coord{X: r.Float32() * 100, Y: r.Float32() * 100, Height: r.Float32()}}
		for k := range 5 {
			info.Placements = append(info.Placements, catalog.Placement{Model: models[(i+k*4)%len(models)], Digest: fmt.Sprintf("%064x", k), Bytes: 5e9, State: catalog.Loaded,
				Load: catalog.Load{Slots: 4, Running: uint32(r.IntN(4)), At: 1}, Speed: catalog.Speed{PrefillNS: 200_000, DecodeUS: 20_000, At: 1}, Context: 8192})
		}
		all[i] = info
	}
	return all, models, nil
}

// fill opens a store in dir and puts the records into it.
func fill(dir string, records []catalog.NodeInfo) (*catalog.Store, error) {
	s, err := catalog.OpenStore(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if err := s.Put(r); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// published is a table with the records, all of them up.
func published(records []catalog.NodeInfo) (*catalog.Table, error) {
	t, err := catalog.NewTable(records[0])
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if err := t.PutRecord(r); err != nil {
			return nil, err
		}
		t.SetUp(r.ID, true)
	}
	t.Publish()
	return t, nil
}
