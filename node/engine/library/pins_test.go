package library

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What is pinned must be complete for each build.
func TestPinned(t *testing.T) {
	for _, b := range builds {
		t.Run(b.folder(), func(t *testing.T) {
			pins, err := b.pins()
			if err != nil {
				t.Fatal(err)
			}
			names := map[string]pin{}
			for _, p := range pins {
				if names[p.name()] != (pin{}) {
					t.Errorf("%s is there twice", p.name())
				}
				names[p.name()] = p
			}
			for link, target := range b.links() {
				if names[target] == (pin{}) {
					t.Errorf("the target of %s is not pinned", link)
				}
			}
			if names["libggml-base.so"] == (pin{}) || len(pins) < 10 {
				t.Errorf("only %d files", len(pins))
			}
			gpu := "libggml-" + strings.TrimSuffix(b.backend, "12") + ".so"
			if b.backend != "cpu" && names[gpu] == (pin{}) {
				t.Errorf("%s is not pinned", gpu)
			}
			if b.backend == "cuda12" && !strings.Contains(names[gpu].path, "fallback") {
				t.Errorf("CUDA 12 takes %s", names[gpu].path)
			}
			if n, err := b.download(); err != nil || n < 5<<20 {
				t.Errorf("download of %d bytes, %v", n, err)
			}
		})
	}
}

// The builds of a platform are told apart by what the binding calls, and have
// the same libraries for the CPU.
func TestBuildsShareTheCPU(t *testing.T) {
	seen := map[string]string{}
	for _, b := range builds {
		pins, err := b.pins()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pins {
			if n := b.platform + " " + p.name(); strings.Contains(n, "libggml-cpu-") || strings.Contains(n, "libggml-base") {
				if seen[n] != "" && seen[n] != p.sum {
					t.Errorf("%s differs between builds", n)
				}
				seen[n] = p.sum
			}
		}
	}
}

// npm is told exact packages by digest, and no registry.
func TestLock(t *testing.T) {
	for _, b := range builds {
		dir := t.TempDir()
		if err := b.writeLock(dir); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
		if err != nil {
			t.Fatal(err)
		}
		var lock struct {
			LockfileVersion int
			Packages        map[string]struct{ Version, Integrity string }
		}
		if err := json.Unmarshal(text, &lock); err != nil {
			t.Fatal(err)
		}
		if lock.LockfileVersion != 3 || len(lock.Packages) != len(b.packages)+1 || strings.Contains(string(text), "://") {
			t.Errorf("%s: lock file %s", b.folder(), text)
		}
		for _, name := range b.packages {
			if p := lock.Packages["node_modules/@node-llama-cpp/"+name]; p.Version != Version || !strings.HasPrefix(p.Integrity, "sha512-") {
				t.Errorf("%s: %s is locked as %+v", b.folder(), name, p)
			}
		}
	}
}

func FuzzParsePins(f *testing.F) {
	f.Add([]byte(strings.Repeat("0", 64) + "  bins/x/libllama.so\n"))
	f.Add([]byte("00  ../x\n"))
	f.Add([]byte(strings.Repeat("0", 64) + "  bins/../../x\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parsePins("p", data)
		for _, p := range list {
			if err == nil && (len(p.sum) != 64 || !filepath.IsLocal(p.path) || path.Base(p.name()) != p.name() || strings.HasPrefix(p.name(), ".")) {
				t.Errorf("accepted %+v", p)
			}
		}
	})
}

// A machine with these files gets this backend.
func TestChoose(t *testing.T) {
	nvidia := []string{"dev/nvidiactl", "usr/lib64/libcuda.so.1"}
	tests := []struct {
		name, want, says string
		files            []string
		index            string // sonames in the dynamic loader's
	}{
		{"nothing", "cpu", "no GPU's driver", nil, ""},
		{"loader only", "cpu", "no GPU's driver", []string{"usr/lib/libvulkan.so.1"}, ""},
		{"GPU without loader", "cpu", "not libvulkan.so.1", []string{"dev/dri/renderD128"}, ""},
		{"a display is no GPU", "cpu", "no GPU's driver", []string{"dev/dri/card0", "usr/lib/libvulkan.so.1"}, ""},
		{"GPU and loader", "vulkan", "Vulkan loader", []string{"dev/dri/renderD128"}, "libvulkan.so.1"},
		{"CUDA 13", "cuda", "CUDA 13", nvidia, "libcudart.so.13 libcublas.so.13 libcudart.so.12 libcublas.so.12"},
		{"CUDA 12", "cuda12", "CUDA 12", nvidia, "libcudart.so.12 libcublas.so.12 libvulkan.so.1"},
		{"CUDA 11", "vulkan", "Vulkan", nvidia, "libcudart.so.11.0 libcublas.so.11 libvulkan.so.1"},
		{"driver only", "cpu", "neither libcudart", nvidia, ""},
		{"runtime without driver", "cpu", "no GPU's driver", nil, "libcudart.so.13 libcublas.so.13"},
		{"library without device", "cpu", "no GPU's driver", nvidia[1:], "libcudart.so.13 libcublas.so.13"},
		{"in the search path", "vulkan", "Vulkan", []string{"dev/dri/renderD128", "opt/vk/libvulkan.so.1"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			write := func(name, text string) {
				path := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range tt.files {
				write(f, "")
			}
			var index string
			for _, soname := range strings.Fields(tt.index) {
				index += soname + "\x00/opt/" + soname + "\x00"
			}
			write("etc/ld.so.cache", index)
			got, why := machine{root, "/opt/vk"}.choose("linux-x64")
			if got != tt.want || !strings.Contains(why, tt.says) {
				t.Errorf("%s because %s, want %s", got, why, tt.want)
			}
			if suited, err := Suits(root); err == nil && suited.GPU == strings.Contains(why, "no GPU's driver") {
				t.Errorf("a GPU: %v, though %s", suited.GPU, why)
			}
		})
	}
	if got, _ := thisMachine().choose("linux-arm64"); got != "cpu" {
		t.Errorf("linux-arm64 gets %s", got)
	}
	for _, b := range builds {
		if !slices.Contains([]string{"cpu", "vulkan", "cuda", "cuda12"}, b.backend) {
			t.Errorf("the command does not know %s", b.backend)
		}
	}
}
