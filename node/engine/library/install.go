package library

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// installTimeout bounds npm: the package has 11 MB, so even 20 kB/s suffice.
const installTimeout = 10 * time.Minute

// Install puts the libraries of this platform below dir, which is made if need
// be: downloads them with npm, compares every file with its pinned digest and
// publishes them by one rename. It is quick when they are there already; several
// installations at once do no harm.
func Install(ctx context.Context, dir string, progress io.Writer) error {
	p, err := platform()
	if err != nil {
		return err
	}
	final := filepath.Join(dir, folderName(p))
	if check(final, p) == nil {
		fmt.Fprintf(progress, "engine libraries %s are in %s\n", Version, final)
		return nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return errors.New("install engine libraries: npm is missing; install it: apt-get install npm")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("install engine libraries: %w", err)
	}
	work, err := os.MkdirTemp(dir, ".install-")
	if err != nil {
		return fmt.Errorf("install engine libraries: %w", err)
	}
	defer os.RemoveAll(work)

	fmt.Fprintf(progress, "downloading engine libraries %s for %s with npm\n", Version, p)
	if err := download(ctx, npm, work, p, progress); err != nil {
		return err
	}
	made := filepath.Join(work, "made")
	if err := verify(filepath.Join(work, "node_modules", "@node-llama-cpp", p), made, p); err != nil {
		return fmt.Errorf("install engine libraries: %w", err)
	}
	if err := publish(made, final, p, filepath.Join(work, "old")); err != nil {
		return fmt.Errorf("install engine libraries: %w", err)
	}
	fmt.Fprintf(progress, "verified and installed in %s\n", final)
	return nil
}

func download(ctx context.Context, npm, work, platform string, progress io.Writer) error {
	for _, name := range []string{"package.json", "package-lock.json"} {
		data, err := pinned.ReadFile(platform + "/" + name)
		if err == nil {
			err = os.WriteFile(filepath.Join(work, name), data, 0o644)
		}
		if err != nil {
			return fmt.Errorf("install engine libraries: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir, cmd.Stdout, cmd.Stderr = work, progress, progress
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("install engine libraries: npm: %w; its messages are above, check its network access and try again", err)
	}
	return nil
}

// verify moves the pinned files of an unpacked package to dst, each compared
// with its digest, and writes the manifest last.
func verify(pkg, dst, platform string) error {
	pins, err := pins(platform)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dst, 0o755); err != nil {
		return err
	}
	for _, p := range pins {
		src := filepath.Join(pkg, "bins", platform, p.name)
		sum, err := fileSum(src)
		if err != nil {
			return err
		}
		if sum != p.sum {
			return fmt.Errorf("%s is not the file this program was made for (SHA-256 %s, want %s)", p.name, sum, p.sum)
		}
		if err := os.Rename(src, filepath.Join(dst, p.name)); err != nil {
			return err
		}
	}
	if err := os.Rename(filepath.Join(pkg, "LICENSE"), filepath.Join(dst, "LICENSE")); err != nil {
		return err
	}
	for link, target := range links {
		if err := os.Symlink(target, filepath.Join(dst, link)); err != nil {
			return err
		}
	}
	text, err := manifest(dst, pins)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dst, manifestName), []byte(text), 0o644)
}

// publish renames made to final. What was at final goes aside first; if another
// installation was quicker, its result stands.
func publish(made, final, platform, aside string) error {
	if err := os.Rename(final, aside); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	err := os.Rename(made, final)
	if err != nil && check(final, platform) == nil {
		return nil
	}
	return err
}
