package doctor

import (
	"os"
	"path/filepath"
	"testing"

	"omx/node"
	"omx/node/blob"
	"omx/node/catalog"
	"omx/node/engine"
)

func TestLibraries(t *testing.T) {
	cfg := at(t.TempDir())
	look := func() []Finding { return libraries(t.Context(), patientOf(t, cfg)) }
	cfg.EngineDirs = []string{"/nowhere"}
	expect(t, look(), "advice: only a gateway to others: no engine libraries in /nowhere >> omx engine install")
	store(t, cfg.Data, "m", "bytes", "")
	expect(t, look(), "problem: no engine libraries in /nowhere >> omx engine install")

	cfg.EngineDirs = engineDirs(t)
	cfg.Root = t.TempDir() // a machine without a GPU
	found, err := engine.Find(cfg.EngineDirs...)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, look(), "ok: cpu, llama.cpp "+found.Release+", verified, in "+found.Dir, "ok: ; CPU variant ")

	// A GPU's driver, and then what reaches it.
	write(t, filepath.Join(cfg.Root, "dev/dri/renderD128"), "", 0o600)
	all := look()
	if len(all) == 3 && found.Platform == "linux-x64" {
		expect(t, all[2:], "advice: a GPU's driver, but not libvulkan >> apt-get install libvulkan1")
		write(t, filepath.Join(cfg.Root, "usr/lib/libvulkan.so.1"), "", 0o600)
		expect(t, look()[2:], "advice: but only CPU libraries are installed >> omx engine install --backend vulkan")
	} else if found.Platform == "linux-x64" {
		t.Errorf("%+v", all)
	}

	// Libraries that end the process that asks them, and such as were changed.
	cfg.Exe = "/bin/false"
	expect(t, look()[:2], "ok: cpu", "problem: do not work here >> omx engine install --backend cpu")
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(found.Dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(copied, "libggml-base.so"), 1000); err != nil {
		t.Fatal(err)
	}
	cfg.EngineDirs, cfg.Data = []string{copied}, t.TempDir()
	expect(t, look(), "problem: its files are not those that were verified >> omx engine install")
}

// GPU libraries that find no GPU say why.
func TestDevices(t *testing.T) {
	info := engine.Info{Library: engine.Library{Backend: "vulkan"}}
	expect(t, []Finding{devices(&info)}, "advice: they find no GPU; models run on the CPU >> omx engine info")
	info.Notes = []string{"libggml-vulkan.so finds no device on this machine"}
	expect(t, []Finding{devices(&info)}, "advice: libggml-vulkan.so finds no device on this machine; >> omx engine info")
}

// store puts a file into the store of a data folder, under a name.
func store(t testing.TB, data, name, text, source string) (path string) {
	t.Helper()
	s, err := blob.Open(filepath.Join(data, node.ModelsDir))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, text, 0o600)
	ref, err := s.Import(t.Context(), file, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := catalog.ParseModelID(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Set(blob.Manifest{Model: id, Digest: ref.Digest, Source: source}, true); err != nil {
		t.Fatal(err)
	}
	if path, err = s.Path(ref.Digest); err != nil {
		t.Fatal(err)
	}
	return path
}
