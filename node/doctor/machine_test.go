package doctor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"omx/node/blob"
	"omx/node/monitor"
)

func TestDataFolder(t *testing.T) {
	dir := t.TempDir()
	look := func(data string) []Finding { return dataFolder(t.Context(), patientOf(t, at(data))) }
	private, open, file := filepath.Join(dir, "a b"), filepath.Join(dir, "open"), filepath.Join(dir, "file")
	if err := errors.Join(os.Mkdir(private, 0o700), os.Mkdir(open, 0o700), os.Chmod(open, 0o777), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	before := everything(t, dir)
	expect(t, look(filepath.Join(dir, "none")), "advice: not there, serve makes it: "+dir+"/none >> omx serve --data "+dir+"/none")
	expect(t, look(private), "ok: mode 0700, of ")
	expect(t, look(open), "problem: mode 0777: others may change >> chmod 700 "+open)
	expect(t, look(file), "problem: is no folder >> ls -l "+file)
	expect(t, look("/proc"), "problem: /proc cannot be written to >>  /proc") // not by root either
	p := patientOf(t, at(dir+"/none"))
	expect(t, []Finding{p.absent(false)}, "problem: cannot make it: "+dir+"/none >> sudo install -d -m 700 -o ")
	if after := everything(t, dir); len(after) != len(before) {
		t.Errorf("before %q, after %q", before, after)
	}
}

// What helps depends on what keeps a node from writing.
func TestWhyNot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	p := &patient{Config: at(dir)}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{syscall.ENOSPC, "du -xh -d 2 '" + dir + "'"},
		{syscall.EROFS, "findmnt -T '" + dir + "'"},
		{&fs.PathError{Op: "open", Path: dir, Err: syscall.EACCES}, "chmod 700 '" + dir + "'"},
		{syscall.EIO, "ls -ld '" + dir + "'"},
	} {
		if got := p.whyNot(tt.err, st); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.err, got, tt.want)
		}
	}
	if os.Geteuid() == 0 { // only root can make a folder another user's
		if err := os.Chown(dir, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := p.whyNot(fs.ErrPermission, st), "sudo -u "+ownerOf(st)+" omx doctor --data '"+dir+"'"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestRoom(t *testing.T) {
	p := &patient{Config: at("/data")}
	expect(t, disk(t.Context(), p))
	expect(t, memory(t.Context(), p))
	p.reading = monitor.Reading{Known: monitor.Disk | monitor.Memory, DiskTotal: 100e9, MemTotal: 16e9}
	for _, tt := range []struct {
		free, available uint64
		disk, memory    string
	}{
		{80e9, 8e9, "ok: 80.0 GB of 100.0 GB free", "ok: 8.0 GB of 16.0 GB available"},
		{lowDisk - 1, lowMemory - 1, "advice: little room >> du -xh -d 2 /data", "advice: little room for models >> ps -eo"},
		{blob.MinFree - 1, lowMemory, "problem: nothing more is stored below 268.4 MB >> du -xh", "ok: 1.1 GB"},
	} {
		p.reading.DiskFree, p.reading.MemAvailable = tt.free, tt.available
		expect(t, disk(t.Context(), p), tt.disk)
		expect(t, memory(t.Context(), p), tt.memory)
	}
	// This machine says both, of a folder that is still to be made, too.
	p = patientOf(t, at(filepath.Join(t.TempDir(), "none", "yet")))
	if !p.reading.Has(monitor.Disk | monitor.Memory) {
		t.Errorf("known of this machine: %v", p.reading.Known)
	}
}

// This process is the node that has many files open, and may open few.
func TestOpenFiles(t *testing.T) {
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
			t.Error(err)
		}
	})
	allow := func(n int) {
		t.Helper()
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: uint64(n), Max: was.Max}); err != nil {
			t.Fatal(err)
		}
	}
	p := &patient{Config: at(t.TempDir())}
	enough := was.Cur >= needFiles // else the advice below is right from the beginning
	if enough {
		expect(t, openFiles(t.Context(), p), "ok: allowed, 2500 needed")
	}
	allow(1024)
	expect(t, openFiles(t.Context(), p), "advice: 1024 allowed, 2500 needed >> ulimit -n 4096")
	p.user = os.Getpid()
	expect(t, openFiles(t.Context(), p), "advice: 1024 allowed >> prlimit --pid")
	_, used := filesOf(p.user)
	allow(used + 1)
	expect(t, openFiles(t.Context(), p), "problem: about to run out >> prlimit --pid")
	if allow(int(was.Cur)); enough {
		expect(t, openFiles(t.Context(), p), "ok: open, 2500 needed")
	}
}

func TestReceiveBuffer(t *testing.T) {
	expect(t, bufferOf(0, 7<<20))
	expect(t, bufferOf(7<<20, 7<<20), "ok: 7168 KiB")
	expect(t, bufferOf(208<<10, 7<<20), "advice: 208 KiB of 7168 KiB >> sysctl -w net.core.rmem_max=7340032")
	if os.Geteuid() == 0 {
		expect(t, receiveBuffer(t.Context(), nil), "ok: KiB")
	}
}
