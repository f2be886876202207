package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/montanaflynn/stats"
)

// Streams is many streams at once, each of a token every so often.
type Streams struct {
	Streams int           `json:"streams"`
	Late50  time.Duration `json:"late_p50_ns"` // a token against the moment it was due
	Late99  time.Duration `json:"late_p99_ns"`
	Worst   time.Duration `json:"late_worst_ns"`
	First99 time.Duration `json:"ttft_p99_ns"`
	MiB     float64       `json:"resident_mib"` // of the process, clients with it; 0 unknown
}

// inTime says whether people at the streams would call them fluent.
func (s *Streams) inTime() bool { return s.Late99 <= mostLate }

// streams runs so many of so many tokens each. They begin spread over one token's
// time, as people do not press a key in the same microsecond.
func streams(ctx context.Context, n, tokens int) (*Streams, error) {
	s, err := serve(ctx, tokens, tokenEvery, n+1)
	if err != nil {
		return nil, err
	}
	late, first := make([][]float64, n), make([]float64, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	resident := 0.0
	for i := range n {
		late[i] = make([]float64, 0, tokens)
		wg.Go(func() {
			time.Sleep(tokenEvery * time.Duration(i) / time.Duration(n))
			first[i], errs[i] = watch(s.addr(), &late[i])
		})
	}
	time.Sleep(tokenEvery * time.Duration(tokens) / 2)
	resident = residentMiB()
	wg.Wait()
	if err := errors.Join(append(errs, s.close(), ctx.Err())...); err != nil {
		return nil, fmt.Errorf("%d streams: %w", n, err)
	}
	var all stats.Float64Data
	for _, l := range late {
		all = append(all, l...)
	}
	at := func(d stats.Float64Data, p float64) time.Duration {
		v, err := stats.Percentile(d, p)
		if err != nil || math.IsNaN(v) {
			return 0
		}
		return time.Duration(v)
	}
	return &Streams{Streams: n, Late50: at(all, 50), Late99: at(all, 99), Worst: at(all, 100), First99: at(first, 99), MiB: resident}, nil
}

// watch reads one stream and notes how late each token was, by the clock that
// the first one started.
func watch(addr string, late *[]float64) (ttft float64, err error) {
	c, err := Dial(addr)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	ask := request(true)
	began := time.Now()
	if _, err := c.Send(ask); err != nil {
		return 0, err
	}
	var first time.Time
	for i := 0; ; i++ {
		more, err := c.Next()
		if err != nil || !more {
			return ttft, err
		}
		now := time.Now()
		if i == 0 {
			first, ttft = now, float64(now.Sub(began))
		}
		*late = append(*late, float64(max(now.Sub(first)-time.Duration(i)*tokenEvery, 0)))
	}
}

func residentMiB() float64 {
	b, err := os.ReadFile("/proc/self/statm")
	f := strings.Fields(string(b))
	if err != nil || len(f) < 2 {
		return 0
	}
	pages, err := strconv.ParseFloat(f[1], 64)
	if err != nil {
		return 0
	}
	return pages * float64(os.Getpagesize()) / (1 << 20)
}
