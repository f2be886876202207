package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"omx/node"
	"omx/node/mesh"
)

// identity looks at the key that is the node's name.
func identity(_ context.Context, p *patient) []Finding {
	path := p.file(node.KeyFile)
	st, err := os.Stat(path)
	switch {
	case p.folder != nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return []Finding{ok(nil, "none yet; serve makes one")}
	case err != nil:
		return []Finding{problem("ls -l "+quote(path), nil, "%s: %v", path, bare(err))}
	}
	facts := map[string]any{"path": path, "mode": fmt.Sprintf("%04o", st.Mode().Perm()), "owner": ownerOf(st)}
	if st.Mode().Perm()&0o077 != 0 {
		return []Finding{problem("chmod 600 "+quote(path), facts, "mode %04o: others can read the key, and be this node", st.Mode().Perm())}
	}
	if p.id == "" {
		_, err := mesh.ReadKey(path)
		return []Finding{problem(fmt.Sprintf("mv %s %s.damaged   # a new one is made, which no mesh knows", quote(path), quote(path)), facts, "%v", err)}
	}
	facts["id"] = p.id
	if next := strangers(p.Data); next != "" {
		return []Finding{advice(next, facts, "files here belong to another user than the folder does")}
	}
	return []Finding{ok(facts, "…%s, mode %04o", p.id[max(0, len(p.id)-8):], st.Mode().Perm())}
}

// strangers is the command that gives files of a folder to its owner, "" if they are.
// A command run as root leaves such files, and a node that is not root cannot read
// them.
func strangers(dir string) string {
	own, err := os.Stat(dir)
	if err != nil {
		return ""
	}
	for _, name := range []string{node.KeyFile, node.KeysFile, node.MeshFolder, filepath.Join(node.MeshFolder, "membership"), node.ModelsDir, node.CatalogDir, node.PolicyDir} {
		if st, err := os.Lstat(filepath.Join(dir, name)); err == nil && uidOf(st) != uidOf(own) {
			return fmt.Sprintf("chown -R %s %s", ownerOf(own), quote(dir))
		}
	}
	return ""
}
