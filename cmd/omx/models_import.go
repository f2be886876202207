package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"omx/node"
	"omx/node/blob"
	"omx/node/catalog"
	"omx/node/engine"
)

type modelsImportCmd struct {
	File string `arg:"" type:"existingfile" help:"Model file (GGUF)."`
	Name string `help:"Name of the model (default: the file's, less .gguf)."`
	Link bool   `help:"Do not copy: the store gets a second link to the file, where the disk can."`
	Data string `help:"Folder of the node's state (default: ~/.local/state/omx)." type:"path"`
	JSON bool   `help:"Print JSON."`
}

// Run stores the file beside a running node, or before one starts.
func (c *modelsImportCmd) Run(e *env) error {
	name := c.Name
	if name == "" {
		name = strings.TrimSuffix(filepath.Base(c.File), filepath.Ext(c.File))
	}
	id, err := catalog.ParseModelID(name)
	if err != nil {
		return usageError{fmt.Errorf("model %q: %w; name it with --name", name, err)}
	}
	data := c.Data
	if data == "" {
		if data, err = node.DefaultData(); err != nil {
			return err
		}
	}
	header, err := engine.CheckGGUF(c.File)
	if err != nil {
		return err
	}
	store, err := blob.Open(filepath.Join(data, node.ModelsDir))
	if err != nil {
		return err
	}
	if !c.Link {
		e.say("copying %s", size(header.Bytes))
	}
	ref, err := store.Import(e.ctx, c.File, c.Link, nil)
	if err != nil {
		return fmt.Errorf("import %s: %w", c.File, err)
	}
	source, err := filepath.Abs(c.File)
	if err != nil {
		source = c.File
	}
	m := blob.Manifest{Model: id, Digest: ref.Digest, Source: source}
	if err := store.Set(m, true); err != nil {
		return fmt.Errorf("import %s: %w", c.File, err)
	}
	if c.JSON {
		return writeJSON(e, map[string]any{"model": id.String(), "digest": ref.Digest.String(), "bytes": ref.Bytes})
	}
	e.say("stored as %s (sha256 %s, %s); a node that runs with this folder has it at once", id, ref.Digest.Hex()[:12], size(ref.Bytes))
	return nil
}
