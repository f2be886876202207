package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"

	"omx/node/engine/frame"
)

// stateDir is the folder for what the model remembers; "" if nothing is kept.
func (s *served) stateDir() string {
	if s.cfg.StateDir == "" {
		return ""
	}
	name := sha256.Sum256([]byte(s.file.ID.String()))
	return filepath.Join(s.cfg.StateDir, hex.EncodeToString(name[:8]))
}

// saveState has a worker that is about to end write what its slots remember. If that
// fails it is read again, which takes longer, so it is told and no more.
func (s *served) saveState(ctx context.Context, p *process) {
	dir := s.stateDir()
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	err := os.RemoveAll(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	var result *frame.Result
	if err == nil {
		box := newInbox(false)
		if _, err = p.submit(frame.Save, frame.State{Dir: dir, Most: maxState}, box); err == nil {
			_, result, err = box.next(ctx)
		}
	}
	if err == nil {
		err = resultError(result)
	}
	if err != nil {
		s.cfg.Log.Warn("conversations are not kept while the model is unloaded", "model", s.file.ID, "why", err)
		_ = os.RemoveAll(dir)
	}
}
