// Command sample hears events, takes parameters and reads the extension: for the
// SDK's test.
package main

import (
	"unsafe"

	"sample/omx"
)

var (
	params, heard uint32
	last          uint64
)

//go:wasmexport omx_init
func take(text unsafe.Pointer, length uint32) uint32 {
	b := omx.Params(text, length)
	if length == 0 || b[length-1] != '\n' {
		return 1
	}
	omx.Log(1, string(b[:length-1]))
	params = length
	return 0
}

//go:wasmexport omx_event
func hear(event unsafe.Pointer, length uint32) {
	e := omx.OpenEvent(event)
	if e.Kind != omx.EventDone {
		return
	}
	heard++
	last = e.Node
	omx.Count(2, int64(e.Output))
}

//go:wasmexport omx_route
func route(view unsafe.Pointer, length uint32) uint64 {
	v, ok := omx.Open(view, length)
	if !ok {
		return omx.Answer(omx.BadRequest, 0)
	}
	base := 1_000_000*heard + 10*params
	for tag, value := range v.Items {
		if tag == omx.TagLabel {
			base += uint32(len(value))*100 + uint32(value[0])
		}
	}
	for i := range v.Count {
		r := v.Row(i)
		score := base + v.Age(r.RTTAt)
		if r.Node == last {
			score++
		}
		v.SetScore(i, score)
	}
	return v.Lowest()
}

//go:wasmexport omx_wants
func wants(kind uint32) uint64 { return omx.LoadPart | omx.Want(omx.TagLabel) }

func main() {}
