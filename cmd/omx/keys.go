package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"

	"omx/node"
	"omx/node/catalog"
	"omx/node/files"
	"omx/node/keys"
)

type keysCmd struct {
	Add  keysAddCmd  `cmd:"" help:"Make a key, print it once, and add its hash to the file."`
	List keysListCmd `cmd:"" help:"List the names in the file and what they may do."`
	Rm   keysRmCmd   `cmd:"" help:"Remove a name's keys from the file."`
}

// keyFile is the file of keys. A running node sees a change within seconds.
type keyFile struct {
	File string `help:"File of keys (default: keys in the data folder)." type:"path" placeholder:"FILE"`
	Data string `help:"Folder for the node's state (default: ~/.local/state/omx)." type:"path"`
}

// read gives the path and text of the file; none is empty.
func (f *keyFile) read() (path string, text []byte, err error) {
	if path = f.File; path == "" {
		data := f.Data
		if data == "" {
			if data, err = node.DefaultData(); err != nil {
				return "", nil, err
			}
		}
		path = filepath.Join(data, node.KeysFile)
	}
	text, err = files.ReadBounded(path, keys.MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil, nil
	}
	if err != nil {
		err = fmt.Errorf("read keys: %w", err)
	}
	return path, text, err
}

type keysAddCmd struct {
	keyFile
	Name     string   `arg:"" help:"In whose name requests with the key count."`
	Admin    bool     `help:"The key may also change what the node does, such as its policies."`
	Priority int32    `help:"Priority of its requests, -100 to 100; below 0 may be shed first."`
	Class    uint32   `help:"Class of service, 0 to 255, as your policies number them."`
	Model    []string `help:"Model it may use, a name or a pattern such as llama*; repeat it for more (default: all)." placeholder:"PATTERN"`
}

func (c *keysAddCmd) Run(e *env) error {
	path, text, err := c.read()
	if err != nil {
		return err
	}
	secret, k, err := keys.New(rand.Reader)
	if err != nil {
		return err
	}
	if k.Tenant, err = catalog.ParseTenant(c.Name); err != nil {
		return usageError{err}
	}
	k.Admin, k.Priority, k.Class, k.Models = c.Admin, c.Priority, c.Class, c.Model
	if text, err = keys.Add(text, &k); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), files.Write(path, 0o600, text)); err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	fmt.Fprintln(e.stdout, secret)
	e.say("that is the key of %s; %s has only its hash, so it cannot be shown again", k.Tenant, path)
	return nil
}

type keysListCmd struct{ keyFile }

func (c *keysListCmd) Run(e *env) error {
	path, text, err := c.read()
	if err != nil {
		return err
	}
	ring, err := keys.Parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSHA256\tADMIN\tPRIORITY\tCLASS\tMODELS")
	for _, k := range ring.Keys() {
		admin, models := "-", "all"
		if k.Admin {
			admin = "yes"
		}
		if len(k.Models) > 0 {
			models = join(k.Models)
		}
		fmt.Fprintf(w, "%s\t%x…\t%s\t%d\t%d\t%s\n", k.Tenant, k.Hash[:6], admin, k.Priority, k.Class, models)
	}
	return w.Flush()
}

type keysRmCmd struct {
	keyFile
	Name string `arg:"" help:"Whose keys to remove."`
}

func (c *keysRmCmd) Run(e *env) error {
	path, text, err := c.read()
	if err != nil {
		return err
	}
	name, err := catalog.ParseTenant(c.Name)
	if err != nil {
		return usageError{err}
	}
	left, n := keys.Remove(text, name)
	if n == 0 {
		return fmt.Errorf("%s has no key of %s; see: omx keys list", path, c.Name)
	}
	if err := files.Write(path, 0o600, left); err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	e.say("removed %d of %s from %s", n, c.Name, path)
	return nil
}
