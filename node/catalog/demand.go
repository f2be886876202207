package catalog

import "sync/atomic"

// demand counts what is asked of one model at this node. Adding is one atomic
// step; rates are worked out when a picture is published.
type demand struct {
	asked atomic.Uint32
	rates [3]int64 // requests per hour × 1000, over about each of demandSpans
	at    Micros   // up to where the rates are
}

var demandSpans = [3]Micros{60e6, 600e6, 3600e6}

// foldEvery is the shortest span that rates are worked out over.
const foldEvery = 1_000_000 // µs

// fold works what was asked since the last time into the rates: an exponential
// average, in whole numbers so that it is the same everywhere.
func (d *demand) fold(now Micros) {
	span := now - d.at
	if d.at == 0 || span < 0 {
		d.at = now
		return
	}
	if span < foldEvery {
		return
	}
	d.at = now
	rate := int64(d.asked.Swap(0)) * 3600e6 / int64(span) * 1000
	for i, tau := range demandSpans {
		d.rates[i] += (rate - d.rates[i]) / 1000 * int64(span) / int64(tau+span) * 1000
	}
}

// perHour is the three rates.
func (d *demand) perHour() (r [3]uint32) {
	for i, v := range d.rates {
		r[i] = uint32(min(max(v/1000, 0), 1<<31))
	}
	return r
}
