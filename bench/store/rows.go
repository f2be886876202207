package store

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"omx/bench/measure"
	"omx/node/catalog"
)

const (
	variantStore    = "store"
	variantSnapshot = "snapshot"
)

var errWrong = errors.New("a wrong answer")

// cases are questions and changes at n nodes. The store answers as buntdb does,
// with records decoded; the snapshot as a decision reads it.
func cases(n int) ([]measure.Case, error) {
	records, models, err := fleet(n)
	if err != nil {
		return nil, err
	}
	const near = 10
	inStore := func(op func(s *catalog.Store, i int) error) func(int) (*measure.Run, error) {
		return func(int) (*measure.Run, error) {
			dir, err := os.MkdirTemp("", "omx-bench-store-")
			if err != nil {
				return nil, err
			}
			s, err := fill(dir, records)
			if err != nil {
				return nil, errors.Join(err, os.RemoveAll(dir))
			}
			return running(func(i int) error { return op(s, i) }, func() error { return errors.Join(s.Close(), os.RemoveAll(dir)) }), nil
		}
	}
	inTable := func(op func(t *catalog.Table, i int) error) func(int) (*measure.Run, error) {
		return func(int) (*measure.Run, error) {
			t, err := published(records)
			if err != nil {
				return nil, err
			}
			return running(func(i int) error { return op(t, i) }, func() error { return nil }), nil
		}
	}
	changed := func(i int) catalog.NodeInfo {
		r := records[i%len(records)]
		r.Seq = uint64(i) + 2
		r.MemFreeMiB = uint32(i)
		return r
	}
	list := []struct {
		name, variant string
		start         func(int) (*measure.Run, error)
	}{
		{"near", variantStore, inStore(func(s *catalog.Store, i int) error {
			ids, err := s.Near(records[i%len(records)].Coord, near)
			if len(ids) != min(near, n) {
				err = errors.Join(err, errWrong)
			}
			return err
		})},
		// What it knows is in the order of distance: the nearest are the first.
		{"near", variantSnapshot, inTable(func(t *catalog.Table, _ int) error {
			if len(t.Snapshot().Nodes[:min(near, n)]) != min(near, n) {
				return errWrong
			}
			return nil
		})},
		{"holders", variantStore, inStore(func(s *catalog.Store, i int) error {
			places, err := s.Placements(models[i%len(models)])
			if len(places) == 0 {
				err = errors.Join(err, errWrong)
			}
			return err
		})},
		{"holders", variantSnapshot, inTable(func(t *catalog.Table, i int) error {
			if len(t.Snapshot().Holders(models[i%len(models)])) == 0 {
				return errWrong
			}
			return nil
		})},
		{"change", variantStore, inStore(func(s *catalog.Store, i int) error { return s.Put(changed(i)) })},
		{"change", variantSnapshot, inTable(func(t *catalog.Table, i int) error {
			err := t.PutRecord(changed(i))
			t.Publish()
			return err
		})},
	}
	var all []measure.Case
	for _, c := range list {
		all = append(all, measure.Case{Name: fmt.Sprintf("%s/%d", c.name, n), Variant: c.variant, Workers: 1, Start: c.start})
	}
	return all, nil
}

// running does op again and again; a failure shows beside the figures.
func running(op func(i int) error, end func() error) *measure.Run {
	var failed atomic.Pointer[error]
	return &measure.Run{
		Op: func(w *measure.Worker, times int) {
			for range times {
				if err := op(w.Next); err != nil {
					first := err // only what failed is worth an allocation
					failed.CompareAndSwap(nil, &first)
				}
				w.Next++
			}
		},
		Close: func() string {
			err := end()
			if f := failed.Load(); f != nil {
				err = errors.Join(*f, err)
			}
			if err != nil {
				return err.Error()
			}
			return ""
		},
	}
}
