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

// Node is the identity of a node; the test ends if it is none.
func Node(t testing.TB, id string) catalog.NodeID {
	t.Helper()
	parsed, err := catalog.ParseNodeID(id)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}
