package upstream

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

type ollamaModel struct {
	Name    string `json:"name"`
	Size    int64  `json:"size"`
	Digest  string `json:"digest"`
	Context int    `json:"context_length"` // of a loaded one
	Details struct {
		Family       string `json:"family"`
		Parameters   string `json:"parameter_size"`
		Quantization string `json:"quantization_level"`
	} `json:"details"`
}

type ollamaModels struct {
	Models []ollamaModel `json:"models"`
}

// list asks which models there are, and what context those have that are loaded.
func (o *ollama) list(ctx context.Context) ([]found, error) {
	var all, loaded ollamaModels
	if err := o.json(ctx, http.MethodGet, "/api/tags", nil, nil, &all, maxList); err != nil {
		return nil, err
	}
	_ = o.json(ctx, http.MethodGet, "/api/ps", nil, nil, &loaded, maxList) // else no contexts are known
	contexts := map[string]int{}
	for _, m := range loaded.Models {
		contexts[m.Name] = tokens(m.Context)
	}
	shown, asked := map[string]found{}, 0
	var list []found
	for _, m := range all.Models[:min(len(all.Models), maxListed)] {
		key := m.Digest + " " + m.Name
		f, known := o.shown[key]
		if !known && asked < maxShown {
			asked++
			f, known = o.show(ctx, m.Name), true
		}
		if known {
			shown[key] = f
		}
		f.name, f.bytes = m.Name, max(m.Size, 0)
		f.details.Family, f.details.Parameters, f.details.Quantization = clean(m.Details.Family), clean(m.Details.Parameters), clean(m.Details.Quantization)
		if n := contexts[m.Name]; n > 0 {
			f.context = n
		}
		list = append(list, f)
	}
	o.shown = shown
	return list, ctx.Err()
}

// show asks for a model's insides. That it cannot tell them makes it no worse.
func (o *ollama) show(ctx context.Context, name string) (f found) {
	var reply struct {
		Parameters string                     `json:"parameters"` // lines of a name and a value
		Template   string                     `json:"template"`
		Info       map[string]json.RawMessage `json:"model_info"`
	}
	if err := o.json(ctx, http.MethodPost, "/api/show", map[string]string{"model": name}, nil, &reply, maxList); err != nil {
		return f
	}
	if len(reply.Template) <= maxTemplate {
		f.details.Template = reply.Template
	}
	var family string
	_ = json.Unmarshal(reply.Info["general.architecture"], &family) // else it is not known
	if n, err := strconv.Atoi(string(reply.Info[family+".context_length"])); err == nil {
		f.details.Trained = tokens(n)
	}
	for line := range strings.Lines(reply.Parameters) {
		if w := strings.Fields(line); len(w) == 2 && w[0] == "num_ctx" {
			n, _ := strconv.Atoi(w[1]) // 0 is not known
			f.context = tokens(n)
		}
	}
	return f
}
