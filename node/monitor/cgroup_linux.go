package monitor

import (
	"bytes"
	"math"
	"path"
	"strings"
)

// group is one control group that may limit our memory: our own, or one it is
// in, since the tightest counts.
type group struct {
	max, current, stat int // descriptors
	key                []byte

	limit    uint64 // bytes; math.MaxUint64 is none
	inactive uint64 // bytes of file cache that count as used and can be taken back
}

// openGroups opens our memory groups below root, innermost first. self is the
// text of /proc/self/cgroup. Version 2 has all in one tree, version 1 a tree for
// each controller, mounted by name; a machine may have both.
func openGroups(root string, self []byte) []group {
	var groups []group
	for _, place := range parseCgroup(self) {
		mounts, files, key := []string{root, path.Join(root, "unified")}, [3]string{"memory.max", "memory.current", "memory.stat"}, keyFileV2
		if place.v1 {
			mounts, files, key = []string{path.Join(root, "memory")}, [3]string{"memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat"}, keyFileV1
		}
		for _, mount := range mounts {
			// In a container the path may be the host's, and only the mount's
			// own folder be there: it is then our group.
			for dir := place.path; len(groups) < maxLevels; dir = path.Dir(dir) {
				g := group{
					max:     openFile(path.Join(mount, dir, files[0])),
					current: openFile(path.Join(mount, dir, files[1])),
					stat:    openFile(path.Join(mount, dir, files[2])),
					key:     key,
					limit:   math.MaxUint64,
				}
				if g.max >= 0 && g.current >= 0 {
					groups = append(groups, g)
				} else {
					g.close()
				}
				if dir == "/" {
					break
				}
			}
		}
	}
	return groups
}

type cgroupPath struct {
	path string // clean and absolute
	v1   bool
}

// parseCgroup returns where in the trees a process is: lines such as
// "0::/system.slice/omx.service" and "4:memory:/docker/0123".
func parseCgroup(b []byte) []cgroupPath {
	var all []cgroupPath
	for line := range bytes.Lines(b) {
		parts := strings.SplitN(strings.TrimRight(string(line), "\n"), ":", 3)
		if len(parts) != 3 || !strings.HasPrefix(parts[2], "/") || len(all) == 2 {
			continue
		}
		place := cgroupPath{path: path.Clean(parts[2])}
		switch {
		case parts[0] == "0" && parts[1] == "":
		case hasController(parts[1]):
			place.v1 = true
		default:
			continue
		}
		all = append(all, place)
	}
	return all
}

func hasController(list string) bool {
	for name := range strings.SplitSeq(list, ",") {
		if name == "memory" {
			return true
		}
	}
	return false
}

// refresh reads the limit, which may be changed at any time, and how much of
// the usage is cache. machine is all the memory there is: a limit above that is
// none (version 1 has no other way to say so).
func (g *group) refresh(s *source, machine uint64) {
	g.limit = math.MaxUint64
	if v, ok := parseLimit(s.read(g.max)); ok && v < machine {
		g.limit = v
		g.inactive, _ = parseField(s.read(g.stat), g.key)
	}
}

// left is what the group may still use; ok is false without a limit.
func (g *group) left(s *source) (uint64, bool) {
	if g.limit == math.MaxUint64 {
		return 0, false
	}
	used, ok := parseLimit(s.read(g.current))
	if !ok {
		return 0, false
	}
	used -= min(used, g.inactive)
	return g.limit - min(g.limit, used), true
}

func (g *group) close() {
	closeFile(g.max)
	closeFile(g.current)
	closeFile(g.stat)
}
