package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"omx/node/api"
)

type modelsCmd struct {
	List   modelsListCmd   `cmd:"" default:"withargs" help:"List the models of the mesh and who holds them (the default)."`
	Show   modelsShowCmd   `cmd:"" help:"Show all that a node knows of a model."`
	Pull   modelsPullCmd   `cmd:"" help:"Fetch a model into a node's store: from other nodes that hold it, or from elsewhere."`
	Import modelsImportCmd `cmd:"" help:"Take a model file of this machine into its node's store."`
	Rm     modelsRmCmd     `cmd:"" help:"Remove a stored model."`
	Cp     modelsCpCmd     `cmd:"" help:"Give a stored model another name."`
	Load   modelsLoadCmd   `cmd:"" help:"Load a model into memory before anybody asks."`
	Unload modelsUnloadCmd `cmd:"" help:"Free a model's memory once its requests have ended."`
}

type modelsListCmd struct {
	target
	JSON bool `help:"Print JSON."`
}

func (c *modelsListCmd) Run(e *env) error {
	models, err := c.models(e)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(e, models)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MODEL\tSIZE\tDIGEST\tHELD BY")
	for _, m := range models {
		var holders []string
		for _, h := range m.Holders {
			text := h.Name + " (" + h.State
			if h.Error != "" {
				text += ": " + h.Error
			}
			holders = append(holders, text+")")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", m.ID, size(m.Bytes), m.Digest[:min(12, len(m.Digest))], join(holders))
	}
	return w.Flush()
}

func (t *target) models(e *env) (models []api.ModelView, err error) {
	return models, t.get(e.ctx, "/omx/v1/models", &models)
}

// size is a number of bytes as people read it.
func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f kB", float64(n)/1e3)
}

type modelsShowCmd struct {
	target
	Model    string `arg:"" help:"Model, as omx models lists it."`
	Template bool   `help:"Print its chat template alone."`
	JSON     bool   `help:"Print JSON."`
}

func (c *modelsShowCmd) Run(e *env) error {
	models, err := c.models(e)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(models, func(m api.ModelView) bool { return m.ID == c.Model || m.ID == c.Model+":latest" })
	if i < 0 {
		return fmt.Errorf("no node that is up has a model named %s; omx models lists those there are", c.Model)
	}
	m := &models[i]
	switch {
	case c.JSON:
		return writeJSON(e, m)
	case c.Template:
		fmt.Fprintln(e.stdout, m.Template)
		return nil
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" && value != "0" {
			fmt.Fprintf(w, "%s\t%s\n", name, value)
		}
	}
	row("model", m.ID)
	row("sha256", m.Digest)
	row("file", size(m.Bytes))
	row("family", m.Family)
	row("parameters", m.Parameters)
	row("quantization", m.Quantization)
	row("made for a context of", tokens(m.Trained))
	row("a request has", tokens(m.Context))
	row("can do", strings.Join(m.Capabilities, ", "))
	if m.Memory > 0 {
		memory := size(m.Memory) + " when loaded, about"
		if m.VRAM > 0 {
			memory += ", " + size(m.VRAM) + " of it on GPUs"
		}
		row("memory", memory)
	}
	if m.Expires != nil {
		row("unloaded", "in "+time.Until(*m.Expires).Round(time.Second).String()+", unless it is used")
	}
	if m.Progress > 0 {
		row("loading", fmt.Sprintf("%d %%", m.Progress/10))
	}
	if m.Wait > 0 {
		row("one more waits", time.Duration(m.Wait*1e6).Round(10*time.Millisecond).String()+", about")
	}
	for _, h := range m.Holders {
		state := fmt.Sprintf("%s, %d of %d slots taken, %d wait", h.State, h.Running, h.Slots, h.Queued)
		if h.Error != "" {
			state += ": " + h.Error
		}
		row("on "+h.Name, state)
	}
	return w.Flush()
}

func tokens(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d tokens", n)
}

