package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"omx/node"
	"omx/node/mesh"
	"omx/node/mesh/member"
)

// meshFolder is the data folder of a node that need not run.
type meshFolder struct {
	Data string `help:"Folder for the node's state (default: ~/.local/state/omx)." type:"path"`
	Name string `help:"What people call this machine (default: host name)."`
	JSON bool   `help:"Print JSON."`
}

// open gives the node's key, its mesh's folder and its name.
func (f *meshFolder) open() (key ed25519.PrivateKey, dir, name string, err error) {
	data := f.Data
	if data == "" {
		if data, err = node.DefaultData(); err != nil {
			return nil, "", "", err
		}
	}
	if name = f.Name; name == "" {
		name, _ = os.Hostname()
	}
	if len(name) > member.MaxName {
		return nil, "", "", usageError{fmt.Errorf("name %.80q is longer than %d bytes; choose a shorter one with --name", name, member.MaxName)}
	}
	key, err = mesh.LoadKey(filepath.Join(data, node.KeyFile))
	return key, filepath.Join(data, node.MeshFolder), name, err
}

// memberOf is what the commands here print.
type memberOf struct {
	Mesh   string `json:"mesh"`
	Node   string `json:"node"`
	Role   string `json:"role"`
	Folder string `json:"folder"`
}

func (f *meshFolder) report(e *env, m *member.Membership, dir string) (memberOf, error) {
	id, err := m.Credential.Node.Node()
	v := memberOf{Mesh: m.Mesh().String(), Node: id.String(), Role: m.Credential.Role.String(), Folder: dir}
	if err == nil && f.JSON {
		err = writeJSON(e, v)
	}
	return v, err
}

type meshInitCmd struct{ meshFolder }

func (c *meshInitCmd) Run(e *env) error {
	key, dir, name, err := c.open()
	if err != nil {
		return err
	}
	m, err := member.Init(dir, member.ID(key.Public().(ed25519.PublicKey)), name, time.Now())
	if err != nil {
		return err
	}
	v, err := c.report(e, m, dir)
	if err != nil || c.JSON {
		return err
	}
	e.say("made mesh %s", v.Mesh)
	e.say("its key is in %s; keep a copy of that folder in a safe place", dir)
	e.say("next, start the node (or start it again), and make a token for another machine:")
	e.say("  omx serve --mesh /ip4/0.0.0.0/udp/4001/quic-v1")
	e.say("  omx mesh invite")
	return nil
}

type meshJoinCmd struct {
	meshFolder
	Token string        `arg:"" help:"Token from omx mesh invite; - reads it from standard input."`
	Wait  time.Duration `help:"How long to try." default:"30s"`
}

// maxTokenLine bounds what is read from standard input.
const maxTokenLine = 16 << 10

func (c *meshJoinCmd) Run(e *env) error {
	text := c.Token
	if text == "-" {
		line, err := bufio.NewReader(io.LimitReader(e.stdin, maxTokenLine)).ReadString('\n')
		if err != nil && err != io.EOF {
			return fmt.Errorf("read token: %w", err)
		}
		text = strings.TrimSpace(line)
	}
	token, err := member.ParseToken(text)
	if err != nil {
		return usageError{err}
	}
	if c.Wait <= 0 {
		return usageError{fmt.Errorf("--wait must be above 0, not %v", c.Wait)}
	}
	key, dir, name, err := c.open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(e.ctx, c.Wait)
	defer cancel()
	m, err := mesh.Join(ctx, mesh.JoinConfig{Key: key, Name: name, Token: token, Dir: dir})
	if err != nil {
		return fmt.Errorf("join mesh %s: %w", token.Mesh.Short(), err)
	}
	v, err := c.report(e, m, dir)
	if err != nil || c.JSON {
		return err
	}
	e.say("joined mesh %s as %s, role %s", v.Mesh, name, v.Role)
	e.say("next, start the node (or start it again):")
	e.say("  omx serve --mesh /ip4/0.0.0.0/udp/4001/quic-v1")
	return nil
}
