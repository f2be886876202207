package policies_test

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"testing"

	"omx/policies"
	"omx/policies/abi"
)

// Every project is whole: its files are there, filled in, and name each other.
func TestProject(t *testing.T) {
	for _, l := range policies.Languages {
		for _, k := range abi.Kinds {
			t.Run(l.Name+"/"+k.String(), func(t *testing.T) {
				files, err := policies.Project("my-policy", l.Name, k)
				if err != nil {
					t.Fatal(err)
				}
				want := append([]string{"README.md", "policy.json", "samples.json", "my-policy" + l.Ext}, l.SDK...)
				switch l.Name {
				case "assemblyscript":
					want = append(want, "package.json")
				case "go":
					want = append(want, "go.mod", "build.sh")
				default:
					want = append(want, "build.sh")
				}
				for _, name := range want {
					if len(files[name]) == 0 {
						t.Errorf("no %s", name)
					}
				}
				for name, b := range files {
					if !slices.Contains(want, name) {
						t.Errorf("%s is not expected", name)
					}
					if strings.Contains(string(b), "{{") {
						t.Errorf("%s is not filled in", name)
					}
					if path.Ext(name) == ".json" && !json.Valid(b) {
						t.Errorf("%s is no JSON", name)
					}
				}
				if s := string(files["my-policy"+l.Ext]); !strings.Contains(s, "my-policy: ") && !strings.Contains(s, "my-policy is ") {
					t.Error("the source does not say what it is")
				}
				if b := files["build.sh"]; b != nil && !strings.Contains(string(b), "-o my-policy.wasm") {
					t.Errorf("build.sh makes something else:\n%s", b)
				}
			})
		}
	}
}

func TestProjectRefuses(t *testing.T) {
	for _, c := range []struct {
		name, language string
		kind           abi.Kind
		want           string
	}{
		{"", "c", abi.Route, "lower-case"},
		{"omx", "c", abi.Route, "lower-case"},
		{"../x", "c", abi.Route, "lower-case"},
		{"a/b", "c", abi.Route, "lower-case"},
		{"1st", "c", abi.Route, "lower-case"},
		{"a b", "c", abi.Route, "lower-case"},
		{strings.Repeat("a", 41), "c", abi.Route, "lower-case"},
		{"near", "cobol", abi.Route, "assemblyscript, c, go, rust, wat"},
		{"near", "c", 9, "kind"},
	} {
		if _, err := policies.Project(c.name, c.language, c.kind); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q in %s: %v, want %q", c.name, c.language, err, c.want)
		}
	}
}
