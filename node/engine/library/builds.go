package library

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"strconv"
	"strings"
)

// Version is the version of the npm packages.
const Version = "3.22.1"

// Release is the release of llama.cpp that they were built from.
const Release = "v0.5.0"

//go:embed pins
var embedded embed.FS

// pinned is a variable for tests alone.
var pinned fs.FS = embedded

// platforms maps Go's names to npm's. There is none for darwin: its packages
// stop at llama.cpp v0.4.0, which is another ABI than the binding's.
var platforms = map[string]string{"linux/amd64": "linux-x64", "linux/arm64": "linux-arm64"}

// build is a set of libraries that were built together.
type build struct {
	platform string
	backend  string
	tag      string   // in the names of its libllama and libggml
	packages []string // of npm; a file of a later one replaces that of an earlier one
}

// builds are in the order of preference, where several are installed. All of a
// platform have the same libraries for the CPU, byte for byte.
var builds = []build{
	{"linux-x64", "cuda", "cuda.", []string{"linux-x64-cuda"}},
	{"linux-x64", "cuda12", "cuda.", []string{"linux-x64-cuda", "linux-x64-cuda-ext"}},
	{"linux-x64", "vulkan", "vulkan.", []string{"linux-x64-vulkan"}},
	{"linux-x64", "cpu", "", []string{"linux-x64"}},
	{"linux-arm64", "cpu", "", []string{"linux-arm64"}},
}

func platform() (string, error) {
	key := runtime.GOOS + "/" + runtime.GOARCH
	if p, ok := platforms[key]; ok {
		return p, nil
	}
	return "", fmt.Errorf("%w for %s yet, only for linux on amd64 and arm64; this node can still serve as a gateway to others", ErrMissing, key)
}

// buildsFor are the builds for a platform, the preferred one first.
func buildsFor(platform string) []build {
	var some []build
	for _, b := range builds {
		if b.platform == platform {
			some = append(some, b)
		}
	}
	return some
}

func find(platform, backend string) (build, error) {
	var names []string
	for _, b := range buildsFor(platform) {
		if b.backend == backend {
			return b, nil
		}
		names = append(names, b.backend)
	}
	return build{}, fmt.Errorf("there is no backend %q for %s, choose one of: %s", backend, platform, strings.Join(names, ", "))
}

// folder is where a build lies below an install folder.
func (b build) folder() string {
	if b.backend == "cpu" {
		return Version + "-" + b.platform
	}
	return Version + "-" + b.platform + "-" + b.backend
}

// links are the plain names that the binding opens.
func (b build) links() map[string]string {
	return map[string]string{"libllama.so": "libllama." + b.tag + Release + ".so", "libggml.so": "libggml." + b.tag + Release + ".so"}
}

// fix is the command that installs the build.
func (b build) fix() string {
	if b.backend == "" || b.backend == "cpu" {
		return fix
	}
	return fix + " --backend " + b.backend
}

// pin is one file of a package.
type pin struct{ sum, pkg, path string }

func (p pin) name() string { return path.Base(p.path) }

// pins are the files of a build.
func (b build) pins() ([]pin, error) {
	var all []pin
	for _, pkg := range b.packages {
		data, err := fs.ReadFile(pinned, "pins/"+pkg+".sha256")
		if err != nil {
			return nil, fmt.Errorf("read pinned digests: %w", err)
		}
		some, err := parsePins(pkg, data)
		if err != nil {
			return nil, err
		}
		for _, p := range some {
			all = replace(all, p)
		}
	}
	return all, nil
}

func replace(all []pin, p pin) []pin {
	for i := range all {
		if all[i].name() == p.name() {
			all[i] = p
			return all
		}
	}
	return append(all, p)
}

// pkg is one npm package.
type pkg struct {
	name      string
	bytes     int64 // packed
	integrity string
}

func (b build) pkgs() ([]pkg, error) {
	data, err := fs.ReadFile(pinned, "pins/packages")
	if err != nil {
		return nil, fmt.Errorf("read pinned packages: %w", err)
	}
	known := map[string]pkg{}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) != 3 {
			return nil, fmt.Errorf("read pinned packages: bad line %q", line)
		}
		n, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read pinned packages: %w", err)
		}
		known[f[0]] = pkg{f[0], n, f[2]}
	}
	var all []pkg
	for _, name := range b.packages {
		p, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("read pinned packages: %s is missing", name)
		}
		all = append(all, p)
	}
	return all, nil
}

// download is how much npm fetches, in bytes.
func (b build) download() (int64, error) {
	pkgs, err := b.pkgs()
	var n int64
	for _, p := range pkgs {
		n += p.bytes
	}
	return n, err
}
