//go:build darwin || freebsd || linux

package blob

import (
	"fmt"
	"syscall"
)

// diskFree is how many bytes may still be written in a folder, as an ordinary user.
func diskFree(dir string) (int64, error) {
	var st syscall.Statfs_t
	for {
		switch err := syscall.Statfs(dir, &st); err {
		case nil:
			return int64(st.Bavail) * int64(st.Bsize), nil
		case syscall.EINTR: // network file systems
		default:
			return 0, fmt.Errorf("free space of %s: %w", dir, err)
		}
	}
}
