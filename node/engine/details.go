package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"omx/node/engine/fit"
	"omx/node/engine/frame"
	"omx/node/engine/gguf"
)

// need is about how much memory a model takes when it is loaded.
func need(cfg *LocalConfig, h gguf.Header) fit.Need {
	return fit.Estimate(h, fit.Room{Slots: cfg.Slots, Context: cfg.ContextTokens, KV: gguf.F16})
}

// details is what a model's header says of it.
func details(h gguf.Header) Details {
	return Details{Family: h.Architecture, Parameters: h.ParameterSize(), Quantization: h.Quantization, Template: h.Template, Trained: h.Context,
		Tools: strings.Contains(h.Template, "tools"), Thinks: strings.Contains(h.Template, "think")}
}

// place decides which layers of the model go onto GPUs, by what is free there now,
// and what the rest takes of the memory that models may have.
func (s *served) place(ctx context.Context, lib Library) (fit.Placement, error) {
	devices, err := s.devices(ctx, lib)
	if err != nil {
		return fit.Placement{}, err
	}
	room := int64(math.MaxInt64)
	if s.memory.limit > 0 {
		room = s.memory.limit
	}
	s.mu.Lock()
	n := need(s.cfg, s.header)
	s.mu.Unlock()
	p, err := fit.Plan(n, room, devices)
	if errors.Is(err, fit.ErrTooLarge) {
		return p, fmt.Errorf("%w: %w", ErrNoMemory, err)
	}
	return p, err
}

// devices are the GPUs that the libraries can use; those for CPUs alone are not
// asked.
func (s *served) devices(ctx context.Context, lib Library) (all []fit.Device, err error) {
	if lib.Backend == cpuBackend || s.cfg.NoGPU {
		return nil, nil
	}
	info, err := Probe(ctx, s.cfg.Exe, s.cfg.WorkerArgs, lib)
	if err != nil {
		return nil, err
	}
	return gpus(info.Devices), nil
}

// cpuBackend is the name of the libraries that use no GPU.
const cpuBackend = "cpu"

// gpus are the devices that layers can go onto.
func gpus(found []frame.Device) (all []fit.Device) {
	for _, d := range found {
		if d.Kind == "gpu" || d.Kind == "igpu" {
			all = append(all, fit.Device{Name: d.Name, Free: int64(min(d.Free, math.MaxInt64)), Total: int64(min(d.Total, math.MaxInt64)), Unified: d.Kind == "igpu"})
		}
	}
	return all
}