type modelsPullCmd struct {
	target
	Model  string `arg:"" help:"Name of the model, as others hold it; hf.co/OWNER/REPO:FILE is its own source."`
	From   string `help:"URL of a .gguf file, or hf.co/OWNER/REPO:FILE (default: other nodes, then what the name says)." placeholder:"URL"`
	SHA256 string `name:"sha256" help:"Digest that the file must have." placeholder:"HEX"`
	JSON   bool   `help:"Print the progress as JSON, a line each."`
}

func (c *modelsPullCmd) Run(e *env) error {
	resp, err := c.post(e.ctx, "/omx/v1/models/pull", map[string]any{"model": c.Model, "source": c.From, "digest": c.SHA256})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return c.follow(e, resp.Body)
}

// follow shows how a pull goes on.
func (c *modelsPullCmd) follow(e *env, body io.Reader) error {
	lines := bufio.NewScanner(body)
	done, said := false, time.Time{}
	for lines.Scan() {
		var p struct {
			Status      string
			Digest      string
			Done, Total int64
			Error       *struct{ Message string }
		}
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			return fmt.Errorf("read the progress: %w", err)
		}
		if c.JSON {
			fmt.Fprintf(e.stdout, "%s\n", lines.Bytes())
		}
		switch {
		case p.Error != nil:
			return errors.New(p.Error.Message)
		case p.Status == "success":
			done = true
		case c.JSON || p.Done < p.Total && time.Since(said) < time.Second:
		case p.Total > 0:
			said = time.Now()
			e.say("%s: %s of %s (%d %%)", p.Status, size(p.Done), size(p.Total), p.Done*100/p.Total)
		default:
			e.say("%s", p.Status)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the progress: %w", err)
	}
	if !done {
		return errors.New("the node closed the connection; pull again, and it goes on where it was")
	}
	if !c.JSON {
		e.say("model %s is stored; it is loaded when somebody asks", c.Model)
	}
	return nil
}

type modelsRmCmd struct {
	ordering
	Model []string `arg:"" help:"Stored model."`
}

func (c *modelsRmCmd) Run(e *env) error {
	for _, m := range c.Model {
		if err := c.order(e, "delete", map[string]any{"model": m}); err != nil {
			return err
		}
		e.say("removed %s", m)
	}
	return nil
}

type modelsCpCmd struct {
	ordering
	From string `arg:"" help:"Stored model."`
	To   string `arg:"" help:"Its further name."`
}

func (c *modelsCpCmd) Run(e *env) error {
	if err := c.order(e, "copy", map[string]any{"model": c.From, "to": c.To}); err != nil {
		return err
	}
	e.say("%s is also called %s", c.From, c.To)
	return nil
}

type modelsLoadCmd struct {
	ordering
	Model string         `arg:"" help:"Model of the node."`
	Keep  *time.Duration `help:"How long it stays loaded when nobody asks; -1s for good (default: as the node is configured)."`
}

func (c *modelsLoadCmd) Run(e *env) error {
	body := map[string]any{"model": c.Model}
	if c.Keep != nil {
		body["keep_alive"] = c.Keep.String()
	}
	if err := c.order(e, "load", body); err != nil {
		return err
	}
	e.say("%s is loaded", c.Model)
	return nil
}

type modelsUnloadCmd struct {
	ordering
	Model string `arg:"" help:"Model of the node."`
}

func (c *modelsUnloadCmd) Run(e *env) error {
	if err := c.order(e, "unload", map[string]any{"model": c.Model}); err != nil {
		return err
	}
	e.say("%s is unloaded as soon as its requests have ended", c.Model)
	return nil
}

// ordering is a command that has a node do something with its models.
type ordering struct {
	target
	JSON bool `help:"Print the node's models afterwards as JSON."`
}

func (o *ordering) order(e *env, action string, body any) error {
	resp, err := o.post(e.ctx, "/omx/v1/models/"+action, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	to := io.Discard
	if o.JSON {
		to = e.stdout
	}
	_, err = io.Copy(to, io.LimitReader(resp.Body, maxReply))
	return err
}
