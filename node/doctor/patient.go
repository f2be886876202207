package doctor

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"omx/node"
	"omx/node/catalog"
	"omx/node/mesh"
	"omx/node/monitor"
)

// patient is what all checks look at; they do not change it.
type patient struct {
	Config
	folder  error           // why the data folder cannot be looked into; nil: it can
	id      string          // identity of the node whose folder it is; "" if it is not known
	user    int             // process that has the folder in use; 0 if none has, or it is not known
	reading monitor.Reading // of the machine, and of the folder's file system

	node    *running // nil: none answers
	silence error    // why
}

func examine(ctx context.Context, cfg Config) *patient {
	p := &patient{Config: cfg}
	if p.folder = enter(p.Data); p.folder == nil {
		p.user = catalog.StoreUser(p.file(node.CatalogDir))
	}
	if key, err := mesh.ReadKey(p.file(node.KeyFile)); err == nil {
		if id, err := mesh.KeyID(key); err == nil {
			p.id = id.String()
		}
	}
	if m, err := monitor.New(monitor.Config{Dir: existing(p.Data)}); err == nil {
		p.reading = m.Read()
		m.Close()
	}
	p.node, p.silence = reach(ctx, &cfg)
	return p
}

// enter tries to read a folder.
func enter(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := d.Readdirnames(1); err != io.EOF {
		return err
	}
	return nil
}

// existing is the folder, or the nearest one above it that can be read.
func existing(dir string) string {
	for dir != filepath.Dir(dir) && enter(dir) != nil {
		dir = filepath.Dir(dir)
	}
	return dir
}

// file is a path in the data folder.
func (p *patient) file(name string) string { return filepath.Join(p.Data, name) }

// defaultAPI is where a node's API is, if nothing else is said.
const defaultAPI = "http://127.0.0.1:11435"

// onFolder is a command on the folder that was looked at.
func (p *patient) onFolder(command string) string {
	if dir, err := node.DefaultData(); err == nil && dir == p.Data {
		return command
	}
	return command + " --data " + quote(p.Data)
}

// atNode is a command to the node that was asked.
func (p *patient) atNode(command string) string {
	if p.API == defaultAPI {
		return command
	}
	return command + " --api " + quote(p.API)
}

// quote makes one word of a shell's command line.
func quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+,-") == "" && s[0] != '-' {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
