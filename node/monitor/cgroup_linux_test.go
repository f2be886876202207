package monitor

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestGroups(t *testing.T) {
	const machine = 1 << 30
	for _, tt := range []struct {
		name, self  string
		files       map[string]string
		limit, left uint64 // of the tightest group; 0: none
	}{
		{
			name: "version 2, limit of our own",
			self: "0::/a/b\n",
			files: map[string]string{
				"a/b/memory.max": "1000\n", "a/b/memory.current": "600\n", "a/b/memory.stat": "anon 5\ninactive_file 100\n",
				"a/memory.max": "max\n", "a/memory.current": "700\n",
			},
			limit: 1000, left: 500,
		},
		{
			name: "version 2, the outer group is tighter",
			self: "0::/a/b\n",
			files: map[string]string{
				"a/b/memory.max": "1000\n", "a/b/memory.current": "100\n",
				"a/memory.max": "900\n", "a/memory.current": "850\n",
			},
			limit: 900, left: 50,
		},
		{
			name: "version 1, beside version 2 without the controller",
			self: "4:memory:/x\n3:cpu,cpuacct:/x\n0::/\n",
			files: map[string]string{
				"memory/x/memory.limit_in_bytes": "2000\n", "memory/x/memory.usage_in_bytes": "2500\n",
				"memory/x/memory.stat":         "inactive_file 1\ntotal_inactive_file 700\n",
				"memory/memory.limit_in_bytes": "9223372036854771712\n", "memory/memory.usage_in_bytes": "5000\n",
			},
			limit: 2000, left: 200,
		},
		{
			name:  "container that sees only its own folder",
			self:  "0::/docker/0123\n",
			files: map[string]string{"memory.max": "500\n", "memory.current": "900\n"},
			limit: 500, left: 0,
		},
		{name: "no limit", self: "0::/a\n", files: map[string]string{"a/memory.max": "max\n", "a/memory.current": "1\n"}},
		{name: "limit above the machine's memory", self: "0::/\n", files: map[string]string{"memory.max": "2000000000\n", "memory.current": "1\n"}},
		{name: "damaged files", self: "0::/\n", files: map[string]string{"memory.max": "lots\n", "memory.current": "\n"}},
		{name: "no groups", self: ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s source
			groups := openGroups(tree(t, tt.files), []byte(tt.self))
			var limit, left uint64
			for i := range groups {
				defer groups[i].close()
				groups[i].refresh(&s, machine)
				if l, ok := groups[i].left(&s); ok && (limit == 0 || l < left) {
					limit, left = groups[i].limit, l
				}
			}
			if limit != tt.limit || left != tt.left {
				t.Errorf("limit %d, left %d; want %d, %d", limit, left, tt.limit, tt.left)
			}
		})
	}
}

func TestGroupDepthIsBounded(t *testing.T) {
	files := map[string]string{}
	dir := ""
	for range 3 * maxLevels {
		dir += "d/"
		files[dir+"memory.max"] = "10\n"
		files[dir+"memory.current"] = "1\n"
	}
	groups := openGroups(tree(t, files), []byte("0::/"+dir+"\n"))
	for _, g := range groups {
		g.close()
	}
	if len(groups) != maxLevels {
		t.Errorf("%d groups opened, want %d", len(groups), maxLevels)
	}
}

func FuzzParseCgroup(f *testing.F) {
	f.Add([]byte("4:memory:/a/b\n0::/../../etc\n"))
	f.Add([]byte("9:name=systemd:/\n0::/\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		all := parseCgroup(b)
		if len(all) > 2 {
			t.Errorf("%d places", len(all))
		}
		for _, p := range all {
			if !strings.HasPrefix(p.path, "/") || slices.Contains(strings.Split(p.path, "/"), "..") {
				t.Errorf("place %q leads out of the tree", p.path)
			}
		}
	})
}
