//go:build unix

package measure

import (
	"time"

	"golang.org/x/sys/unix"
)

// processTime is the processor time used by all threads of this process.
func processTime() time.Duration {
	var ru unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &ru) != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}
