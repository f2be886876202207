package virtual

import (
	"context"
	"flag"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"testing/synctest"
)

// Run calls inside in virtual time and then after in real time, and exits the process
// with the code that after returns. It never returns itself, so that whoever has
// more to do runs it in a child process. Interrupts end the process at once: nothing
// from outside may wake what is in the bubble.
func Run(inside func(ctx context.Context), after func() (code int)) {
	signal.Reset(os.Interrupt, syscall.SIGTERM)
	// The flags of tests are not this program's.
	flag.CommandLine = flag.NewFlagSet("virtual", flag.ContinueOnError)
	testing.Init()
	_ = flag.CommandLine.Parse(nil) // nothing can be wrong about nothing
	all := func(string, string) (bool, error) { return true, nil }
	testing.Main(all, []testing.InternalTest{{Name: "virtual", F: func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { inside(t.Context()) })
		os.Exit(after()) // before package testing says PASS
	}}}, nil, nil)
}
