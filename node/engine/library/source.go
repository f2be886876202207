package library

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// source is where libraries are taken from: a folder in which packages may lie
// packed, and one for these unpacked.
type source struct{ dir, unpacked string }

var errAbsent = errors.New("a file is missing")

// openSource takes a package as npm packs it (a .tgz file), or a folder: a
// package unpacked, several packages packed, a node_modules, what Install has
// published, or the folder above.
func openSource(ctx context.Context, from, work string, choices []build) (source, error) {
	st, err := os.Stat(from)
	if err != nil {
		return source{}, err
	}
	s := source{dir: from, unpacked: filepath.Join(work, "unpacked")}
	if st.IsDir() {
		return s, nil
	}
	s.dir = filepath.Join(work, "file")
	return s, unpackFile(ctx, from, s.dir, choices...)
}

// unpack unpacks the packages of a build that lie packed in the folder.
func (s source) unpack(ctx context.Context, b build) error {
	for _, pkg := range b.packages {
		file, dst := filepath.Join(s.dir, "node-llama-cpp-"+pkg+"-"+Version+".tgz"), filepath.Join(s.unpacked, pkg)
		if _, err := os.Lstat(dst); err == nil { // for another build
			continue
		}
		if err := unpackFile(ctx, file, dst, b); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// unpackFile unpacks what builds need of a package.
func unpackFile(ctx context.Context, file, dst string, builds ...build) error {
	wanted := map[string]bool{}
	for _, b := range builds {
		pins, err := b.pins()
		if err != nil {
			return err
		}
		for _, p := range pins {
			wanted[p.path] = true
		}
	}
	// Looked at before it is opened: to open a pipe waits.
	if st, err := os.Stat(file); err != nil {
		return err
	} else if !st.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(stoppable{ctx, f})
	if err != nil {
		return fmt.Errorf("%s is not a package as npm packs it: %w", file, err)
	}
	if err := unpack(z, dst, wanted); err != nil {
		return fmt.Errorf("unpack %s: %w", file, err)
	}
	return nil
}

// unpack writes the wanted files of a package. A name is either one of these,
// letter for letter, or passed over, so none leads elsewhere; links are no files.
func unpack(packed io.Reader, dst string, wanted map[string]bool) error {
	bounded := &io.LimitedReader{R: packed, N: maxPackage}
	written := int64(0) // may be more than was read: a file may have holes
	for t := tar.NewReader(bounded); ; {
		h, err := t.Next()
		if bounded.N == 0 {
			return fmt.Errorf("it has more than %d bytes", maxPackage)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, ok := strings.CutPrefix(h.Name, "package/")
		if !ok || !wanted[name] {
			continue
		}
		if written += h.Size; h.Typeflag != tar.TypeReg || h.Size > maxLibrary || written > maxPackage {
			return fmt.Errorf("%s in it is not a file of at most %d bytes", name, maxLibrary)
		}
		if err := writeNew(filepath.Join(dst, filepath.FromSlash(name)), t); err != nil {
			return err
		}
	}
}

func writeNew(path string, from io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, from); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// make copies the first of the builds that is there to dst, each file compared
// with its digest on the way, and writes the manifest last.
func (s source) make(ctx context.Context, choices []build, dst string) (build, error) {
	var wrong error
	for _, b := range choices {
		err := s.makeOne(ctx, b, dst)
		if err == nil {
			return b, nil
		}
		if wrong == nil || errors.Is(wrong, errAbsent) && !errors.Is(err, errAbsent) {
			wrong = err
		}
		if err := os.RemoveAll(dst); err != nil {
			return build{}, err
		}
	}
	return build{}, wrong
}

func (s source) makeOne(ctx context.Context, b build, dst string) error {
	if err := s.unpack(ctx, b); err != nil {
		return err
	}
	pins, err := b.pins()
	if err != nil {
		return err
	}
	// All are looked for before any is copied: what is not there costs nothing.
	from := make([]string, len(pins))
	for i, p := range pins {
		if from[i], err = s.find(b, p); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dst, 0o755); err != nil {
		return err
	}
	for i, p := range pins {
		if err := p.take(ctx, from[i], filepath.Join(dst, p.name())); err != nil {
			return err
		}
	}
	licence, err := fs.ReadFile(pinned, "pins/LICENSE")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dst, "LICENSE"), licence, 0o644); err != nil {
		return err
	}
	for link, target := range b.links() {
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

// find looks for a file of a build in all the places where it may be.
func (s source) find(b build, p pin) (string, error) {
	scoped := filepath.Join("@node-llama-cpp", p.pkg)
	for _, place := range []string{
		filepath.Join(s.unpacked, p.pkg, p.path),
		filepath.Join(s.dir, b.folder(), p.name()),
		filepath.Join(s.dir, p.name()),
		filepath.Join(s.dir, p.path),
		filepath.Join(s.dir, "package", p.path),
		filepath.Join(s.dir, scoped, p.path),
		filepath.Join(s.dir, "node_modules", scoped, p.path),
	} {
		if st, err := os.Lstat(place); err == nil && st.Mode().IsRegular() {
			return place, nil
		}
	}
	return "", fmt.Errorf("%w: %s of the %s libraries %s is not in %s; get it elsewhere with: npm pack @node-llama-cpp/%s@%s", errAbsent, p.name(), b.backend, Version, s.dir, p.pkg, Version)
}

// take copies one file if its digest is right.
func (p pin) take(ctx context.Context, from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if err := p.copy(dst, stoppable{ctx, src}); err != nil {
		dst.Close()
		return err
	}
	return dst.Close()
}

// stoppable ends when its context does: libraries are large.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

func (s stoppable) Read(b []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(b)
}
