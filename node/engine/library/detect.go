package library

import (
	"bytes"
	"os"
	"path/filepath"

	"omx/node/files"
)

// machine is where hardware and drivers are looked for.
type machine struct {
	root        string
	libraryPath string // as in LD_LIBRARY_PATH
}

func thisMachine() machine {
	return machine{root: "/", libraryPath: os.Getenv("LD_LIBRARY_PATH")}
}

// Suited is the backend that suits a machine, and why.
type Suited struct {
	Backend string
	Why     string
	GPU     bool // there is a GPU's driver, whether or not a backend can use it
}

// Suits says which backend suits the machine whose files are below root, "/" for
// this one. The error is ErrMissing where there is none for its platform.
func Suits(root string) (Suited, error) {
	p, err := platform()
	if err != nil {
		return Suited{}, err
	}
	m := machine{root: root}
	if root == "/" {
		m = thisMachine()
	}
	nvidia, render := m.drivers()
	backend, why := m.choose(p)
	return Suited{backend, why, nvidia || render}, nil
}

// choose names the backend that suits the machine, and why. It looks at names
// only; whether the libraries get along with the driver, they say themselves
// once they are installed: omx engine info.
func (m machine) choose(platform string) (backend, why string) {
	if len(buildsFor(platform)) == 1 {
		return "cpu", "there is no other for " + platform
	}
	nvidia, render := m.drivers()
	switch {
	case nvidia && m.loads("libcudart.so.13") && m.loads("libcublas.so.13"):
		return "cuda", "the NVIDIA driver and the CUDA 13 runtime are here"
	case nvidia && m.loads("libcudart.so.12") && m.loads("libcublas.so.12"):
		return "cuda12", "the NVIDIA driver and the CUDA 12 runtime are here"
	case (nvidia || render) && m.loads("libvulkan.so.1"):
		return "vulkan", "a GPU's driver and the Vulkan loader are here"
	case nvidia:
		return "cpu", "there is an NVIDIA driver, but neither libcudart and libcublas 12 or 13 nor libvulkan.so.1"
	case render:
		return "cpu", "there is a GPU's driver, but not libvulkan.so.1"
	}
	return "cpu", "no GPU's driver was found"
}

// drivers says whether there is NVIDIA's driver, and whether any GPU's.
func (m machine) drivers() (nvidia, render bool) {
	nodes, _ := filepath.Glob(filepath.Join(m.root, "dev/dri/renderD*"))
	return m.exists("dev/nvidiactl") && m.loads("libcuda.so.1"), len(nodes) > 0
}

func (m machine) exists(path string) bool {
	_, err := os.Stat(filepath.Join(m.root, path))
	return err == nil
}

// loads says whether the dynamic loader would find a library.
func (m machine) loads(soname string) bool {
	for _, dir := range filepath.SplitList(m.libraryPath) {
		if dir != "" && m.exists(filepath.Join(dir, soname)) {
			return true
		}
	}
	for _, dir := range []string{"lib", "usr/lib", "lib64", "usr/lib64"} {
		if m.exists(filepath.Join(dir, soname)) {
			return true
		}
	}
	index, err := files.ReadBounded(filepath.Join(m.root, "etc/ld.so.cache"), maxIndex)
	return err == nil && bytes.Contains(index, []byte(soname+"\x00"))
}
