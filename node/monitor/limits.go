package monitor

import "time"

const (
	// minWindow is the shortest time over which a share is computed: the kernel
	// counts in hundredths of a second. Samples closer together keep the share.
	minWindow = 100 * time.Millisecond

	// maxFile bounds what is read of any file under /proc or /sys. The figures
	// wanted are in the first lines; memory.stat is the longest, under 2 KiB.
	maxFile = 4 << 10
	// maxLevels bounds the control groups looked at, ours and those it is in.
	// Deeper trees are not seen in practice; what is left out is the outermost.
	maxLevels = 8
	// maxCPUs bounds what a list of processors may claim.
	maxCPUs = 1 << 16
)
