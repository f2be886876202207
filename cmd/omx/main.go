// Command omx is one node of a mesh of machines that run AI models, and the
// tools to look at it, to check policies and to measure both. It wires parts
// together and decides nothing; nothing imports it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set when a release is built.
var version = "dev"

func main() {
	_ = os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true") // serve says it in a line of its own
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv)
	stop()
	os.Exit(code)
}

// env is what a command may touch of the world. stdout is for data, stderr for
// talk.
type env struct {
	ctx    context.Context
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	getenv func(string) string
}

// say writes a line of talk.
func (e *env) say(format string, args ...any) { fmt.Fprintf(e.stderr, format+"\n", args...) }

type cli struct {
	Serve   serveCmd   `cmd:"" help:"Run a node on this machine."`
	Run     runCmd     `cmd:"" help:"Ask a model one question and stream the answer."`
	Chat    chatCmd    `cmd:"" help:"Talk with a model; every line is a question."`
	Nodes   nodesCmd   `cmd:"" help:"List the nodes a node knows."`
	Ping    pingCmd    `cmd:"" help:"Measure how long another node takes to answer."`
	Drain   drainCmd   `cmd:"" help:"Have other nodes send nothing more here, and wait until all is done."`
	Doctor  doctorCmd  `cmd:"" help:"Say what is wrong on this machine, and what to type next."`
	Mesh    meshCmd    `cmd:"" help:"Make a mesh, let nodes join it, and look after its members."`
	Embed   embedCmd   `cmd:"" help:"Turn texts into vectors of their meaning."`
	Models  modelsCmd  `cmd:"" help:"List, fetch, load and remove models."`
	ID      idCmd      `cmd:"" name:"id" help:"Print this machine's node identity, for other nodes' --peer."`
	Keys    keysCmd    `cmd:"" help:"Work with the keys of the API."`
	Policy  policyCmd  `cmd:"" help:"Work with policy modules."`
	Engine  engineCmd  `cmd:"" help:"Install and inspect the engine libraries."`
	Testnet testnetCmd `cmd:"" help:"Try fleets of nodes on this machine, real or in virtual time."`
	Bench   benchCmd   `cmd:"" help:"Measure this node's parts and simulate meshes."`
	Worker  workerCmd  `cmd:"" hidden:"" help:"Run one model; started by serve."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

const description = `omx makes the machines you own serve AI models as one. Start a node with
"omx serve", ask it with "omx run", and program admission and routing with
WebAssembly policies.`

// usageError ends with exit code 2: the command line is wrong, nothing ran.
type usageError struct{ error }

// toldError has been said already.
type toldError struct{ error }

// run is main with its surroundings passed in: it returns the exit code, 0 for
// success, 1 for a failure, 2 for a wrong command line.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	e := &env{ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr, getenv: getenv}
	var c cli
	exit := -1
	parser, err := kong.New(&c, kong.Name("omx"), kong.Description(description),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exit = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 80}),
		kong.DefaultEnvars("OMX"))
	if err != nil {
		e.say("omx: %v", err)
		return 2
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	cmd, err := parser.Parse(args)
	if exit >= 0 { // help was asked for and printed
		return exit
	}
	if err != nil {
		e.say("omx: %v (see omx --help)", err)
		return 2
	}
	if err := cmd.Run(e); err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return 130
		}
		if !errors.As(err, new(toldError)) {
			e.say("omx: %v", err)
		}
		if errors.As(err, new(usageError)) {
			return 2
		}
		return 1
	}
	return 0
}
