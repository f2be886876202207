package catalog

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"omx/node/files"
)

// StoreUser says which process has the store in dir open; 0 if none has, or if the
// system does not say. It takes no lock itself: a node that starts at this moment
// must find it free.
func StoreUser(dir string) (pid int) {
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, lockFile), &st); err != nil {
		return 0
	}
	// 1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE 0 EOF
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	locks, err := files.ReadBounded("/proc/locks", maxLocks)
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(locks) {
		f := strings.Fields(string(line))
		if len(f) < 6 || f[1] != "FLOCK" || f[5] != file {
			continue // or one that waits, whose second word is an arrow
		}
		if pid, err := strconv.Atoi(f[4]); err == nil && pid > 0 {
			return pid
		}
	}
	return 0
}

// maxLocks bounds what is read of the system's list, in bytes: 50 for each lock.
const maxLocks = 4 << 20
