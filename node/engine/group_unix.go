//go:build unix

package engine

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps a terminal's Ctrl-C from the worker: the node decides when it
// ends.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// killGroup ends the worker and whatever it started.
func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
