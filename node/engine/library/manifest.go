package library

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const (
	manifestName = "verified"
	maxManifest  = 64 << 10  // a line of about 100 bytes for each of 20 files
	maxLibrary   = 256 << 20 // one library; the largest today has 6 MB
)

// pin is one line of sha256sums.
type pin struct{ sum, name string }

// pins are the files of a platform that are used.
func pins(platform string) ([]pin, error) {
	data, err := pinned.ReadFile(platform + "/sha256sums")
	if err != nil {
		return nil, fmt.Errorf("read pinned digests: %w", err)
	}
	return parsePins(data)
}

func parsePins(data []byte) ([]pin, error) {
	var all []pin
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		sum, name, ok := strings.Cut(s.Text(), "  ")
		raw, err := hex.DecodeString(sum)
		if !ok || err != nil || len(raw) != sha256.Size || name == "" || filepath.Base(name) != name || name[0] == '.' {
			return nil, fmt.Errorf("read pinned digests: bad line %q", s.Text())
		}
		all = append(all, pin{sum, name})
	}
	return all, nil
}

// manifest is what a folder says once all of it has been compared with the
// pinned digests: digest, size and name of each file.
//
// A folder whose manifest is the one expected was verified in full, against the
// same digests as this program's, and none of its files has another length
// since. It does not prove that nobody with write access changed bytes in place;
// such a person could change the program too.
func manifest(dir string, pins []pin) (string, error) {
	var b strings.Builder
	for _, p := range pins {
		st, err := os.Stat(filepath.Join(dir, p.name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s %d %s\n", p.sum, st.Size(), p.name)
	}
	return b.String(), nil
}

func check(dir, platform string) error {
	refuse := func(why any) error {
		return fmt.Errorf("%w: %s does not hold version %s for %s (%v); %s", ErrMissing, dir, Version, platform, why, fix)
	}
	pins, err := pins(platform)
	if err != nil {
		return refuse(err)
	}
	want, err := manifest(dir, pins)
	if err != nil {
		return refuse(err)
	}
	f, err := os.Open(filepath.Join(dir, manifestName))
	if err != nil {
		return refuse(err)
	}
	defer f.Close()
	got, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err != nil {
		return refuse(err)
	}
	if string(got) != want {
		return refuse("its files are not those that were verified")
	}
	for link, target := range links {
		if t, err := os.Readlink(filepath.Join(dir, link)); err != nil || t != target {
			return refuse("link " + link + " is wrong")
		}
	}
	return nil
}

// fileSum is the SHA-256 of a file in hex.
func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if n, err := io.Copy(h, io.LimitReader(f, maxLibrary)); err != nil {
		return "", err
	} else if n == maxLibrary {
		return "", fmt.Errorf("%s is longer than %d bytes", path, maxLibrary)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
