package worker

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/ebitengine/purego"
	"github.com/hybridgroup/yzma/pkg/llama"

	"omx/node/engine/frame"
	"omx/node/files"
)

// hints say where a library of the system comes from that a GPU's needs.
var hints = []struct{ soname, hint string }{
	{"libvulkan.so.1", "install the Vulkan loader: apt-get install libvulkan1"},
	{"libcuda.so.1", "install the NVIDIA driver"},
	{"libcudart.so.", "install NVIDIA's CUDA runtime of that version"},
	{"libcublas", "install NVIDIA's CUDA runtime of that version"},
}

// probe starts the engine libraries and says what they find to run models on.
func probe(dir string, stdout, stderr io.Writer) error {
	failure := tryLibrary(dir, stderr)
	kind, payload := frame.Failed, any(failure)
	if failure == nil {
		kind, payload = frame.Devices, hardware(dir)
	}
	f, err := frame.Make(kind, 0, payload)
	if err != nil {
		return err
	}
	if _, err := stdout.Write(frame.Append(nil, f)); err != nil {
		return fmt.Errorf("write to node: %w", err)
	}
	if failure != nil {
		return errors.New(failure.Message)
	}
	return nil
}

func hardware(dir string) frame.Hardware {
	h := frame.Hardware{CPU: variant(), System: strings.TrimSpace(llama.PrintSystemInfo())}
	gpus := 0
	for i := range min(llama.GGMLBackendDeviceCount(), maxDevices) {
		d := llama.GGMLBackendDeviceGet(i)
		free, total := llama.GGMLBackendDeviceMemory(d)
		kind := llama.GGMLBackendDevType(d)
		if kind == llama.GGMLBackendDeviceTypeGPU || kind == llama.GGMLBackendDeviceTypeIGPU {
			gpus++
		}
		h.Devices = append(h.Devices, frame.Device{
			Name: llama.GGMLBackendDeviceName(d), Description: llama.GGMLBackendDeviceDescription(d), Kind: kindName(kind),
			Backend: llama.GGMLBackendRegName(llama.GGMLBackendDeviceBackendReg(d)), Free: free, Total: total,
		})
	}
	h.Notes = complaints(dir, gpus)
	return h
}

func kindName(t llama.GGMLBackendDeviceType) string {
	if t == llama.GGMLBackendDeviceTypeACCEL {
		return "accelerator"
	}
	return strings.ToLower(t.String())
}

// complaints says why the GPU libraries in a folder came to nothing: llama.cpp
// passes over those that cannot be loaded without a word.
func complaints(dir string, gpus int) []string {
	var all []string
	names, _ := filepath.Glob(filepath.Join(dir, "libggml-*.so"))
	for _, path := range names {
		name := filepath.Base(path)
		if name == "libggml-base.so" || strings.HasPrefix(name, "libggml-cpu-") {
			continue
		}
		if _, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL); err != nil {
			all = append(all, fmt.Sprintf("%s cannot be used: %v%s", name, err, hint(err.Error())))
		} else if gpus == 0 {
			all = append(all, name+" finds no device on this machine")
		}
	}
	return all
}

func hint(why string) string {
	for _, h := range hints {
		if strings.Contains(why, h.soname) {
			return "; " + h.hint
		}
	}
	return ""
}

// variant is the CPU library that is mapped into this process, the one that
// llama.cpp has chosen of many.
func variant() string {
	maps, err := files.ReadBounded("/proc/self/maps", maxMaps)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(maps)) {
		if name := filepath.Base(strings.TrimSpace(line)); strings.HasPrefix(name, "libggml-cpu-") {
			return name
		}
	}
	return ""
}
