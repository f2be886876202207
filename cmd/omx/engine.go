package main

import (
	"fmt"
	"path/filepath"

	"omx/node"
	"omx/node/engine"
)

type engineCmd struct {
	Install engineInstallCmd `cmd:"" help:"Install the engine libraries (pinned versions, verified); needs npm."`
	Info    engineInfoCmd    `cmd:"" help:"Show which engine libraries are found."`
}

type engineInstallCmd struct {
	Dir string `help:"Folder for the libraries (default: where serve looks)." type:"path"`
}

func (c *engineInstallCmd) Run(e *env) error {
	dir := c.Dir
	if dir == "" {
		data, err := node.DefaultData()
		if err != nil {
			return err
		}
		dir = filepath.Join(data, "engine")
	}
	return engine.Install(e.ctx, dir, e.stderr)
}

type engineInfoCmd struct {
	Dir  []string `help:"Folder with the engine libraries." env:"OMX_ENGINE_DIR" type:"path"`
	JSON bool     `help:"Print JSON."`
}

func (c *engineInfoCmd) Run(e *env) error {
	lib, err := engine.Find(engineDirs(c.Dir)...)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(e, lib)
	}
	fmt.Fprintf(e.stdout, "%s\n", lib.Dir)
	return nil
}
