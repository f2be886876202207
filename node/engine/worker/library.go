package worker

import (
	"io"
	"unsafe"

	"github.com/ebitengine/purego"
	"github.com/hybridgroup/yzma/pkg/llama"

	_ "omx/node/engine/libffi" // before the binding looks for it
	"omx/node/engine/library"
)

// llama.cpp's levels of log lines.
const (
	logError    = 4
	logContinue = 5 // goes on the line before
)

// startLibrary loads the engine libraries: once in a process.
func startLibrary(dir string, stderr io.Writer) error {
	if err := library.Check(dir); err != nil {
		return err
	}
	if err := llama.Load(dir); err != nil {
		return err
	}
	llama.LogSet(logErrors(stderr)) // first, or it writes everything to stderr
	llama.BackendInit()
	return llama.GGMLBackendLoadAllFromPath(dir)
}

// logErrors passes llama.cpp's error lines on: they say why a model cannot be
// loaded, and end up in the node's error. They hold no prompt and no answer.
func logErrors(w io.Writer) uintptr {
	wanted := false
	return purego.NewCallback(func(level int32, text, _ uintptr) uintptr {
		if level != logContinue {
			wanted = level == logError
		}
		if wanted && text != 0 {
			_, _ = io.WriteString(w, cString(text))
		}
		return 0
	})
}

// cString copies a C string of at most maxLogLine bytes.
func cString(address uintptr) string {
	p := *(**[maxLogLine]byte)(unsafe.Pointer(&address))
	n := 0
	for n < maxLogLine && p[n] != 0 {
		n++
	}
	return string(p[:n])
}
