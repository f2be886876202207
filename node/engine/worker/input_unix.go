//go:build unix

package worker

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// readable tells whether a read would not wait: there are bytes, or the end.
func readable(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(p, 0)
	return n > 0 && err == nil
}

// hangup waits until the other end of a pipe is closed, however much there is to
// read yet.
func hangup(fd int) error {
	for {
		p := []unix.PollFd{{Fd: int32(fd)}}
		switch n, err := unix.Poll(p, -1); {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("watch the node: %w", err)
		case n > 0:
			return nil
		}
	}
}
