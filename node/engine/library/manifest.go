package library

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"omx/node/files"
)

const manifestName = "verified"

func parsePins(pkg string, data []byte) ([]pin, error) {
	var all []pin
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		sum, name, ok := strings.Cut(s.Text(), "  ")
		raw, err := hex.DecodeString(sum)
		if !ok || err != nil || len(raw) != sha256.Size || !strings.HasPrefix(name, "bins/") || path.Clean(name) != name || strings.HasPrefix(path.Base(name), ".") {
			return nil, fmt.Errorf("read pinned digests: bad line %q", s.Text())
		}
		all = append(all, pin{sum, pkg, name})
	}
	return all, nil
}

// manifest is what a folder says once all of it has been compared with the
// pinned digests: digest, size and name of each file.
//
// A folder whose manifest is the one expected was verified in full, against the
// same digests as this program's, and none of its files has another length
// since. The files that the binding calls into are compared by digest each time
// as well. It does not prove that nobody with write access changes bytes later,
// even between this look and the loading; such a person could change the
// program too.
func manifest(dir string, pins []pin) (string, error) {
	var b strings.Builder
	for _, p := range pins {
		st, err := os.Stat(filepath.Join(dir, p.name()))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s %d %s\n", p.sum, st.Size(), p.name())
	}
	return b.String(), nil
}

// check says which build a published folder holds, or why it may not be loaded.
func check(dir, platform string) (build, error) {
	refuse := func(b build, why any) (build, error) {
		return b, fmt.Errorf("%w: %s %w %s for %s (%v); %s", ErrMissing, dir, ErrChanged, Version, platform, why, b.fix())
	}
	data, err := files.ReadBounded(filepath.Join(dir, manifestName), maxManifest)
	if err != nil {
		return refuse(sought(platform, []string{dir}), err)
	}
	for _, b := range buildsFor(platform) {
		pins, err := b.pins()
		if err != nil {
			return refuse(b, err)
		}
		if !claims(string(data), pins) {
			continue
		}
		if err := b.compare(dir, string(data), pins); err != nil {
			return refuse(b, err)
		}
		return b, nil
	}
	return refuse(sought(platform, []string{dir}), "its files are not of this version")
}

// claims says whether a manifest names these files, of whatever size.
func claims(manifest string, pins []pin) bool {
	n := 0
	for line := range strings.Lines(manifest) {
		f := strings.Fields(line)
		if n >= len(pins) || len(f) != 3 || f[0] != pins[n].sum || f[2] != pins[n].name() {
			return false
		}
		n++
	}
	return n == len(pins)
}

// compare looks whether the files of a folder are still those of its manifest.
func (b build) compare(dir, claimed string, pins []pin) error {
	now, err := manifest(dir, pins)
	if err != nil {
		return err
	}
	if now != claimed {
		return fmt.Errorf("its files are not those that were verified")
	}
	links := b.links()
	for link, target := range links {
		if t, err := os.Readlink(filepath.Join(dir, link)); err != nil || t != target {
			return fmt.Errorf("link %s is wrong", link)
		}
	}
	for _, p := range pins {
		// Structures go by value between the binding and these three.
		if n := p.name(); n != "libggml-base.so" && n != links["libllama.so"] && n != links["libggml.so"] {
			continue
		}
		f, err := os.Open(filepath.Join(dir, p.name()))
		if err != nil {
			return err
		}
		err = p.copy(io.Discard, f)
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// copy copies a file and compares it with its digest on the way.
func (p pin) copy(dst io.Writer, src io.Reader) error {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(dst, h), io.LimitReader(src, maxLibrary))
	if err != nil {
		return err
	}
	if n == maxLibrary {
		return fmt.Errorf("%s is longer than %d bytes", p.name(), maxLibrary)
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != p.sum {
		return fmt.Errorf("%s is not the file this program was made for (SHA-256 %s, want %s)", p.name(), sum, p.sum)
	}
	return nil
}
