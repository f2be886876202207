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

func prepareCache(dir string) error {
	return os.MkdirAll(filepath.Join(dir, cacheFormat), 0o700)
}

// compile sets up the instance's runtime and compiles the module in it, through
// the cache folder if there is one. The engine checks cached code by a checksum
// and gives up when that is wrong; then the entry is thrown away and made again.
func (h *Host) compile(ctx context.Context, i *Instance, rc wazero.RuntimeConfig, metered []byte) (wazero.CompiledModule, error) {
	if h.config.CacheDir == "" {
		i.runtime = wazero.NewRuntimeWithConfig(ctx, rc)
		return i.runtime.CompileModule(ctx, metered)
	}
	root := filepath.Join(h.config.CacheDir, cacheFormat)
	digest := sha256.Sum256(metered)
	dir := filepath.Join(root, hex.EncodeToString(digest[:]))
	trimCache(root, filepath.Base(dir))
	compiled, err := i.compileIn(ctx, rc, dir, metered)
	if err == nil {
		return compiled, nil
	}
	if err := errors.Join(i.release(), os.RemoveAll(dir)); err != nil {
		return nil, err
	}
	return i.compileIn(ctx, rc, dir, metered)
}

func (i *Instance) compileIn(ctx context.Context, rc wazero.RuntimeConfig, dir string, metered []byte) (wazero.CompiledModule, error) {
	var err error
	if i.cache, err = wazero.NewCompilationCacheWithDir(dir); err != nil {
		return nil, err
	}
	i.runtime = wazero.NewRuntimeWithConfig(ctx, rc.WithCompilationCache(i.cache))
	return i.runtime.CompileModule(ctx, metered)
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
