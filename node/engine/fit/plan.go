package fit

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrTooLarge says that a model cannot be loaded here. The message has the numbers.
var ErrTooLarge = errors.New("model does not fit")

// deviceMargin is left free on each device that gets layers: its driver and its
// kernels take 300 to 500 MiB that no figure shows, and llama.cpp ends the process
// when a device is full.
const deviceMargin = 512 << 20

// Device is a GPU.
type Device struct {
	Name        string
	Free, Total int64
	Unified     bool // its memory is the host's
}

// Placement is where the layers of a model go.
type Placement struct {
	// GPULayers is llama.cpp's n_gpu_layers: 1 is the output layer, each one more
	// the last block that is not on a device yet. One more than there are blocks is
	// all.
	GPULayers int
	Split     []int   // of GPULayers, for each device: llama.cpp's tensor_split
	Host      int64   // bytes
	Device    []int64 // bytes, without what is left free
}

// Plan puts as many layers as it can on devices, in their order, and the rest on the
// host. Devices that share the host's memory are used only where there are no
// others, and of those only the largest: each one more would take memory for
// computing from the same host.
func Plan(n Need, hostFree int64, devices []Device) (Placement, error) {
	room, unified := rooms(devices)
	for k := len(n.PerLayer) + 1; k >= 0; k-- {
		p, ok := n.place(k, room)
		shared := int64(0)
		if unified >= 0 {
			shared = p.Device[unified]
		}
		if total := sum(p.Host, shared); ok && total <= hostFree && total < math.MaxInt64 {
			return p, nil
		}
	}
	return Placement{}, n.tooLarge(hostFree, devices)
}

// rooms is what may be used of each device, and which of them shares the host's
// memory; -1 if none that is used does.
func rooms(devices []Device) (room []int64, unified int) {
	room, unified = make([]int64, len(devices)), -1
	own := slices.ContainsFunc(devices, func(d Device) bool { return !d.Unified })
	for i, d := range devices {
		switch {
		case !d.Unified:
			room[i] = d.Free
		case !own && (unified < 0 || d.Free > devices[unified].Free):
			unified = i
		}
	}
	if unified >= 0 {
		room[unified] = devices[unified].Free
	}
	return room, unified
}

// place puts the last k layers on devices with this much room each.
func (n *Need) place(k int, room []int64) (p Placement, ok bool) {
	p = Placement{GPULayers: k, Split: make([]int, len(room)), Device: make([]int64, len(room))}
	if k == 0 {
		p.Host = n.Total()
		return p, true
	}
	blocks := len(n.PerLayer)
	next := blocks + 1 - k // the output layer comes after the blocks
	p.Host = sum(n.Process, n.Embedding, n.Edge)
	if next > 0 {
		p.Host = sum(n.Process, n.Embedding, n.Compute)
	}
	for _, l := range n.PerLayer[:next] {
		p.Host = sum(p.Host, l.Weights, l.KV)
	}
	for d := range room {
		used := n.Compute
		for ; next <= blocks; next++ {
			more := sum(used, n.Output)
			if next < blocks {
				more = sum(used, n.PerLayer[next].Weights, n.PerLayer[next].KV)
			}
			if sum(more, deviceMargin) > room[d] || more == math.MaxInt64 {
				break
			}
			used = more
			p.Split[d]++
		}
		if p.Split[d] > 0 {
			p.Device[d] = used
		}
	}
	return p, next > blocks
}

// tooLarge tells the numbers and what helps.
func (n *Need) tooLarge(hostFree int64, devices []Device) error {
	free, all := fmt.Sprintf("%s are free", size(hostFree)), max(hostFree, 0)
	for _, d := range devices {
		free += fmt.Sprintf(", %s on %s", size(d.Free), d.Name)
		if !d.Unified {
			all = sum(all, d.Free-deviceMargin)
		}
	}
	helps := "use a smaller context or fewer slots"
	if sum(n.Weights, n.Process) > all {
		helps = "use a smaller model, or one with fewer bits for each weight"
	}
	return fmt.Errorf("%w: it needs %s (weights %s, context %s, compute %s), %s; %s", ErrTooLarge,
		size(n.Total()), size(n.Weights), size(n.KV), size(sum(n.Compute, n.Process)), free, helps)
}

// size is a number of bytes for people.
func size(n int64) string {
	const mib, gib = 1 << 20, 1 << 30
	if n = max(n, 0); n < gib {
		return fmt.Sprintf("%d MiB", (n+mib/2)/mib)
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/gib)
}
