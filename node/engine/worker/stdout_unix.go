//go:build unix

package worker

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// reserve keeps the process's standard output for frames alone: whatever else
// writes to it, such as a printf in llama.cpp, goes to standard error.
func reserve(stdout io.Writer) (io.Writer, error) {
	f, ok := stdout.(*os.File)
	if !ok || f.Fd() != 1 {
		return stdout, nil
	}
	fd, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 3)
	if err == nil {
		err = unix.Dup2(2, 1)
	}
	if err != nil {
		return nil, fmt.Errorf("reserve standard output: %w", err)
	}
	return os.NewFile(uintptr(fd), "frames"), nil
}
