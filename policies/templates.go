package policies

import (
	"bytes"
	"embed"
	"fmt"
	"path"
	"regexp"
	"strings"
	"text/template"

	"omx/policies/abi"
)

// The SDKs and what projects begin with. Go files that are not to be compiled
// here end in .tmpl.
//
//go:embed templates sdk/assemblyscript/omx.ts sdk/c/omx.h sdk/go/omx.go sdk/go/host.go sdk/rust/omx.rs
var projects embed.FS

var texts = map[abi.Kind]string{
	abi.Route:     "send a request where its first words are expected first",
	abi.Admit:     "let requests wait while fewer than four per slot do",
	abi.Replicate: "keep as many copies of a model as the operator wants",
}

// projectName is what a folder, a Go module and an npm package may all be called.
var projectName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

// Project makes a small policy that builds as it is: its files by their paths
// below the project's folder, which is to be called like the policy.
func Project(name, language string, kind abi.Kind) (map[string][]byte, error) {
	l, found := languageNamed(language)
	text, known := texts[kind]
	switch {
	case !projectName.MatchString(name) || name == "omx":
		return nil, fmt.Errorf("name %q: use up to 40 lower-case letters, digits and dashes, a letter first", name)
	case !found:
		return nil, fmt.Errorf("language %q: there are %s", language, languageNames())
	case !known:
		return nil, fmt.Errorf("there is no kind of decision %d", kind)
	}

	source := name + l.Ext
	data := map[string]string{
		"Name": name, "Kind": kind.String(), "Language": language, "Text": text, "Needs": l.Needs,
		"Source": source, "SDK": strings.Join(l.SDK, ", "), "Command": l.Builders[0].line(source, name+".wasm"), "Script": "./build.sh",
	}
	from := map[string]string{
		source:         path.Join(language, kind.String()+l.Ext),
		"README.md":    "README.md",
		"policy.json":  "policy.json",
		"samples.json": path.Join("samples", kind.String()+".json"),
	}
	switch language {
	case "assemblyscript":
		from["package.json"] = "package.json"
		data["Script"] = "npm install && npm run build"
	case "go":
		from["go.mod"] = "go.mod"
		fallthrough
	default:
		from["build.sh"] = "build.sh"
	}

	files := map[string][]byte{}
	for to, tmpl := range from {
		t, err := template.ParseFS(projects, path.Join("templates", tmpl+".tmpl"))
		if err != nil {
			return nil, fmt.Errorf("make project: %w", err)
		}
		var out bytes.Buffer
		if err := t.Execute(&out, data); err != nil {
			return nil, fmt.Errorf("make project: %w", err)
		}
		files[to] = out.Bytes()
	}
	for _, to := range l.SDK {
		sdk, err := projects.ReadFile(path.Join("sdk", language, path.Base(to)))
		if err != nil {
			return nil, fmt.Errorf("make project: %w", err)
		}
		files[to] = sdk
	}
	return files, nil
}
