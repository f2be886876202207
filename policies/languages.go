package policies

import "strings"

// Language is one that policies can be written in.
type Language struct {
	Name  string   // as people type it
	Ext   string   // how its source files end
	SDK   []string // files of its SDK, as they lie in a project
	Needs string   // the toolchain, in words
	Hint  string   // how to get it on Debian
	// Builders are programs that can build it, best first.
	Builders []Builder
}

// Builder is a program with what it is given to build a module. In Args, SRC
// stands for the source and OUT for the module.
type Builder struct {
	Program string
	Args    []string
	Env     []string
}

// Languages are all there are.
var Languages = [...]Language{
	{Name: "assemblyscript", Ext: ".ts", SDK: []string{"omx.ts"}, Needs: "Node.js and the npm package assemblyscript",
		Hint: "apt install npm, then npm install in the policy's folder",
		Builders: []Builder{
			{Program: "asc", Args: strings.Fields("SRC -O3 --noAssert --runtime stub --use abort= -o OUT")},
		}},
	{Name: "c", Ext: ".c", SDK: []string{"omx.h"}, Needs: "clang and lld",
		Hint: "apt install clang-19 lld-19",
		Builders: []Builder{
			{Program: "clang-19", Args: strings.Fields(clangArgs)},
			{Program: "clang", Args: strings.Fields(clangArgs)},
		}},
	{Name: "go", Ext: ".go", SDK: []string{"omx/omx.go", "omx/host.go"}, Needs: "Go 1.24 or later",
		Hint: "apt install golang-go, from the backports where that is older",
		Builders: []Builder{
			{Program: "go", Args: []string{"build", "-buildmode=c-shared", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", "OUT", "."}, Env: []string{"GOOS=wasip1", "GOARCH=wasm"}},
		}},
	{Name: "rust", Ext: ".rs", SDK: []string{"omx.rs"}, Needs: "rustc with the target wasm32-unknown-unknown",
		Hint: "apt install rustc libstd-rust-dev-wasm32, or rustup target add wasm32-unknown-unknown",
		Builders: []Builder{
			{Program: "rustc", Args: strings.Fields(rustArgs)},
			{Program: "/usr/bin/rustc", Args: strings.Fields(rustArgs)}, // Debian's, behind one without the target
		}},
	{Name: "wat", Ext: ".wat", Needs: "wabt or binaryen",
		Hint: "apt install wabt",
		Builders: []Builder{
			{Program: "wat2wasm", Args: strings.Fields("SRC -o OUT")},
			{Program: "wasm-as", Args: strings.Fields("-all SRC -o OUT")},
		}},
}

const (
	clangArgs = "--target=wasm32 -O3 -nostdlib -ffreestanding -mbulk-memory -Wl,--no-entry -Wl,-z,stack-size=32768 -Wl,--strip-all -o OUT SRC"
	rustArgs  = "--edition 2021 --target wasm32-unknown-unknown -O -C panic=abort -C lto -C link-arg=--strip-all -C link-arg=-zstack-size=32768 -o OUT SRC"
)

// Fill is the arguments with their files put in.
func (b Builder) Fill(source, out string) []string {
	args := make([]string, len(b.Args))
	for i, a := range b.Args {
		switch a {
		case "SRC":
			a = source
		case "OUT":
			a = out
		}
		args[i] = a
	}
	return args
}

// line is the command as a shell takes it.
func (b Builder) line(source, out string) string {
	list := append(append([]string(nil), b.Env...), b.Program)
	for _, a := range b.Fill(source, out) {
		if strings.Contains(a, " ") {
			a = `"` + a + `"`
		}
		list = append(list, a)
	}
	return strings.Join(list, " ")
}

func languageNamed(name string) (Language, bool) {
	for _, l := range Languages {
		if l.Name == name {
			return l, true
		}
	}
	return Language{}, false
}

func languageNames() string {
	var list []string
	for _, l := range Languages {
		list = append(list, l.Name)
	}
	return strings.Join(list, ", ")
}
