package wasm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// engineCorpus calls visit with each module of the engine's own tests: the
// WebAssembly specification's and more.
func engineCorpus(t *testing.T, visit func(name string, code []byte)) {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(strings.TrimSpace(string(dir)), "internal", "integration_test", "spectest")
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".wasm") {
			return err
		}
		code, err := os.ReadFile(path)
		if err == nil && len(code) < 1<<16 {
			visit(strings.TrimPrefix(path, root), code)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Every module of the engine's tests is refused for a known reason, or is valid
// when metered exactly if it is valid as it is.
func TestEngineCorpusStaysValid(t *testing.T) {
	total, refused, invalid := 0, 0, 0
	engineCorpus(t, func(name string, code []byte) {
		total++
		switch valid, err := meterKeepsValidity(t.Context(), code); {
		case errors.Is(err, ErrModule):
			refused++
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case !valid:
			invalid++
		}
	})
	t.Logf("%d modules: %d refused, %d invalid, %d metered", total, refused, invalid, total-refused-invalid)
	if total-refused-invalid < 3000 {
		t.Errorf("only %d of %d modules were metered", total-refused-invalid, total)
	}
}

// Every function of those modules gives the same results, or the same trap,
// metered and plain.
func TestEngineCorpusRunsAlike(t *testing.T) {
	calls, stopped := 0, 0
	engineCorpus(t, func(name string, code []byte) {
		if valid, err := meterKeepsValidity(t.Context(), code); err != nil || !valid {
			return
		}
		m, err := inspect(code)
		if err != nil || len(m.imports) > 0 {
			return
		}
		metered, left := instantiated(t, meterFor(t, code))
		defer metered.Close(t.Context())
		if left == nil {
			return // its start function traps, or a segment does not fit
		}
		bare, err := plain(m, nil)
		if err != nil {
			t.Fatal(err)
		}
		plain, _ := instantiated(t, bare)
		defer plain.Close(t.Context())
		for _, e := range m.exports {
			if e.kind != kindFunction {
				continue
			}
			def := plain.Module("m").ExportedFunction(e.name).Definition()
			args := make([]uint64, 2*len(def.ParamTypes())) // a vector takes two
			results := def.ResultTypes()
			if slices.Contains(results, api.ValueTypeExternref) || slices.ContainsFunc(results, isFuncref) {
				continue // references are addresses
			}
			for i := range args {
				args[i] = uint64(i) + 1
			}
			left.Set(100_000)
			got, gotErr := call(t.Context(), metered, e.name, args)
			if int64(left.Get()) < 0 {
				stopped++
				return // its state is not the plain one's from here on
			}
			want, wantErr := call(t.Context(), plain, e.name, args)
			calls++
			if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) || gotErr == nil && !slices.Equal(got, want) {
				t.Errorf("%s %s: %v, %v; plain %v, %v", name, e.name, got, gotErr, want, wantErr)
			}
		}
	})
	t.Logf("%d calls alike, %d modules stopped by fuel", calls, stopped)
	if calls < 5000 || stopped == 0 {
		t.Errorf("only %d calls and %d stops", calls, stopped)
	}
}

func isFuncref(t api.ValueType) bool { return t == 0x70 }

// instantiated runs a module as "m" in a runtime of its own; fuel is nil if it
// does not start or has none.
func instantiated(t *testing.T, code []byte) (r wazero.Runtime, fuel api.MutableGlobal) {
	t.Helper()
	r = wazero.NewRuntimeWithConfig(t.Context(), engines()["compiler"])
	m, err := r.InstantiateWithConfig(t.Context(), code, wazero.NewModuleConfig().WithName("m").WithStartFunctions())
	if err != nil {
		return r, nil
	}
	fuel, _ = m.ExportedGlobal(fuelExport).(api.MutableGlobal)
	return r, fuel
}

func call(ctx context.Context, r wazero.Runtime, name string, args []uint64) ([]uint64, error) {
	stack := slices.Grow(slices.Clone(args), 64)[:len(args)+64]
	f := r.Module("m").ExportedFunction(name)
	if err := f.CallWithStack(ctx, stack); err != nil {
		return nil, oneLine(err)
	}
	return stack[:len(f.Definition().ResultTypes())], nil
}

// meterKeepsValidity compiles a module as it is and metered, and fails if one is
// valid and the other not.
func meterKeepsValidity(ctx context.Context, code []byte) (valid bool, err error) {
	m, err := inspect(code)
	if err != nil {
		return false, err
	}
	lim := Limits{}.withDefaults()
	for _, mem := range m.memories {
		if mem.min > lim.MemoryPages || mem.hasMax && (mem.max < mem.min || mem.max > addressablePages) {
			return false, refuse("memory is for the rules to refuse")
		}
	}
	for _, e := range m.exports {
		if e.kind == kindGlobal && e.index >= m.globals || e.name == fuelExport {
			return false, refuse("exports are for the rules to refuse")
		}
	}
	var elems uint64
	for _, s := range m.tables {
		if elems += uint64(s.min); elems > maxTableElems {
			return false, refuse("tables are for the rules to refuse")
		}
	}
	metered, err := m.meter(&lim)
	if err != nil {
		return false, err
	}
	bare, err := plain(m, &lim)
	if err != nil {
		return false, err
	}
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(api.CoreFeaturesV2))
	defer r.Close(ctx)
	_, before := r.CompileModule(ctx, bare)
	_, after := r.CompileModule(ctx, metered)
	if (before == nil) != (after == nil) {
		return false, fmt.Errorf("as it is: %v; metered: %v", before, after)
	}
	return before == nil, nil
}
