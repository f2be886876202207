package monitor

import (
	"fmt"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// source keeps the files open: opening costs more than reading them.
type source struct {
	buf [maxFile]byte

	uptime, statm, meminfo, online int // descriptors, -1 if not there
	dir                            int
	groups                         []group
	page                           uint64

	cpus             uint64
	machineAvailable uint64 // as of the full sample

	lastLight time.Time
	lastIdle  uint64 // hundredths of a second
	lastSelf  int64  // nanoseconds
	hasIdle   bool
}

func (s *source) open(dir string) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open folder %s: %w", dir, err)
	}
	s.dir = fd
	s.uptime = openFile("/proc/uptime")
	s.statm = openFile("/proc/self/statm")
	s.meminfo = openFile("/proc/meminfo")
	s.online = openFile("/sys/devices/system/cpu/online")
	s.groups = openGroups("/sys/fs/cgroup", s.readAll("/proc/self/cgroup"))
	s.page = uint64(os.Getpagesize())
	return nil
}

func (s *source) close() {
	for _, fd := range []int{s.dir, s.uptime, s.statm, s.meminfo, s.online} {
		closeFile(fd)
	}
	for _, g := range s.groups {
		g.close()
	}
}

// light reads what is cheap: /proc/uptime, since /proc/stat has the kernel go
// through every interrupt of the machine; getrusage instead of /proc/self/stat.
func (s *source) light(r *Reading, now time.Time) {
	idle, ok := parseUptime(s.read(s.uptime))
	var ru unix.Rusage
	selfErr := unix.Getrusage(unix.RUSAGE_SELF, &ru)
	self := ru.Utime.Nano() + ru.Stime.Nano()
	first, elapsed := s.lastLight.IsZero(), now.Sub(s.lastLight)
	if first || elapsed >= minWindow {
		if ok && s.hasIdle && s.cpus > 0 && idle >= s.lastIdle {
			// Hundredths of a second against nanoseconds.
			share := float64(idle-s.lastIdle) * 1e7 / (float64(elapsed) * float64(s.cpus))
			r.CPU = percent(1 - share)
			r.Known |= CPU
		}
		if selfErr == nil && !first {
			r.Self = max(0, 100*float64(self-s.lastSelf)/float64(elapsed))
			r.Known |= Self
		}
		s.lastLight, s.lastIdle, s.hasIdle, s.lastSelf = now, idle, ok, self
	}
	if pages, ok := parseStatm(s.read(s.statm)); ok && pages < math.MaxUint64/s.page {
		r.RSS = pages * s.page
		r.Known |= Resident
	}
	s.groupMemory(r)
}

func (s *source) full(r *Reading) {
	if n, ok := parseCPUList(s.read(s.online)); ok {
		s.cpus, r.CPUs = n, n
	}
	mem := s.read(s.meminfo)
	total, ok1 := parseField(mem, keyTotal)
	avail, ok2 := parseField(mem, keyAvail)
	if ok1 && ok2 && total < 1<<53 && avail <= total {
		r.MemTotal, r.MemAvailable = total<<10, avail<<10
		s.machineAvailable = r.MemAvailable
		r.Known |= Memory
		for i := range s.groups {
			g := &s.groups[i]
			g.refresh(s, r.MemTotal)
			r.MemTotal = min(r.MemTotal, g.limit)
		}
	}
	var fs unix.Statfs_t
	if unix.Fstatfs(s.dir, &fs) == nil {
		r.DiskTotal, r.DiskFree = fs.Blocks*uint64(fs.Bsize), fs.Bavail*uint64(fs.Bsize)
		r.Known |= Disk
	}
}

// groupMemory lowers MemAvailable to what the limited control groups have left.
func (s *source) groupMemory(r *Reading) {
	if r.Known&Memory == 0 {
		return
	}
	avail, limited := s.machineAvailable, false
	for i := range s.groups {
		if left, ok := s.groups[i].left(s); ok {
			avail, limited = min(avail, left), true
		}
	}
	if limited {
		r.MemAvailable = avail
	}
}

// read returns the beginning of an open file; it is valid until the next read.
func (s *source) read(fd int) []byte {
	if fd < 0 {
		return nil
	}
	for {
		n, err := unix.Pread(fd, s.buf[:], 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n < 0 {
			return nil
		}
		return s.buf[:n]
	}
}

func (s *source) readAll(path string) []byte {
	fd := openFile(path)
	defer closeFile(fd)
	return s.read(fd)
}

func openFile(path string) int {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}

func closeFile(fd int) {
	if fd >= 0 {
		unix.Close(fd)
	}
}

func percent(share float64) float64 { return 100 * min(max(share, 0), 1) }
