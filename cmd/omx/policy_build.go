package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"omx/node/files"
	"omx/wasm"
)

type policyBuildCmd struct {
	Dir     string        `arg:"" optional:"" default:"." help:"Folder of the policy." type:"path"`
	Timeout time.Duration `default:"5m" help:"How long the compiler may take."`
}

// Files of a project that go into the module.
const (
	metadataFile = "policy.json"
	samplesFile  = "samples.json"
	maxMetadata  = 64 << 10 // bytes, as the host takes them
	maxCarried   = 64       // samples, as the host takes them
)

// Run builds the module with the language's own compiler, adds what the project
// says of it, and checks it as a node would.
func (c *policyBuildCmd) Run(e *env) error {
	src, err := findSource(c.Dir)
	if err != nil {
		return err
	}
	code, err := src.compile(e, c.Timeout)
	if err != nil {
		return err
	}
	out := filepath.Join(c.Dir, src.name+".wasm")
	lim := wasm.Limits{Large: src.language.Name == "go"}
	whole, err := src.complete(e, code, lim)
	if err == nil {
		var p *openPolicy
		if p, err = openModule(e.ctx, out, whole, lim); err == nil {
			defer p.close()
			if err := replaceFile(out, whole); err != nil {
				return fmt.Errorf("write module: %w", err)
			}
			return writeBuilt(e, out, p)
		}
	}
	// Kept to be looked at; a node that watches the module goes on with the last.
	if whole == nil {
		whole = code
	}
	refused := filepath.Join(c.Dir, src.name+".refused.wasm")
	return errors.Join(fmt.Errorf("%w\nthe module is kept as %s", err, refused), replaceFile(refused, whole))
}

func writeBuilt(e *env, out string, p *openPolicy) error {
	info := p.Info()
	fmt.Fprintf(e.stdout, "%s\n  decides  %s\n  sha256   %x\n  size     %d bytes, %d as compiled: with metering, without what it says of itself\n", out, kindNames(info.Kinds), info.Digest, info.Bytes, info.Metered)
	for _, k := range info.Kinds {
		var list []string
		for _, rows := range benchRows(k, 64) {
			i, err := p.instance(e.ctx)
			if err != nil {
				return err
			}
			v, err := newBenchView(i, k, rows)
			if err == nil {
				var fuel uint64
				if fuel, err = v.call(); err == nil {
					list = append(list, fmt.Sprintf("%d of %d rows", fuel, rows))
				}
			}
			if err := errors.Join(err, i.Close()); err != nil {
				return fmt.Errorf("%s: %w", k, err)
			}
		}
		fmt.Fprintf(e.stdout, "  fuel     %s: %s\n", k, strings.Join(list, ", "))
	}
	return nil
}

// complete adds to a module what its project says of it.
func (s *source) complete(e *env, code []byte, lim wasm.Limits) ([]byte, error) {
	meta, err := files.ReadBounded(filepath.Join(s.dir, metadataFile), maxMetadata)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("read metadata: %w", err)
	default:
		var short bytes.Buffer
		if err := json.Compact(&short, meta); err != nil {
			return nil, fmt.Errorf("%s: %w", metadataFile, err)
		}
		code = wasm.AppendMetadata(code, short.Bytes())
	}
	file := filepath.Join(s.dir, samplesFile)
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		return code, nil
	}
	cases, err := loadCases(file)
	if err != nil {
		return nil, err
	}
	p, err := openModule(e.ctx, s.name, code, lim)
	if err != nil {
		return nil, err
	}
	defer p.close()
	var samples []wasm.Sample
	for i := range cases {
		c := &cases[i]
		if len(c.events) > 0 || len(samples) == maxCarried {
			continue // only omx policy test can try it
		}
		sample, err := asSample(e, p, c)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", samplesFile, c.name, err)
		}
		samples = append(samples, sample)
	}
	return wasm.AppendSamples(code, samples), nil
}

// replaceFile writes a file whole or not at all.
func replaceFile(name string, b []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(name), ".omx-")
	if err != nil {
		return err
	}
	_, err = temp.Write(b)
	if err = errors.Join(err, temp.Chmod(0o644), temp.Close()); err == nil {
		err = os.Rename(temp.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}
