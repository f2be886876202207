package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"omx/node/blob"
	"omx/node/mesh"
	"omx/node/monitor"
)

// dataFolder looks whether the folder is there and a node may write to it.
func dataFolder(_ context.Context, p *patient) []Finding {
	st, err := os.Stat(p.Data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []Finding{p.absent(syscall.Access(existing(p.Data), writable) == nil)}
	case err == nil && !st.IsDir():
		return []Finding{problem("ls -l "+quote(p.Data), nil, "%s is no folder", p.Data)}
	case err == nil:
		err = tryWriting(p.Data)
	}
	facts := map[string]any{"path": p.Data}
	if st != nil {
		facts["mode"], facts["owner"] = fmt.Sprintf("%04o", st.Mode().Perm()), ownerOf(st)
	}
	if err != nil {
		return []Finding{problem(p.whyNot(err, st), facts, "%s cannot be written to: %v", p.Data, bare(err))}
	}
	if st.Mode().Perm()&0o022 != 0 {
		return []Finding{problem("chmod 700 "+quote(p.Data), facts, "%s, mode %04o: others may change what is in it", p.Data, st.Mode().Perm())}
	}
	return []Finding{ok(facts, "%s, mode %04o, of %s", p.Data, st.Mode().Perm(), ownerOf(st))}
}

// writable is access(2)'s W_OK.
const writable = 2

// absent says whether a node could make the folder itself.
func (p *patient) absent(can bool) Finding {
	facts := map[string]any{"path": p.Data}
	if can {
		return advice(p.onFolder("omx serve"), facts, "not there, serve makes it: %s", p.Data)
	}
	me := strconv.Itoa(os.Geteuid())
	return problem(fmt.Sprintf("sudo install -d -m 700 -o %s %s", me, quote(p.Data)), facts, "not there, and user %s cannot make it: %s", me, p.Data)
}

// tryWriting writes a small file down to the disk and removes it.
func tryWriting(dir string) error {
	f, err := os.CreateTemp(dir, ".omx-doctor-*")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 4<<10))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}

// whyNot is the command that helps where the folder cannot be written to.
func (p *patient) whyNot(err error, st fs.FileInfo) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "du -xh -d 2 " + quote(p.Data)
	case errors.Is(err, syscall.EROFS):
		return "findmnt -T " + quote(p.Data)
	case errors.Is(err, fs.ErrPermission) && st != nil && uidOf(st) != os.Geteuid():
		return p.onFolder("sudo -u " + ownerOf(st) + " omx doctor")
	case errors.Is(err, fs.ErrPermission) && st != nil:
		return "chmod 700 " + quote(p.Data)
	}
	return "ls -ld " + quote(p.Data)
}

// bare is an error without the operation and the path.
func bare(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// uidOf is the number of a file's owner; -1 if the system has none.
func uidOf(st fs.FileInfo) int {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return -1
}

func ownerOf(st fs.FileInfo) string {
	id := strconv.Itoa(uidOf(st))
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// disk looks at the room on the file system of the data folder.
func disk(_ context.Context, p *patient) []Finding {
	if !p.reading.Has(monitor.Disk) {
		return nil
	}
	free, total := p.reading.DiskFree, p.reading.DiskTotal
	facts := map[string]any{"free_bytes": free, "total_bytes": total}
	next := "du -xh -d 2 " + quote(p.Data)
	switch {
	case free < blob.MinFree:
		return []Finding{problem(next, facts, "%s of %s free: nothing more is stored below %s", size(free), size(total), size(uint64(blob.MinFree)))}
	case free < lowDisk:
		return []Finding{advice(next, facts, "%s of %s free: little room for one more model", size(free), size(total))}
	}
	return []Finding{ok(facts, "%s of %s free", size(free), size(total))}
}

// memory looks at what models may be loaded into.
func memory(_ context.Context, p *patient) []Finding {
	if !p.reading.Has(monitor.Memory) {
		return nil
	}
	free, total := p.reading.MemAvailable, p.reading.MemTotal
	facts := map[string]any{"available_bytes": free, "total_bytes": total}
	if free < lowMemory {
		return []Finding{advice("ps -eo rss,pid,args --sort=-rss | head", facts, "%s of %s available: little room for models", size(free), size(total))}
	}
	return []Finding{ok(facts, "%s of %s available", size(free), size(total))}
}

// openFiles looks at how many a node may open: those of the one that runs, else what
// one would get that is started as this program was.
func openFiles(_ context.Context, p *patient) []Finding {
	facts := map[string]any{"needed": needFiles}
	limit, used := fileLimit(), 0
	next := "ulimit -n 4096   # or LimitNOFILE=4096 in its unit; then: omx serve"
	if p.user != 0 {
		if l, n := filesOf(p.user); l > 0 {
			limit, used = l, n
			facts["process"], facts["used"] = p.user, used
			next = fmt.Sprintf("prlimit --pid %d --nofile=4096:4096", p.user)
		}
	}
	if limit == 0 {
		return nil
	}
	facts["limit"] = limit
	switch {
	case used > 0 && used >= limit/10*fullFiles:
		return []Finding{problem(next, facts, "%d of %d are open in process %d: it is about to run out", used, limit, p.user)}
	case limit < needFiles:
		return []Finding{advice(next, facts, "%d allowed, %d needed for 2000 clients at once", limit, needFiles)}
	case used > 0:
		return []Finding{ok(facts, "%d of %d open, %d needed at most", used, limit, needFiles)}
	}
	return []Finding{ok(facts, "%d allowed, %d needed at most", limit, needFiles)}
}

// fileLimit is this process's; Go raises it to what may be had when it starts.
func fileLimit() int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return int(min(uint64(l.Cur), 1<<31-1))
}

// receiveBuffer looks at what the kernel keeps of packets until they are read.
func receiveBuffer(context.Context, *patient) []Finding {
	got, want := mesh.ReceiveBuffer()
	return bufferOf(got, want)
}

func bufferOf(got, want int) []Finding {
	facts := map[string]any{"bytes": got, "wanted_bytes": want}
	switch {
	case got == 0:
		return nil
	case got < want:
		return []Finding{advice(fmt.Sprintf("sysctl -w net.core.rmem_max=%d", want), facts, "%d KiB of %d KiB: far transfers will be slower", got>>10, want>>10)}
	}
	return []Finding{ok(facts, "%d KiB", got>>10)}
}
