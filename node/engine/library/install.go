package library

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Options say what Install does.
type Options struct {
	// Dir is made if need be; the libraries come below it.
	Dir string
	// Backend is one of those that Offers lists; "" or "auto" chooses by what is
	// on this machine.
	Backend string
	// From is a file or folder to take the libraries from, in place of npm: see
	// openSource.
	From string
}

// Install puts the libraries of this platform into a folder: fetches them,
// compares every file with its pinned digest and publishes them by one rename.
// It is quick when they are there already; several installations at once do no
// harm.
func Install(ctx context.Context, o Options, progress io.Writer) error {
	p, err := platform()
	if err != nil {
		return err
	}
	choices, err := choose(o, p, progress)
	if err != nil {
		return err
	}
	first := choices[0]
	if got, err := check(filepath.Join(o.Dir, first.folder()), p); o.From == "" && err == nil && got.backend == first.backend {
		fmt.Fprintf(progress, "engine libraries %s (%s) are in %s\n", Version, first.backend, filepath.Join(o.Dir, first.folder()))
		return nil
	}
	if err := install(ctx, o, choices, progress); err != nil {
		return fmt.Errorf("install engine libraries: %w", err)
	}
	return nil
}

// choose lists the builds to install, the best first; from a folder whichever is
// there will do.
func choose(o Options, platform string, progress io.Writer) ([]build, error) {
	if o.Backend != "" && o.Backend != "auto" {
		b, err := find(platform, o.Backend)
		return []build{b}, err
	}
	backend, why := thisMachine().choose(platform)
	b, err := find(platform, backend)
	if err != nil {
		return nil, err
	}
	if o.From == "" {
		fmt.Fprintf(progress, "backend %s: %s; --backend chooses another\n", backend, why)
		return []build{b}, nil
	}
	return append([]build{b}, buildsFor(platform)...), nil
}

func install(ctx context.Context, o Options, choices []build, progress io.Writer) error {
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(o.Dir, ".install-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)

	src := source{dir: work, unpacked: filepath.Join(work, "unpacked")}
	if o.From != "" {
		src, err = openSource(ctx, o.From, work, choices)
	} else {
		err = fetch(ctx, work, choices[0], progress)
	}
	if err != nil {
		return err
	}
	made := filepath.Join(work, "made")
	b, err := src.make(ctx, choices, made)
	if err != nil {
		return err
	}
	final := filepath.Join(o.Dir, b.folder())
	if err := publish(made, final, b.platform, filepath.Join(work, "old")); err != nil {
		return err
	}
	fmt.Fprintf(progress, "verified and installed in %s\n", final)
	return nil
}

// fetch has npm download the packages of a build.
func fetch(ctx context.Context, work string, b build, progress io.Writer) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return errors.New("npm is missing; install it: apt-get install npm; or take them from elsewhere: omx engine install --from FILE")
	}
	size, err := b.download()
	if err != nil {
		return err
	}
	if err := b.writeLock(work); err != nil {
		return err
	}
	fmt.Fprintf(progress, "downloading %s libraries %s for %s with npm, %.0f MB\n", b.backend, Version, b.platform, float64(size)/1e6)
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir, cmd.Stdout, cmd.Stderr = work, progress, progress
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("npm: %w; its messages are above, check its network access and try again", err)
	}
	return nil
}

// writeLock writes what makes npm fetch the pinned packages and no others. There
// are no "resolved" lines, so that any registry serves.
func (b build) writeLock(dir string) error {
	pkgs, err := b.pkgs()
	if err != nil {
		return err
	}
	type locked struct {
		Version      string            `json:"version,omitempty"`
		Integrity    string            `json:"integrity,omitempty"`
		Dependencies map[string]string `json:"dependencies,omitempty"`
	}
	type project struct {
		Private      bool              `json:"private,omitempty"`
		LockVersion  int               `json:"lockfileVersion,omitempty"`
		Requires     bool              `json:"requires,omitempty"`
		Dependencies map[string]string `json:"dependencies,omitempty"`
		Packages     map[string]locked `json:"packages,omitempty"`
	}
	needs, all := map[string]string{}, map[string]locked{}
	for _, p := range pkgs {
		needs["@node-llama-cpp/"+p.name] = Version
		all["node_modules/@node-llama-cpp/"+p.name] = locked{Version: Version, Integrity: p.integrity}
	}
	all[""] = locked{Dependencies: needs}
	for name, v := range map[string]project{
		"package.json":      {Private: true, Dependencies: needs},
		"package-lock.json": {LockVersion: 3, Requires: true, Packages: all},
	} {
		text, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// publish renames made to final. What was at final goes aside first; if another
// installation was quicker, its result stands.
func publish(made, final, platform, aside string) error {
	if err := os.Rename(final, aside); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	err := os.Rename(made, final)
	if err == nil {
		return nil
	}
	if _, wrong := check(final, platform); wrong == nil {
		return nil
	}
	return err
}
