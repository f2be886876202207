package policies

import (
	"embed"
	"path"
)

// The same plain routing rule from the templates of other languages, compiled,
// and modules that misbehave: for measurements.
//
//go:embed sdk/c/testdata/route.wasm sdk/rust/testdata/route.wasm corpus/run/*.wasm
var extras embed.FS

// Example is the routing rule of the templates in a language: c or rust.
func Example(language string) ([]byte, bool) {
	code, err := extras.ReadFile(path.Join("sdk", language, "testdata", "route.wasm"))
	return code, err == nil
}

// Evil is a module of the corpus that behaves until a request is a later attempt.
func Evil(name string) ([]byte, bool) {
	code, err := extras.ReadFile(path.Join("corpus", "run", name+".wasm"))
	return code, err == nil
}
