package main

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"omx/node"
	"omx/node/doctor"
)

type doctorCmd struct {
	target
	Data       string   `help:"Folder for the node's state (default: ~/.local/state/omx)." type:"path"`
	Keys       string   `help:"File of API keys, as for serve (default: keys in the data folder)." type:"path" placeholder:"FILE"`
	Mesh       string   `help:"UDP address for other nodes, as for serve, to try while no node runs (default: port 4001 of all addresses)." default:"/ip4/0.0.0.0/udp/4001/quic-v1" placeholder:"ADDR"`
	EngineDir  []string `help:"Folder with the engine libraries, as for serve." env:"OMX_ENGINE_DIR" type:"path"`
	EngineOnly string   `name:"engine-backend" help:"Backend, as for serve." env:"OMX_ENGINE_BACKEND" placeholder:"NAME"`
	JSON       bool     `help:"Print JSON."`
}

// Help is what "omx doctor --help" adds.
func (doctorCmd) Help() string {
	return `Each line is a check: ok, advice or problem, what was looked at, and below it the
command to type next. It changes nothing, and a node may run meanwhile or not. The
exit code is 1 if there is a problem, else 0.`
}

// diagnosis is what --json prints.
type diagnosis struct {
	Version  string           `json:"version"`
	Problems int              `json:"problems"`
	Advice   int              `json:"advice"`
	Checks   []doctor.Finding `json:"checks"`
}

func (c *doctorCmd) Run(e *env) error {
	data := c.Data
	if data == "" {
		var err error
		if data, err = node.DefaultData(); err != nil {
			return err
		}
	}
	places, err := engineDirs(c.EngineDir, c.EngineOnly)
	if err != nil {
		return err
	}
	cfg := doctor.Config{Data: data, Keys: c.Keys, EngineDirs: places, API: c.API, Key: c.Key, Mesh: c.Mesh, Version: version}
	if err := cfg.Validate(); err != nil {
		return usageError{err}
	}
	d := diagnosis{Version: version}
	err = doctor.Run(e.ctx, cfg, func(f doctor.Finding) {
		switch f.Mark {
		case doctor.Problem:
			d.Problems++
		case doctor.Advice:
			d.Advice++
		}
		if d.Checks = append(d.Checks, f); !c.JSON {
			fmt.Fprint(e.stdout, lines(&f))
		}
	})
	if err == nil && c.JSON {
		err = writeJSON(e, d)
	}
	if err == nil && d.Problems > 0 {
		err = toldError{errors.New("there are problems")}
	}
	return err
}

// Columns of a line: mark, name of the check, text.
const (
	markWidth = 9
	textFrom  = markWidth + 13
	lineWidth = 80
)

// lines is a finding as people read it: one line where it fits, and the command,
// which is never broken, below.
func lines(f *doctor.Finding) string {
	text := strings.ReplaceAll(wrap(printable(f.Text), lineWidth-textFrom), "\n", "\n"+strings.Repeat(" ", textFrom))
	s := fmt.Sprintf("%-*s%-*s%s\n", markWidth, f.Mark, textFrom-markWidth, f.Check, text)
	if f.Next != "" {
		s += fmt.Sprintf("%*s%s\n", markWidth, "", printable(f.Next))
	}
	return s
}

// printable keeps what other machines have named from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
