package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"omx/node/files"
	"omx/policies"
)

// maxOutput is how much of what a compiler says is kept, in bytes.
const maxOutput = 64 << 10

// source is what is to be built.
type source struct {
	dir, name, file string
	language        policies.Language
}

// findSource tells by the files of a folder which language it is.
func findSource(dir string) (source, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return source{}, fmt.Errorf("find policy: %w", err)
	}
	var found []source
	for _, l := range policies.Languages {
		for _, entry := range entries {
			name := entry.Name()
			switch {
			case l.Name == "go" && name == "go.mod":
				found = append(found, source{dir, moduleName(filepath.Join(dir, name)), ".", l})
			case l.Name != "go" && filepath.Ext(name) == l.Ext && !slices.Contains(l.SDK, name) && entry.Type().IsRegular():
				found = append(found, source{dir, strings.TrimSuffix(name, l.Ext), name, l})
			}
		}
	}
	switch {
	case len(found) == 0:
		return source{}, fmt.Errorf("%s holds no policy: no go.mod and no .c, .rs, .ts or .wat file; make one with: omx policy new", dir)
	case len(found) > 1:
		return source{}, fmt.Errorf("%s holds %s and %s: leave one source file in it", dir, found[0].file, found[1].file)
	case found[0].name == "":
		return source{}, fmt.Errorf("%s names no module", filepath.Join(dir, "go.mod"))
	}
	return found[0], nil
}

// moduleName is the last part of the name of a Go module; empty if it has none.
func moduleName(file string) string {
	b, err := files.ReadBounded(file, maxMetadata)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "module "); ok {
			name := filepath.Base(strings.Trim(strings.TrimSpace(rest), `"`))
			if name != "." && name != ".." && !strings.ContainsAny(name, `/\`) {
				return name
			}
		}
	}
	return ""
}

// compile runs the compiler in the project's folder and returns the module.
func (s *source) compile(e *env, timeout time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(e.ctx, timeout)
	defer cancel()
	builder, program, err := s.builder(ctx)
	if err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp("", "omx-policy-")
	if err != nil {
		return nil, fmt.Errorf("build policy: %w", err)
	}
	defer os.RemoveAll(temp)
	out := filepath.Join(temp, "policy.wasm")
	cmd := exec.CommandContext(ctx, program, builder.Fill(s.file, out)...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), builder.Env...)
	cmd.WaitDelay = time.Second
	said := tail{limit: maxOutput}
	cmd.Stdout, cmd.Stderr = &said, &said
	e.say("%s %s", program, strings.Join(builder.Fill(s.file, s.name+".wasm"), " "))
	if err := cmd.Run(); err != nil {
		e.stderr.Write(said.b)
		if ctx.Err() == context.DeadlineExceeded {
			return nil, fmt.Errorf("build policy: %s took longer than %v: allow more with --timeout", program, timeout)
		}
		if bytes.Contains(said.b, []byte("wasm-ld")) {
			err = fmt.Errorf("%w; its linker may be missing: %s", err, s.language.Hint)
		}
		return nil, fmt.Errorf("build policy: %s: %w", program, err)
	}
	e.stderr.Write(said.b) // warnings
	code, err := files.ReadBounded(out, largestModule)
	if err != nil {
		return nil, fmt.Errorf("build policy: %w", err)
	}
	return code, nil
}

// builder is the first program that can build it.
func (s *source) builder(ctx context.Context) (policies.Builder, string, error) {
	var names []string
	for _, b := range s.language.Builders {
		names = append(names, b.Program)
		program, err := exec.LookPath(b.Program)
		if b.Program == "asc" {
			if local := localProgram(s.dir, b.Program); local != "" {
				program, err = local, nil
			}
		}
		if err == nil && (s.language.Name != "rust" || hasTarget(ctx, program)) {
			return b, program, nil
		}
	}
	return policies.Builder{}, "", fmt.Errorf("to build %s it takes %s, and there is no %s that can: %s",
		s.language.Name, s.language.Needs, strings.Join(names, " or "), s.language.Hint)
}

// localProgram is what npm put into the project or a folder above it.
func localProgram(dir, name string) string {
	dir, err := filepath.Abs(dir)
	for err == nil {
		file := filepath.Join(dir, "node_modules", ".bin", name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return file
		}
		above := filepath.Dir(dir)
		if above == dir {
			break
		}
		dir = above
	}
	return ""
}

// hasTarget tells that a rustc has the library for WebAssembly.
func hasTarget(ctx context.Context, rustc string) bool {
	out, err := exec.CommandContext(ctx, rustc, "--print", "target-libdir", "--target", "wasm32-unknown-unknown").Output()
	if err != nil {
		return false
	}
	_, err = os.Stat(strings.TrimSpace(string(out)))
	return err == nil
}

// tail keeps the end of what is written to it.
type tail struct {
	b     []byte
	limit int
}

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if over := len(t.b) - t.limit; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}
