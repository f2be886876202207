package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"omx/node"
	"omx/node/engine"
)

// systemEngineDir is where packages of an operating system put the libraries.
const systemEngineDir = "/usr/lib/omx"

type engineCmd struct {
	Install engineInstallCmd `cmd:"" help:"Install the engine libraries (pinned versions, verified), with npm or from a file."`
	List    engineListCmd    `cmd:"" help:"List the backends for this machine and which are installed."`
	Info    engineInfoCmd    `cmd:"" help:"Show the engine libraries found and the devices they find."`
}

// placesHelp is the help of the commands that look for the libraries.
const placesHelp = `The libraries are looked for in the folders of --dir or OMX_ENGINE_DIR or, without
these, in ~/.local/state/omx/engine, then in /usr/lib/omx. The first folder that
has some serves; of several backends in it cuda goes before cuda12, vulkan and
cpu, or OMX_ENGINE_BACKEND names one.`

type engineInstallCmd struct {
	Dir     string `help:"Folder for the libraries (default: where serve looks)." type:"path"`
	Backend string `help:"What the libraries compute with: ${enum}; auto looks for GPUs' drivers." enum:"auto,cpu,vulkan,cuda,cuda12" default:"auto"`
	From    string `help:"Take them from here, without npm: a package's .tgz file, a folder with such files or with packages unpacked, or another machine's engine folder." type:"path" placeholder:"DIR|FILE"`
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
	return engine.Install(e.ctx, engine.InstallOptions{Dir: dir, Backend: c.Backend, From: c.From}, e.stderr)
}

// enginePlaces are the flags of commands that look for the libraries.
type enginePlaces struct {
	Dir           []string `help:"Folder with the engine libraries." env:"OMX_ENGINE_DIR" type:"path"`
	EngineBackend string   `name:"backend" help:"Use this backend, where several are installed." env:"OMX_ENGINE_BACKEND" placeholder:"NAME"`
	JSON          bool     `help:"Print JSON."`
}

type engineListCmd struct{ enginePlaces }

func (engineListCmd) Help() string { return placesHelp }

func (c *engineListCmd) Run(e *env) error {
	dirs, err := engineDirs(c.Dir, c.EngineBackend)
	if err != nil {
		return err
	}
	offers, err := engine.Offers(dirs...)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(e, offers)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "BACKEND\tVERSION\tDOWNLOAD\tINSTALLED")
	for _, o := range offers {
		state := "-"
		if o.Dir != "" {
			state = "yes"
		}
		if o.Used {
			state = "yes, serve uses it"
		}
		fmt.Fprintf(w, "%s\t%s\t%.0f MB\t%s\n", o.Backend, o.Version, float64(o.Download)/1e6, state)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, o := range offers {
		if o.Dir != "" {
			fmt.Fprintf(e.stdout, "%s is in %s\n", o.Backend, o.Dir)
		}
	}
	return nil
}

type engineInfoCmd struct{ enginePlaces }

func (engineInfoCmd) Help() string { return placesHelp }

func (c *engineInfoCmd) Run(e *env) error {
	dirs, err := engineDirs(c.Dir, c.EngineBackend)
	if err != nil {
		return err
	}
	lib, err := engine.Find(dirs...)
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	info, err := engine.Probe(e.ctx, exe, []string{"worker"}, lib)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(e, info)
	}
	return printInfo(e, &info)
}

func printInfo(e *env, info *engine.Info) error {
	fmt.Fprintf(e.stdout, "folder   %s\nversion  %s (llama.cpp %s) for %s\nbackend  %s\n", info.Dir, info.Version, info.Release, info.Platform, info.Backend)
	if info.CPU != "" {
		fmt.Fprintf(e.stdout, "for CPU  %s\n", info.CPU)
	}
	fmt.Fprintln(e.stdout)
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DEVICE\tKIND\tFREE\tTOTAL\tDESCRIPTION")
	for _, d := range info.Devices {
		fmt.Fprintf(w, "%s\t%s\t%.1f GB\t%.1f GB\t%s\n", d.Name, d.Kind, float64(d.Free)/1e9, float64(d.Total)/1e9, d.Description)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "\n%s\n", wrap(info.System, 80))
	for _, note := range info.Notes {
		e.say("%s", wrap("note: "+note, 80))
	}
	return nil
}

// wrap breaks a line at its spaces.
func wrap(text string, width int) string {
	var b strings.Builder
	column := 0
	for _, word := range strings.Fields(text) {
		switch n := len(word); {
		case column == 0:
			column = n
		case column+1+n > width:
			b.WriteByte('\n')
			column = n
		default:
			b.WriteByte(' ')
			column += 1 + n
		}
		b.WriteString(word)
	}
	return b.String()
}

// engineDirs are the places to look for the engine libraries, in order: those
// asked for or, without any, where "omx engine install" puts them and then where
// packages do. A backend narrows them to its folders.
func engineDirs(asked []string, backend string) ([]string, error) {
	dirs := asked
	if len(dirs) == 0 {
		dirs = []string{systemEngineDir}
		if data, err := node.DefaultData(); err == nil {
			dirs = []string{filepath.Join(data, "engine"), systemEngineDir}
		}
	}
	if backend == "" {
		return dirs, nil
	}
	some, err := engine.OnlyBackend(backend, dirs...)
	if errors.Is(err, engine.ErrNoLibrary) { // nothing is for this platform: the search says so
		return dirs, nil
	}
	if err != nil {
		return nil, usageError{err}
	}
	return some, nil
}
