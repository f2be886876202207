package demo

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestWrite(t *testing.T) {
	tests := []struct {
		name   string
		before []byte // nil: no file
	}{
		{"absent", nil},
		{"already there", model},
		{"cut off", model[:1000]},
		{"longer", append(bytes.Clone(model), 0)},
		{"one byte differs", append(bytes.Clone(model[:len(model)-1]), model[len(model)-1]^1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "models")
			path := filepath.Join(dir, fileName)
			if tt.before != nil {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, tt.before, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := Write(dir)
			if err != nil || got != path {
				t.Fatalf("Write = %q, %v", got, err)
			}
			after, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(after, model) {
				t.Errorf("the file is not the model (%v)", err)
			}
			if files, _ := os.ReadDir(dir); len(files) != 1 {
				t.Errorf("%d files in the folder, want 1", len(files))
			}
		})
	}
}

func TestWriteKeepsAGoodFile(t *testing.T) {
	dir := t.TempDir()
	path, err := Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := os.Stat(path)
	if _, err := Write(dir); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.Stat(path); !os.SameFile(before, after) {
		t.Error("a good file was written again")
	}
}

func TestWriteSaysWhatToDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(file); err == nil || !bytes.Contains([]byte(err.Error()), []byte("choose a folder")) {
		t.Errorf("error %v", err)
	}
}
