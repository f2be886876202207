// Command gen writes what follows from omx1.schema: the host's structs, the
// layouts in the SDKs and the tables of the reference page. In files that are
// also written by hand, it replaces what stands between the lines
// "generated: begin NAME" and "generated: end".
//
// It is run by go generate ./policies/abi; its test fails when a file is stale.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const begin, end = "generated: begin ", "generated: end"

// targets are the files with generated parts, below policies/.
var targets = []string{
	"abi/layout_gen.go",
	"ABI.md",
	"sdk/assemblyscript/omx.ts",
	"sdk/c/omx.h",
	"sdk/rust/omx.rs",
	"sdk/go/omx.go",
}

func main() {
	if err := run(filepath.Join(os.Args[1], "..")); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// run rewrites the targets below the policies folder.
func run(root string) error {
	fresh, err := generate(root)
	if err != nil {
		return err
	}
	for name, b := range fresh {
		if err := os.WriteFile(filepath.Join(root, name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate makes every target as it should be.
func generate(root string) (map[string][]byte, error) {
	f, err := os.Open(filepath.Join(root, "abi", "omx1.schema"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := parse(f)
	if err != nil {
		return nil, fmt.Errorf("omx1.schema: %w", err)
	}
	parts := map[string]func(*schema) string{
		"go": goFile, "assemblyscript": assemblyscript, "c": c, "rust": rust, "guest": guest,
		"header": table("header"), "row": table("row"), "model": table("model"), "copy": table("copy"), "step": table("step"), "event": table("event"),
		"enums": enums,
	}
	fresh := map[string][]byte{}
	for _, name := range targets {
		if name == "abi/layout_gen.go" {
			if fresh[name], err = formatted(goFile(s)); err != nil {
				return nil, err
			}
			continue
		}
		old, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return nil, err
		}
		if fresh[name], err = fill(old, s, parts); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return fresh, nil
}

// fill replaces the generated parts of a file.
func fill(old []byte, s *schema, parts map[string]func(*schema) string) ([]byte, error) {
	var out bytes.Buffer
	inside := false
	n := 0
	for line := range strings.Lines(string(old)) {
		switch _, name, found := strings.Cut(line, begin); {
		case found:
			name, _, _ = strings.Cut(strings.TrimSpace(name), " ")
			part, ok := parts[name]
			if !ok || inside {
				return nil, fmt.Errorf("no generated part %q, or one in another", name)
			}
			out.WriteString(line + part(s))
			inside, n = true, n+1
		case strings.Contains(line, end):
			inside = false
			out.WriteString(line)
		case !inside:
			out.WriteString(line)
		}
	}
	if inside || n == 0 {
		return nil, fmt.Errorf("a generated part without end, or none")
	}
	return out.Bytes(), nil
}
