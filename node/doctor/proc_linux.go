package doctor

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"omx/node/files"
)

// process is one that has a socket open. Only root is told of other users'.
type process struct {
	pid  int
	name string
}

// holderOf finds who has a port of "tcp" or "udp".
func holderOf(network string, port int) (process, bool) {
	inodes := map[string]bool{}
	for _, s := range sockets(network) {
		if s.port == port {
			inodes[s.inode] = true
		}
	}
	if len(inodes) == 0 {
		return process{}, false
	}
	for _, pid := range processes() {
		if slices.ContainsFunc(socketsOf(pid), func(inode string) bool { return inodes[inode] }) {
			name, _ := files.ReadBounded(fmt.Sprintf("/proc/%d/comm", pid), maxProcFile)
			return process{pid, strings.TrimSpace(string(name))}, true
		}
	}
	return process{}, false
}

// listensOn are the TCP ports at which a process takes connections.
func listensOn(pid int) (ports []int) {
	own := socketsOf(pid)
	for _, s := range sockets("tcp") {
		if s.listens && slices.Contains(own, s.inode) {
			ports = append(ports, s.port)
		}
	}
	return ports
}

// filesOf is how many files a process may have open, and how many it has; 0 where
// that is not told.
func filesOf(pid int) (limit, used int) {
	b, err := files.ReadBounded(fmt.Sprintf("/proc/%d/limits", pid), maxProcFile)
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				limit, _ = strconv.Atoi(f[0]) // "unlimited" is as good as not told
			}
		}
	}
	return limit, len(entries(fmt.Sprintf("/proc/%d/fd", pid), maxFiles))
}

// socket is one of the system's list.
type socket struct {
	port    int
	listens bool
	inode   string
}

func sockets(network string) (all []socket) {
	for _, name := range []string{network, network + "6"} {
		b, err := files.ReadBounded(filepath.Join("/proc/net", name), maxSockets)
		if err != nil {
			continue
		}
		// sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
		for line := range bytes.Lines(b) {
			f := strings.Fields(string(line))
			if len(f) < 10 {
				continue
			}
			_, hex, _ := strings.Cut(f[1], ":")
			if port, err := strconv.ParseUint(hex, 16, 16); err == nil { // not the heading
				all = append(all, socket{int(port), f[3] == "0A", f[9]})
			}
		}
	}
	return all
}

// socketsOf are the inodes of a process's sockets.
func socketsOf(pid int) (inodes []string) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	for _, fd := range entries(dir, maxFiles) {
		to, _ := os.Readlink(filepath.Join(dir, fd))
		if inode, ok := strings.CutPrefix(to, "socket:["); ok {
			inodes = append(inodes, strings.TrimSuffix(inode, "]"))
		}
	}
	return inodes
}

func processes() (pids []int) {
	for _, name := range entries("/proc", maxProcesses) {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// entries are the names in a folder, as far as they can be read.
func entries(dir string, most int) []string {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(most)
	return names
}
