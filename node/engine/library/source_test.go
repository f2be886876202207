package library

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
)

// small pins short files in place of the libraries, all builds of linux-x64, and
// returns what each package holds: path and content.
func small(t testing.TB) map[string]map[string]string {
	t.Helper()
	content, pins := map[string]map[string]string{}, fstest.MapFS{"pins/LICENSE": {Data: []byte("free")}}
	var packages strings.Builder
	for _, b := range buildsFor("linux-x64") {
		all, err := b.pins()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			if content[p.pkg] == nil {
				content[p.pkg] = map[string]string{}
				fmt.Fprintf(&packages, "%s 1000 sha512-x\n", p.pkg)
			}
			content[p.pkg][p.path] = p.sum // as good as any
		}
	}
	for pkg, files := range content {
		var sums strings.Builder
		for path, text := range files {
			sum := sha256.Sum256([]byte(text))
			fmt.Fprintf(&sums, "%s  %s\n", hex.EncodeToString(sum[:]), path)
		}
		pins["pins/"+pkg+".sha256"] = &fstest.MapFile{Data: []byte(sums.String())}
	}
	pins["pins/packages"] = &fstest.MapFile{Data: []byte(packages.String())}
	oldPins, oldPlatforms := pinned, platforms
	pinned, platforms = pins, map[string]string{runtime.GOOS + "/" + runtime.GOARCH: "linux-x64"}
	t.Cleanup(func() { pinned, platforms = oldPins, oldPlatforms })
	return content
}

