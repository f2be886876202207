package libffi

import "syscall"

const (
	soname = "libffi.so.8"
	cache  = "/etc/ld.so.cache" // the dynamic loader's index of installed libraries
	// maxCache bounds how much of the index is read; it has about 100 bytes for
	// each library installed.
	maxCache = 16 << 20

	message = "omx: libffi.so.8 is missing, which the engine libraries need; install it: apt-get install libffi8\n"
)

// folders are those the dynamic loader searches without its index.
var folders = [...]string{"/lib", "/usr/lib", "/lib64", "/usr/lib64",
	"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu"}

// This init does work, against this repository's custom: the binding's own
// panics a moment later, and nothing else runs before it.
func init() {
	path, _ := syscall.Getenv("LD_LIBRARY_PATH")
	if !installed("", path) {
		_, _ = syscall.Write(2, []byte(message))
		syscall.Exit(1)
	}
}

// installed says whether the dynamic loader would find libffi below root.
func installed(root, libraryPath string) bool {
	for start, i := 0, 0; i <= len(libraryPath); i++ {
		if i == len(libraryPath) || libraryPath[i] == ':' || libraryPath[i] == ';' {
			if i > start && exists(libraryPath[start:i]+"/"+soname) {
				return true
			}
			start = i + 1
		}
	}
	for _, dir := range folders {
		if exists(root + dir + "/" + soname) {
			return true
		}
	}
	return contains(root+cache, soname+"\x00")
}

func exists(path string) bool {
	var st syscall.Stat_t
	return syscall.Stat(path, &st) == nil
}

// contains says whether a file has text in its first maxCache bytes.
func contains(path, text string) bool {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer syscall.Close(fd)
	buf := make([]byte, 64<<10)
	kept, total := 0, 0
	for total < maxCache {
		n, err := syscall.Read(fd, buf[kept:])
		if n <= 0 || err != nil {
			return false
		}
		total += n
		have := string(buf[:kept+n])
		for i := 0; i+len(text) <= len(have); i++ {
			if have[i:i+len(text)] == text {
				return true
			}
		}
		kept = min(len(have), len(text)-1) // the text may lie across two reads
		copy(buf, have[len(have)-kept:])
	}
	return false
}
