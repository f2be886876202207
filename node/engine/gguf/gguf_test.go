package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const model = "../demo/omx-demo-q8_0.gguf"

func TestCheckDemoModel(t *testing.T) {
	h, err := Check(model)
	if err != nil {
		t.Fatal(err)
	}
	if h.Version != 3 || h.Architecture != "llama" || h.Name != "omx-demo" || h.Context != 2048 || h.Tensors == 0 {
		t.Errorf("header is %+v", h)
	}
}

// header builds the start of a file.
func header(version uint32, tensors, pairs uint64, rest ...any) []byte {
	var b bytes.Buffer
	b.WriteString("GGUF")
	for _, v := range append([]any{version, tensors, pairs}, rest...) {
		if s, ok := v.(string); ok {
			_ = binary.Write(&b, binary.LittleEndian, uint64(len(s)))
			b.WriteString(s)
			continue
		}
		_ = binary.Write(&b, binary.LittleEndian, v)
	}
	return b.Bytes()
}

func TestReadRefuses(t *testing.T) {
	whole, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	arch := []any{"general.architecture", uint32(typeString), "llama"}
	with := func(rest ...any) []any { return append(append([]any{}, arch...), rest...) }
	tests := []struct {
		name, want string
		data       []byte
	}{
		{"empty", "cut off", nil},
		{"other file", "does not begin with GGUF", []byte("\x7fELF and so on")},
		{"version", "version is 99", header(99, 0, 0)},
		{"tensors", "tensors", header(3, 1<<40, 0)},
		{"pairs", "metadata pairs", header(3, 1, 1<<40)},
		{"no architecture", "no architecture", header(3, 1, 0)},
		{"no tensors", "no tensors", header(3, 0, 1, arch...)},
		{"long key", "bytes of a key", header(3, 1, 1, uint64(1<<50))},
		{"long array", "items of k", header(3, 1, 2, with("k", uint32(typeArray), uint32(0), uint64(1<<60))...)},
		{"nested array", "unknown type 9", header(3, 1, 2, with("k", uint32(typeArray), uint32(typeArray), uint64(1))...)},
		{"unknown type", "unknown type 77", header(3, 1, 2, with("k", uint32(77))...)},
		{"alignment", "alignment is 3", header(3, 1, 2, with("general.alignment", uint32(typeU32), uint32(3))...)},
		{"dimensions", "9 dimensions", header(3, 1, 1, with("t", uint32(9))...)},
		{"cut in the header", "header goes beyond", whole[:1000]},
		{"cut in the data", "last tensor begins beyond", whole[:len(whole)/2]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "m.gguf")
			if err := os.WriteFile(path, tt.data, 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Check(path)
			if !errors.Is(err, ErrNotModel) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	whole, err := os.ReadFile(model)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole[:4096], int64(1<<20))
	f.Add(header(3, 1, 1, "general.architecture", uint32(typeString), "llama", "t", uint32(1), uint64(1), uint32(0), uint64(0)), int64(200))
	f.Fuzz(func(t *testing.T, data []byte, size int64) {
		h, err := Read(bytes.NewReader(data), max(size, 0))
		if err == nil && (h.Architecture == "" || h.Tensors == 0 || h.Context < 0) {
			t.Errorf("accepted %+v", h)
		}
	})
}
