package node

import (
	"fmt"
	"os"
	"path/filepath"

	"omx/node/blob"
	"omx/node/catalog"
	"omx/node/engine"
	"omx/node/engine/upstream"
)

// ModelsDir is the folder of stored models in the data folder.
const ModelsDir = "models"

// memoryShare is how much of the memory that is free at the start models may take,
// in tenths: the rest is for what else runs, and for what estimates miss.
const memoryShare = 9

func (n *Node) openEngine() (err error) {
	if n.engine = n.cfg.Engine; n.engine != nil {
		return nil
	}
	dir := filepath.Join(n.cfg.Data, ModelsDir)
	if n.blobs, err = blob.Open(dir); err != nil {
		return err
	}
	models, err := n.files(dir)
	if err != nil {
		return err
	}
	n.fixed = map[catalog.ModelID]string{}
	for _, m := range models {
		n.fixed[m.ID] = m.Path
	}
	exe := n.cfg.Exe
	if exe == "" {
		if exe, err = os.Executable(); err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
	}
	memory := n.cfg.Memory
	if memory == 0 {
		n.monitor.Full()
		memory = int64(n.monitor.Read().MemAvailable) / 10 * memoryShare
	}
	state := ""
	if n.cfg.KeepConversations {
		state = filepath.Join(n.cfg.Data, "conversations")
	}
	n.local, err = engine.NewLocal(engine.LocalConfig{Models: models, LibraryDirs: n.cfg.EngineDirs, Exe: exe, Slots: n.cfg.Slots, QueueLimit: n.cfg.QueueLimit,
		ContextTokens: n.cfg.ContextTokens, Threads: n.cfg.Threads, Memory: memory, KeepAlive: n.cfg.KeepAlive, StateDir: state, Log: n.log})
	if err != nil {
		return err
	}
	all := []engine.Engine{n.local}
	for _, cfg := range n.cfg.Upstreams {
		cfg.Log = n.log
		u, err := upstream.New(cfg)
		if err != nil {
			return err
		}
		all = append(all, u)
	}
	if n.engine = n.local; len(all) > 1 {
		n.engine = engine.NewGroup(all...)
	}
	return nil
}

// files are the models that the node is started with: loaded at once, and kept.
func (n *Node) files(dir string) (models []engine.ModelFile, err error) {
	for _, m := range n.cfg.Models {
		id, path, err := SplitModel(m)
		if err != nil {
			return nil, err
		}
		// A file that is no model is told at once, not when it fails to load.
		if _, err := engine.CheckGGUF(path); err != nil {
			return nil, fmt.Errorf("model %s: %w; name a GGUF file with --model", path, err)
		}
		models = append(models, engine.ModelFile{ID: id, Path: path})
	}
	if n.cfg.Demo {
		path, err := engine.DemoModel(dir)
		if err != nil {
			return nil, err
		}
		id, err := catalog.ParseModelID(engine.DemoID)
		if err != nil {
			return nil, err
		}
		models = append(models, engine.ModelFile{ID: id, Path: path})
	}
	for i := range models {
		models[i].Preload, models[i].Pin, models[i].Keep = true, true, -1
	}
	return models, n.adapt(models)
}

// adapt gives models their adapters.
func (n *Node) adapt(models []engine.ModelFile) error {
adapters:
	for _, text := range n.cfg.Adapters {
		id, a, err := splitAdapter(text)
		if err != nil {
			return err
		}
		if _, err := os.Stat(a.Path); err != nil {
			return fmt.Errorf("adapter %s: %w; name a GGUF file of a LoRA adapter with --adapter MODEL=PATH", a.Path, err)
		}
		for i := range models {
			if models[i].ID == id {
				models[i].Adapters = append(models[i].Adapters, a)
				continue adapters
			}
		}
		return fmt.Errorf("adapter %s: no model %s is given; name one with --model %s=PATH", a.Path, id, id)
	}
	return nil
}
