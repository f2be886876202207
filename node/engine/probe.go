package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"omx/node/engine/frame"
)

// Info is what the engine libraries in a folder say of the machine.
type Info struct {
	Library
	frame.Hardware
}

// Probe asks the engine libraries what there is to run models on. They are
// loaded in a worker process, exe with args: what does not get along with a
// driver ends a process. An error is one line.
func Probe(ctx context.Context, exe string, args []string, lib Library) (Info, error) {
	p, err := startProcess(exe, args, func() {}, func(frame.Rates) {}, func(frame.Loading) {})
	if err != nil {
		return Info{}, err
	}
	defer p.stop()
	v, err := p.first(ctx, frame.Probe, frame.LoadConfig{Library: lib.Dir}, probeTimeout)
	switch v := v.(type) {
	case frame.Hardware:
		return Info{lib, v}, nil
	case frame.Failure:
		return Info{}, errors.New(v.Message)
	}
	if ctx.Err() != nil {
		return Info{}, ctx.Err()
	}
	why := strings.TrimPrefix(cmp.Or(err, errAnswer).Error(), ErrLost.Error()+": ")
	return Info{}, fmt.Errorf("the engine libraries in %s do not work here: %s; try others: omx engine install --backend cpu", lib.Dir, why)
}
