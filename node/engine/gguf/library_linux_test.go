package gguf

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ebitengine/purego"

	"omx/node/engine/library"
	"omx/node/nodetest"
)

// ggml opens the library that the worker reads models with.
func ggml(t *testing.T) uintptr {
	t.Helper()
	lib, err := library.Find(nodetest.EngineDirs(t)...)
	if err != nil {
		t.Fatal(err)
	}
	h, err := purego.Dlopen(filepath.Join(lib.Dir, "libggml-base.so"), purego.RTLD_NOW)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestTypesAreThoseOfTheLibrary(t *testing.T) {
	lib := ggml(t)
	var weights func(int32) int64
	var size func(int32) uint64
	var name func(int32) string
	purego.RegisterLibFunc(&weights, lib, "ggml_blck_size")
	purego.RegisterLibFunc(&size, lib, "ggml_type_size")
	purego.RegisterLibFunc(&name, lib, "ggml_type_name")
	for i := range Type(len(types)) {
		w, s := i.Block()
		if w != weights(int32(i)) || s != int64(size(int32(i))) || w > 0 && !strings.EqualFold(i.String(), name(int32(i))) {
			t.Errorf("type %d is %v with %d weights in %d bytes, the library has %s with %d in %d", uint32(i), i, w, s, name(int32(i)), weights(int32(i)), size(int32(i)))
		}
	}
}

// What is refused here, the library refuses too, but for what it looks at only when
// it loads a model. Else a good file could be refused.
func TestRefusesNoMoreThanTheLibrary(t *testing.T) {
	lib := ggml(t)
	var quiet func(callback, data uintptr)
	var open func(path string, noAlloc uint64, context uintptr) uintptr // a struct of two words, as both calling conventions pass it
	var free func(uintptr)
	purego.RegisterLibFunc(&quiet, lib, "ggml_log_set")
	purego.RegisterLibFunc(&open, lib, "gguf_init_from_file")
	purego.RegisterLibFunc(&free, lib, "gguf_free")
	quiet(purego.NewCallback(func(int32, uintptr, uintptr) uintptr { return 0 }), 0)
	later := []string{"no tensors", "layers", "layers as a fraction", "negative width", "heads beyond all numbers", "heads of a million layers",
		"heads that are texts", "negative context", "one of three parts", "template too long", "tokens that are numbers", "tokens that are one text",
		"tensor beyond the end", "tensor that ends a byte late", "cut where the weights begin", "cut in the data", "block of all there are", "negative block"}
	path := filepath.Join(t.TempDir(), "m.gguf")
	for _, m := range append(corpus(t), malformed{name: "nothing", data: demo(t)}) {
		if err := os.WriteFile(path, m.data, 0o644); err != nil {
			t.Fatal(err)
		}
		got := open(path, 1, 0)
		if taken := got != 0; taken != (slices.Contains(later, m.name) || m.name == "nothing") {
			t.Errorf("wrong is %s: the library takes it: %v", m.name, taken)
		}
		free(got)
	}
}
