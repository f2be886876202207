package nodetest

import (
	"testing"

	"omx/node/catalog"
)

// Model is the name of a model; the test ends if it is none.
func Model(t testing.TB, name string) catalog.ModelID {
	t.Helper()
	id, err := catalog.ParseModelID(name)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
