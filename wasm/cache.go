package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"

	"github.com/tetratelabs/wazero"
)

const (
	// cacheFormat names the metering and the engine that entries were made with:
	// the engine's own key does not tell versions apart in every build.
	cacheFormat = "omx1-wazero1.12.0"
	// maxCached modules are kept: the ones in use, and some to go back to.
	maxCached = 32
)

func (h *Host) prepareCache() error { return os.MkdirAll(h.cacheRoot(), 0o700) }

// cacheRoot is another folder for every program, metering and engine.
func (h *Host) cacheRoot() string {
	version := sha256.Sum256([]byte(h.config.Version))
	return filepath.Join(h.config.CacheDir, cacheFormat+"-"+hex.EncodeToString(version[:8]))
}

// compile sets up the module's runtime and compiles the module in it, through
// the cache folder if there is one. The engine checks cached code by a checksum
// and gives up when that is wrong; then the entry is thrown away and made again.
func (h *Host) compile(ctx context.Context, m *Module, rc wazero.RuntimeConfig, metered []byte) (wazero.CompiledModule, error) {
	if h.config.CacheDir == "" {
		m.runtime = wazero.NewRuntimeWithConfig(ctx, rc)
		return m.runtime.CompileModule(ctx, metered)
	}
	root := h.cacheRoot()
	digest := sha256.Sum256(metered)
	dir := filepath.Join(root, hex.EncodeToString(digest[:]))
	trimCache(root, filepath.Base(dir))
	compiled, err := m.compileIn(ctx, rc, dir, metered)
	if err == nil {
		return compiled, nil
	}
	if err := errors.Join(m.release(), os.RemoveAll(dir)); err != nil {
		return nil, err
	}
	if compiled, err = m.compileIn(ctx, rc, dir, metered); err == nil {
		return compiled, nil
	}
	// A disk that is full costs time to start, and no policy.
	if err := m.release(); err != nil {
		return nil, err
	}
	m.runtime = wazero.NewRuntimeWithConfig(ctx, rc)
	return m.runtime.CompileModule(ctx, metered)
}

func (m *Module) compileIn(ctx context.Context, rc wazero.RuntimeConfig, dir string, metered []byte) (wazero.CompiledModule, error) {
	var err error
	if m.cache, err = wazero.NewCompilationCacheWithDir(dir); err != nil {
		return nil, err
	}
	m.runtime = wazero.NewRuntimeWithConfig(ctx, rc.WithCompilationCache(m.cache))
	return m.runtime.CompileModule(ctx, metered)
}

// trimCache removes entries beyond maxCached, but not keep. Which ones does not
// matter: they are made again when needed.
func trimCache(root, keep string) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return // it is made when the entry is
	}
	for n := len(entries); n > maxCached; n-- {
		if name := entries[n-1].Name(); name != keep {
			os.RemoveAll(filepath.Join(root, name))
		}
	}
}
