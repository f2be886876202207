package library

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Version is the version of the npm packages.
const Version = "3.22.1"

// ErrMissing says that no usable engine libraries were found; its message ends
// with the command that installs them.
var ErrMissing = errors.New("no engine libraries")

const fix = "run: omx engine install"

//go:embed linux-x64 linux-arm64
var pinned embed.FS

// platforms maps Go's names to npm's.
var platforms = map[string]string{"linux/amd64": "linux-x64", "linux/arm64": "linux-arm64"}

// links are the plain names that the binding opens.
var links = map[string]string{"libllama.so": "libllama.v0.5.0.so", "libggml.so": "libggml.v0.5.0.so"}

// Library is a checked folder of engine libraries.
type Library struct {
	Dir      string `json:"dir"`
	Version  string `json:"version"`
	Platform string `json:"platform"`
}

func platform() (string, error) {
	key := runtime.GOOS + "/" + runtime.GOARCH
	if p, ok := platforms[key]; ok {
		return p, nil
	}
	return "", fmt.Errorf("%w for %s yet, only for linux on amd64 and arm64; this node can still serve as a gateway to others", ErrMissing, key)
}

// folderName is where a version lies below an install folder.
func folderName(platform string) string { return Version + "-" + platform }

// Find returns the libraries in the first of dirs that has them. A folder is
// either one given to Install or one that Install has published.
func Find(dirs ...string) (Library, error) {
	p, err := platform()
	if err != nil {
		return Library{}, err
	}
	var wrong error
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		for _, d := range []string{filepath.Join(dir, folderName(p)), dir} {
			if _, err := os.Lstat(filepath.Join(d, manifestName)); err != nil {
				continue
			}
			abs, err := filepath.Abs(d)
			if err == nil {
				err = check(abs, p)
			}
			if err == nil {
				return Library{Dir: abs, Version: Version, Platform: p}, nil
			}
			wrong = errors.Join(wrong, err)
		}
	}
	if wrong != nil {
		return Library{}, wrong
	}
	return Library{}, fmt.Errorf("%w in %s; %s", ErrMissing, strings.Join(dirs, ", "), fix)
}

// Check says whether dir is a published folder of the version this program
// needs. See Library for what that proves.
func Check(dir string) error {
	p, err := platform()
	if err != nil {
		return err
	}
	return check(dir, p)
}
