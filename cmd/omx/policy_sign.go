package main

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"omx/node/files"
	"omx/node/policy"
	"omx/policies/sign"
)

// maxKeyFile bounds keys and signatures before they are read.
const maxKeyFile = 64 << 10

type policyKeygenCmd struct {
	Out string `short:"o" help:"Where to write the key; it must not exist (default: standard output)." type:"path" placeholder:"FILE"`
}

func (c *policyKeygenCmd) Run(e *env) error {
	k, err := sign.NewKey(rand.Reader)
	if err != nil {
		return err
	}
	if c.Out == "" {
		_, err := e.stdout.Write(k.Marshal())
		return err
	}
	f, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists; a key is never overwritten: choose another name", c.Out)
	}
	if err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	_, err = f.Write(k.Marshal())
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(c.Out) // a part of a key is none
		return fmt.Errorf("write key: %w", err)
	}
	fmt.Fprintf(e.stdout, "%s\n", k.Public())
	e.say("add that line, and a name, to the trust file of your nodes")
	return nil
}

type policySignCmd struct {
	Key  string `required:"" help:"Key, as keygen writes it." type:"path" placeholder:"FILE"`
	File string `arg:"" help:"Policy module (.wasm)." type:"path"`
}

func (c *policySignCmd) Run(e *env) error {
	text, err := files.ReadBounded(c.Key, maxKeyFile)
	if err != nil {
		return fmt.Errorf("read key: %w", err)
	}
	k, err := sign.ParseKey(text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Key, err)
	}
	code, old, err := readSigned(c.File)
	if err != nil {
		return err
	}
	sig, err := sign.Sign(k, code, old)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if err := files.Write(c.File+policy.SignatureSuffix, 0o644, sig); err != nil {
		return fmt.Errorf("write signature: %w", err)
	}
	fmt.Fprintf(e.stdout, "%s%s: sha256 %x, signed by key %s\n", c.File, policy.SignatureSuffix, sha256.Sum256(code), k.Public().ID())
	return nil
}

type policyVerifyCmd struct {
	Trust string `required:"" help:"Public keys that count, as of --policy-trust." type:"path" placeholder:"FILE"`
	File  string `arg:"" help:"Policy module (.wasm)." type:"path"`
}

func (c *policyVerifyCmd) Run(e *env) error {
	trust, err := policy.ReadTrust(c.Trust)
	if err != nil {
		return err
	}
	code, sig, err := readSigned(c.File)
	if err != nil {
		return err
	}
	names, err := trust.Verify(code, sig)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	fmt.Fprintf(e.stdout, "%s: sha256 %x, signed by %s\n", c.File, sha256.Sum256(code), strings.Join(names, ", "))
	return nil
}

// readSigned reads a module and its signatures, nil if there are none.
func readSigned(file string) (code, sig []byte, err error) {
	if code, err = files.ReadBounded(file, largestModule); err != nil {
		return nil, nil, fmt.Errorf("read policy: %w", err)
	}
	sig, err = files.ReadBounded(file+policy.SignatureSuffix, maxKeyFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("read signatures: %w", err)
	}
	return code, sig, nil
}