func spread(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for path, text := range files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// packed is a package as npm packs it.
func packed(t testing.TB, files map[string]string, more ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	put := func(h tar.Header, text string) {
		h.Mode = 0o644
		if h.Typeflag == 0 || h.Typeflag == tar.TypeReg {
			h.Size = int64(len(text))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, text); err != nil {
				t.Fatal(err)
			}
		}
	}
	for path, text := range files {
		put(tar.Header{Name: "package/" + path}, text)
	}
	for _, h := range more {
		put(h, "evil")
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func from(t testing.TB, dir, backend, path string) error {
	t.Helper()
	var said bytes.Buffer
	err := Install(t.Context(), Options{Dir: dir, Backend: backend, From: path}, &said)
	if err != nil && strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".install-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	return err
}

func TestInstallFrom(t *testing.T) {
	content := small(t)
	t.Setenv("PATH", "") // no npm
	tgz := func(pkg string) string { return "node-llama-cpp-" + pkg + "-" + Version + ".tgz" }
	layouts := map[string]func(dir, pkg string) string{
		"unpacked":     func(dir, pkg string) string { spread(t, dir, content[pkg]); return dir },
		"package":      func(dir, pkg string) string { spread(t, dir+"/package", content[pkg]); return dir },
		"node_modules": func(dir, pkg string) string { spread(t, dir+"/@node-llama-cpp/"+pkg, content[pkg]); return dir },
		"above it": func(dir, pkg string) string {
			spread(t, dir+"/node_modules/@node-llama-cpp/"+pkg, content[pkg])
			return dir
		},
		"packed": func(dir, pkg string) string {
			spread(t, dir, map[string]string{tgz(pkg): string(packed(t, content[pkg]))})
			return dir
		},
	}
	for name, lay := range layouts {
		for _, b := range buildsFor("linux-x64") {
			for _, ask := range []string{b.backend, "auto"} {
				if name == "unpacked" && b.backend == "cuda12" || name == "package" && b.backend == "cuda12" || ask == "auto" && b.backend == "cuda12" {
					continue // two packages beside each other; and the first of them alone is cuda
				}
				t.Run(name+" "+b.backend+" "+ask, func(t *testing.T) {
					src, dir := t.TempDir()+"/[a]*", t.TempDir()
					for _, pkg := range b.packages {
						src = lay(src, pkg)
					}
					if err := from(t, dir, ask, src); err != nil {
						t.Fatal(err)
					}
					lib, err := Find(dir)
					if err != nil || lib.Backend != b.backend {
						t.Fatalf("Find = %+v, %v", lib, err)
					}
					// And from there to another machine, folder and the one above.
					for _, published := range []string{lib.Dir, dir} {
						other := t.TempDir()
						if err := from(t, other, ask, published); err != nil {
							t.Fatal(err)
						}
						if again, err := Find(other); err != nil || again.Backend != b.backend {
							t.Errorf("Find = %+v, %v", again, err)
						}
					}
				})
			}
		}
	}
	t.Run("file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "any name")
		spread(t, filepath.Dir(file), map[string]string{"any name": string(packed(t, content["linux-x64-vulkan"]))})
		dir := t.TempDir()
		if err := from(t, dir, "auto", file); err != nil {
			t.Fatal(err)
		}
		if lib, err := Find(dir); err != nil || lib.Backend != "vulkan" {
			t.Errorf("Find = %+v, %v", lib, err)
		}
		if err := from(t, dir, "cpu", file); err == nil || !strings.Contains(err.Error(), "of the cpu libraries") {
			t.Errorf("another backend than is in it: %v", err)
		}
	})
}

func TestInstallFromRefuses(t *testing.T) {
	content := small(t)
	lib := "bins/linux-x64/libggml-base.so"
	changed := func(path, text string) map[string]string {
		files := map[string]string{}
		for p, x := range content["linux-x64"] {
			files[p] = x
		}
		if files[path] = text; text == "" {
			delete(files, path)
		}
		return files
	}
	tests := []struct {
		name, want string
		lay        func(dir string) (from string)
	}{
		{"nothing there", "no such file", func(dir string) string { return dir + "/none" }},
		{"empty folder", "is not in", func(dir string) string { return dir }},
		{"file missing", "libggml-base.so of the cpu libraries", func(dir string) string { spread(t, dir, changed(lib, "")); return dir }},
		{"another version's file", "libggml-base.so is not the file", func(dir string) string { spread(t, dir, changed(lib, "v0.6.0")); return dir }},
		{"link to a file", "libggml-base.so of the cpu libraries", func(dir string) string {
			spread(t, dir, changed(lib, ""))
			spread(t, dir, map[string]string{"other": content["linux-x64"][lib]})
			if err := os.Symlink(dir+"/other", filepath.Join(dir, lib)); err != nil {
				t.Fatal(err)
			}
			return dir
		}},
		{"not packed", "not a package as npm packs it", func(dir string) string {
			spread(t, dir, map[string]string{"x.tgz": "hello"})
			return dir + "/x.tgz"
		}},
		{"cut off", "unexpected EOF", func(dir string) string {
			b := packed(t, content["linux-x64"])
			spread(t, dir, map[string]string{"x.tgz": string(b[:len(b)/2])})
			return dir + "/x.tgz"
		}},
		{"pipe", "is not a file", func(dir string) string {
			if err := syscall.Mkfifo(dir+"/x.tgz", 0o600); err != nil {
				t.Fatal(err)
			}
			return dir + "/x.tgz"
		}},
		{"device", "is not a file", func(string) string { return os.DevNull }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			err := from(t, dir, "cpu", tt.lay(t.TempDir()))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// Who waits for a large copy may change their mind.
func TestInstallFromStops(t *testing.T) {
	content := small(t)
	src := t.TempDir()
	spread(t, src, content["linux-x64"])
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Install(ctx, Options{Dir: t.TempDir(), Backend: "cpu", From: src}, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// below lists the files and links in a folder.
func below(t testing.TB, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			path, err = filepath.Rel(dir, path)
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Nothing in a package is written but the wanted names, and no link is made.
func TestUnpackHostile(t *testing.T) {
	wanted := map[string]bool{"bins/p/libllama.so": true, "bins/p/libggml.so": true}
	tests := []struct {
		name   string
		more   []tar.Header
		refuse bool
	}{
		{"up", []tar.Header{{Name: "package/../../evil"}, {Name: "../evil"}, {Name: "package/bins/p/../../../../evil"}}, false},
		{"absolute", []tar.Header{{Name: "/tmp/evil"}, {Name: "package//bins/p/libggml.so"}}, false},
		{"other names", []tar.Header{{Name: "package/bins/p/libevil.so"}, {Name: "bins/p/libggml.so"}, {Name: "package/bins/p/libggml.so "}}, false},
		{"link out", []tar.Header{{Name: "package/bins", Typeflag: tar.TypeSymlink, Linkname: "/tmp"}, {Name: "package/bins/p", Typeflag: tar.TypeSymlink, Linkname: "/tmp"}}, false},
		{"link for a file", []tar.Header{{Name: "package/bins/p/libggml.so", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}}, true},
		{"hard link for a file", []tar.Header{{Name: "package/bins/p/libggml.so", Typeflag: tar.TypeLink, Linkname: "package/bins/p/libllama.so"}}, true},
		{"device for a file", []tar.Header{{Name: "package/bins/p/libggml.so", Typeflag: tar.TypeChar}}, true},
		{"folder for a file", []tar.Header{{Name: "package/bins/p/libggml.so", Typeflag: tar.TypeDir}}, true},
		{"the same twice", []tar.Header{{Name: "package/bins/p/libllama.so"}}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			dst := filepath.Join(root, "a", "b")
			if err := os.MkdirAll(dst, 0o755); err != nil {
				t.Fatal(err)
			}
			z, err := gzip.NewReader(bytes.NewReader(packed(t, map[string]string{"bins/p/libllama.so": "good"}, tt.more...)))
			if err != nil {
				t.Fatal(err)
			}
			if err := unpack(z, dst, wanted); (err != nil) != tt.refuse {
				t.Errorf("error %v, want one: %v", err, tt.refuse)
			}
			if got := below(t, root); !slices.Equal(got, []string{"a/b/bins/p/libllama.so"}) {
				t.Errorf("written: %v", got)
			}
			if text, _ := os.ReadFile(filepath.Join(dst, "bins/p/libllama.so")); string(text) != "good" {
				t.Errorf("the library is %q", text)
			}
		})
	}
}

// A header that promises more than is allowed is refused before anything is
// written, and so is a file that has holes in place of bytes.
func TestUnpackBounds(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "package/bins/x", Size: maxLibrary + 1}); err != nil {
		t.Fatal(err)
	}
	dst := t.TempDir()
	if err := unpack(&b, dst, map[string]bool{"bins/x": true}); err == nil || !strings.Contains(err.Error(), "not a file of at most") {
		t.Errorf("error %v", err)
	}
	if got := below(t, dst); len(got) > 0 {
		t.Errorf("written: %v", got)
	}
}

func FuzzUnpack(f *testing.F) {
	files := map[string]string{"bins/p/libllama.so": "text"}
	for _, more := range [][]tar.Header{nil, {{Name: "package/../x"}}, {{Name: "package/bins", Typeflag: tar.TypeSymlink, Linkname: "/tmp"}}} {
		z, err := gzip.NewReader(bytes.NewReader(packed(f, files, more...)))
		if err != nil {
			f.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(plain)
	}
	wanted := map[string]bool{"bins/p/libllama.so": true}
	f.Fuzz(func(t *testing.T, data []byte) {
		root := t.TempDir()
		dst := filepath.Join(root, "dst")
		if err := os.Mkdir(dst, 0o755); err != nil {
			t.Fatal(err)
		}
		_ = unpack(bytes.NewReader(data), dst, wanted)
		for _, name := range below(t, root) {
			if st, err := os.Lstat(filepath.Join(root, name)); name != "dst/bins/p/libllama.so" || err != nil || !st.Mode().IsRegular() {
				t.Errorf("written: %s", name)
			}
		}
	})
}

// Of several backends in one folder the preferred one is used, or the one asked
// for; the first folder that has any goes before the next.
func TestPreference(t *testing.T) {
	content := small(t)
	src, dir, second := t.TempDir(), t.TempDir(), t.TempDir()
	for pkg, files := range content {
		spread(t, filepath.Join(src, "node_modules", "@node-llama-cpp", pkg), files)
	}
	order := []string{"cpu", "vulkan", "cuda12", "cuda"}
	for _, backend := range order {
		if err := from(t, dir, backend, src); err != nil {
			t.Fatal(err)
		}
		if lib, err := Find(dir); err != nil || lib.Backend != backend {
			t.Errorf("with %s installed too: %+v, %v", backend, lib, err)
		}
	}
	if err := from(t, second, "cuda", src); err != nil {
		t.Fatal(err)
	}
	for _, backend := range order {
		dirs, err := Only(backend, "", dir)
		if err != nil {
			t.Fatal(err)
		}
		if lib, err := Find(dirs...); err != nil || lib.Backend != backend {
			t.Errorf("asked for %s: %+v, %v", backend, lib, err)
		}
		first := filepath.Join(dir, filepath.Base(dirs[0]))
		if lib, err := Find("/nowhere", first, second); err != nil || lib.Dir != first {
			t.Errorf("%s in the first folder: %+v, %v", backend, lib, err)
		}
		offers, err := Offers("", first, second)
		if err != nil || len(offers) != len(order) {
			t.Fatalf("%+v, %v", offers, err)
		}
		for _, o := range offers {
			if o.Used != (o.Backend == backend) || (o.Dir != "") != (o.Used || o.Backend == "cuda") || o.Used && o.Dir != first || o.Download == 0 {
				t.Errorf("%s first: %+v", backend, o)
			}
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, Version+"-linux-x64-vulkan")); err != nil {
		t.Fatal(err)
	}
	dirs, _ := Only("vulkan", dir)
	if _, err := Find(dirs...); !errors.Is(err, ErrMissing) || !strings.HasSuffix(err.Error(), "omx engine install --backend vulkan") {
		t.Errorf("asked for what is not there: %v", err)
	}
	if _, err := Only("metal", dir); err == nil || !strings.HasSuffix(err.Error(), "cuda, cuda12, vulkan, cpu") {
		t.Errorf("an unknown one: %v", err)
	}
}
