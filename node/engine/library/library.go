package library

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ErrMissing says that no usable engine libraries were found; its message ends
// with the command that installs them.
var ErrMissing = errors.New("no engine libraries")

// ErrChanged says besides that there are some, but of another version, or not as
// they were verified.
var ErrChanged = errors.New("does not hold version")

const fix = "run: omx engine install"

// Library is a checked folder of engine libraries.
type Library struct {
	Dir      string `json:"dir"`
	Version  string `json:"version"`
	Release  string `json:"llama_cpp"`
	Platform string `json:"platform"`
	Backend  string `json:"backend"`
}

// Find returns the libraries in the first of dirs that has some, the preferred
// backend first. A folder is either one given to Install or one that Install has
// published.
func Find(dirs ...string) (Library, error) {
	p, err := platform()
	if err != nil {
		return Library{}, err
	}
	var wrong error
	var looked []string
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		looked = append(looked, dir)
		var places []string
		for _, b := range buildsFor(p) {
			places = append(places, filepath.Join(dir, b.folder()))
		}
		for _, d := range append(places, dir) {
			if _, err := os.Lstat(filepath.Join(d, manifestName)); err != nil {
				continue
			}
			abs, err := filepath.Abs(d)
			if err != nil {
				return Library{}, fmt.Errorf("find engine libraries: %w", err)
			}
			b, err := check(abs, p)
			if err == nil {
				return Library{Dir: abs, Version: Version, Release: Release, Platform: p, Backend: b.backend}, nil
			}
			if wrong == nil { // one line says enough
				wrong = err
			}
		}
	}
	if wrong != nil {
		return Library{}, wrong
	}
	return Library{}, fmt.Errorf("%w in %s; %s", ErrMissing, strings.Join(looked, ", "), sought(p, looked).fix())
}

// sought is the build that the first place is for; none if it is for any.
func sought(platform string, dirs []string) build {
	for _, b := range buildsFor(platform) {
		if len(dirs) > 0 && filepath.Base(dirs[0]) == b.folder() {
			return b
		}
	}
	return build{}
}

// Only narrows places to the libraries of one backend.
func Only(backend string, dirs ...string) ([]string, error) {
	p, err := platform()
	if err != nil {
		return nil, err
	}
	b, err := find(p, backend)
	if err != nil {
		return nil, err
	}
	var some []string
	for _, dir := range dirs {
		if dir != "" {
			some = append(some, filepath.Join(dir, b.folder()))
		}
	}
	return some, nil
}

// Check says whether dir is a published folder of the version this program
// needs. See manifest for what that proves.
func Check(dir string) error {
	p, err := platform()
	if err != nil {
		return err
	}
	_, err = check(dir, p)
	return err
}

// Offer is a backend that can be installed on this platform.
type Offer struct {
	Backend  string `json:"backend"`
	Version  string `json:"version"`
	Release  string `json:"llama_cpp"`
	Download int64  `json:"download_bytes"`
	Dir      string `json:"dir,omitempty"` // where it is installed
	Used     bool   `json:"used"`          // is what Find returns
}

// Offers lists the backends for this platform, the preferred one first, and
// which of them are installed in dirs.
func Offers(dirs ...string) ([]Offer, error) {
	p, err := platform()
	if err != nil {
		return nil, err
	}
	used, _ := Find(dirs...)
	var all []Offer
	for _, b := range buildsFor(p) {
		o := Offer{Backend: b.backend, Version: Version, Release: Release, Used: used.Backend == b.backend}
		if o.Download, err = b.download(); err != nil {
			return nil, err
		}
		o.Dir = b.in(dirs)
		if o.Used {
			o.Dir = used.Dir
		}
		all = append(all, o)
	}
	return all, nil
}

// in is the first folder that holds the build, or "".
func (b build) in(dirs []string) string {
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		for _, d := range []string{filepath.Join(dir, b.folder()), dir} {
			if got, err := check(d, b.platform); err == nil && got.backend == b.backend {
				return d
			}
		}
	}
	return ""
}
