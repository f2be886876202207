package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/montanaflynn/stats"

	"omx/bench/measure"
	"omx/node/catalog"
)

// Options of a run. The zero value is the full run: about 20 s.
type Options struct {
	Short bool // about a second: for tests of the suite itself
}

// Result is what a run found.
type Result struct {
	Machine measure.Machine  `json:"machine"`
	Series  []measure.Series `json:"series"`
	Whole   []Whole          `json:"whole"`
	Damage  []Damage         `json:"damage"`
}

// Whole is what it takes to keep all records: medians over repeats.
type Whole struct {
	Nodes     int           `json:"nodes"`
	Save      time.Duration `json:"save_ns"` // to disk, synced
	Open      time.Duration `json:"open_ns"` // until every record can be asked for
	DiskBytes int64         `json:"disk_bytes_per_node"`
	HeapBytes int64         `json:"heap_bytes_per_node"`
}

var sizes = []int{1000, catalog.MaxNodes}

// floors are how many times as quick the snapshot answers as the store.
var floors = map[string]float64{"near": 100, "holders": 1000}

// Run measures questions, then whole stores, then damaged ones.
func Run(ctx context.Context, opt Options, progress io.Writer) (*Result, error) {
	cfg, nodes, repeats, places := measure.Config{Duration: 100 * time.Millisecond, Repeats: 3}, sizes, 5, 100
	if opt.Short {
		cfg, nodes, repeats, places = measure.Config{Duration: 5 * time.Millisecond, Repeats: 1}, []int{100}, 1, 10
	}
	r := &Result{Machine: measure.Here()}
	for _, n := range nodes {
		list, err := cases(n)
		if err != nil {
			return nil, err
		}
		series, err := measure.Cases(ctx, list, cfg, progress)
		if err != nil {
			return nil, fmt.Errorf("measure a store of %d nodes: %w", n, err)
		}
		r.Series = append(r.Series, series...)
		w, err := whole(n, repeats)
		if err != nil {
			return nil, fmt.Errorf("save and open a store of %d nodes: %w", n, err)
		}
		r.Whole = append(r.Whole, w)
	}
	var err error
	if r.Damage, err = damage(places); err != nil {
		return nil, fmt.Errorf("damage stores: %w", err)
	}
	slices.SortFunc(r.Damage, func(a, b Damage) int { return cmp.Compare(a.What, b.What) })
	return r, nil
}

func whole(n, repeats int) (w Whole, err error) {
	records, _, err := fleet(n)
	if err != nil {
		return w, err
	}
	dir, err := os.MkdirTemp("", "omx-bench-whole-")
	if err != nil {
		return w, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	w.Nodes = n
	var saves, opens stats.Float64Data
	for i := range repeats {
		to := filepath.Join(dir, fmt.Sprint(i))
		before := heap()
		s, err := fill(to, records)
		if err != nil {
			return w, err
		}
		w.HeapBytes = max(heap()-before, 0) / int64(n)
		began := time.Now()
		err = s.Save()
		saves = append(saves, float64(time.Since(began)))
		if err := errors.Join(err, s.Close()); err != nil {
			return w, err
		}
		began = time.Now()
		s, err = catalog.OpenStore(to, slog.New(slog.DiscardHandler))
		if err != nil {
			return w, err
		}
		list, err := s.Nodes()
		opens = append(opens, float64(time.Since(began)))
		if len(list) != n {
			err = errors.Join(err, fmt.Errorf("%d nodes were found, %d were saved", len(list), n))
		}
		if err := errors.Join(err, s.Close()); err != nil {
			return w, err
		}
		if w.DiskBytes, err = size(to); err != nil {
			return w, err
		}
		w.DiskBytes /= int64(n)
	}
	save, err1 := stats.Median(saves)
	open, err2 := stats.Median(opens)
	w.Save, w.Open = time.Duration(save), time.Duration(open)
	return w, errors.Join(err1, err2)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func size(dir string) (n int64, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range files {
		st, serr := os.Stat(f)
		if err = errors.Join(err, serr); serr == nil {
			n += st.Size()
		}
	}
	return n, err
}
