package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"omx/node"
	"omx/node/blob"
	"omx/node/engine"
)

// libraries looks at the engine libraries that serve would use, and asks them, in a
// process of its own as omx engine info does, what they find on this machine.
func libraries(ctx context.Context, p *patient) []Finding {
	lib, err := engine.Find(p.EngineDirs...)
	if err != nil {
		text, next := split(err)
		next = cmp.Or(next, "omx engine list")
		if !errors.Is(err, engine.ErrChanged) && !p.hasModels() {
			return []Finding{advice(next, nil, "only a gateway to others: %s", text)}
		}
		return []Finding{problem(next, nil, "%s", text)}
	}
	facts := map[string]any{"dir": lib.Dir, "backend": lib.Backend, "version": lib.Version, "llama_cpp": lib.Release}
	all := []Finding{ok(facts, "%s, llama.cpp %s, verified, in %s", lib.Backend, lib.Release, lib.Dir)}
	info, err := engine.Probe(ctx, p.Exe, []string{"worker"}, lib)
	if err != nil {
		text, next := split(err)
		text, _, _ = strings.Cut(text, "; try others: ")
		return append(all, as("devices", problem(cmp.Or(next, "omx engine install --backend cpu"), nil, "%s", text)))
	}
	all = append(all, devices(&info))
	if suited, err := engine.Suits(p.Root); err == nil && lib.Backend == "cpu" && suited.GPU {
		all = append(all, unused(suited))
	}
	return all
}

func as(name string, f Finding) Finding {
	f.Check = name
	return f
}

// hasModels tells whether there are models here that would need the libraries.
func (p *patient) hasModels() bool {
	r, err := blob.Look(p.file(node.ModelsDir))
	return err == nil && r.Models+len(r.Faults) > 0
}

// devices is what the libraries have found; a GPU's that find none say why.
func devices(info *engine.Info) Finding {
	facts := map[string]any{"devices": info.Devices, "cpu_variant": info.CPU, "notes": info.Notes}
	var names []string
	gpus := 0
	for _, d := range info.Devices {
		if d.Kind != "cpu" {
			gpus++
		}
		names = append(names, fmt.Sprintf("%s %s", d.Name, size(d.Total)))
	}
	if info.Backend != "cpu" && gpus == 0 {
		why := "they find no GPU"
		if len(info.Notes) > 0 {
			why = info.Notes[0]
		}
		return as("devices", advice("omx engine info", facts, "%s; models run on the CPU", why))
	}
	variant := strings.TrimSuffix(strings.TrimPrefix(info.CPU, "libggml-cpu-"), ".so")
	return as("devices", ok(facts, "%s; CPU variant %s", several(names), cmp.Or(variant, "not known")))
}

// unused is a GPU that only libraries for the CPU are installed for.
func unused(suited engine.Suited) Finding {
	facts := map[string]any{"suited": suited.Backend}
	if suited.Backend == "cpu" { // a driver, and nothing to reach it by
		return as("GPU", advice("apt-get install libvulkan1", facts, "%s", suited.Why))
	}
	return as("GPU", advice("omx engine install --backend "+suited.Backend, facts, "%s, but only CPU libraries are installed", suited.Why))
}
