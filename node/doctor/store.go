package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"omx/node"
	"omx/node/blob"
)

// storedModels looks whether each name in the store has its file, of its length.
func storedModels(_ context.Context, p *patient) (all []Finding) {
	dir := p.file(node.ModelsDir)
	r, err := blob.Look(dir)
	switch {
	case p.folder != nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return []Finding{ok(nil, "none stored")}
	case err != nil:
		return []Finding{problem("ls -lR "+quote(dir), nil, "%v", err)}
	}
	for i := range r.Faults {
		all = append(all, p.fault(&r.Faults[i], r.Faults))
	}
	if left, have := lies(r.Unfinished, p.Now()); left > 0 {
		all = append(all, advice(p.atNode("omx models pull MODEL"), map[string]any{"unfinished": left, "bytes": have},
			"%s unfinished, %s: pull again, and it goes on", plural(left, "download"), size(have)))
	}
	if r.Models == 0 && len(r.Faults) == 0 {
		return append(all, ok(nil, "none stored"))
	}
	return append(all, ok(map[string]any{"models": r.Models, "bytes": r.Bytes}, "%s stored, %s", plural(r.Models, "model"), size(r.Bytes)))
}

// lies counts downloads that nobody goes on with, and their bytes.
func lies(list []blob.Unfinished, now time.Time) (n int, have int64) {
	for _, u := range list {
		if now.Sub(u.At) > underWay {
			n, have = n+1, have+u.Have
		}
	}
	return n, have
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// fault says what is wrong with a name, and how to get its file again. A file that is
// there is taken for whole until no name points at it.
func (p *patient) fault(f *blob.Fault, all []blob.Fault) Finding {
	name := f.Model.String()
	facts := map[string]any{"model": name, "digest": f.Digest.String(), "bytes": f.Bytes}
	switch {
	case f.Model.IsZero():
		return problem("ls -l "+quote(p.file(filepath.Join(node.ModelsDir, "manifests"))), nil, "%v", f.Err)
	case errors.Is(f.Err, blob.ErrMismatch):
		names := ""
		for i := range all {
			if all[i].Digest == f.Digest {
				names += " " + quote(all[i].Model.String())
			}
		}
		return problem(p.atNode("omx models rm"+names)+again(p, f, " && "), facts, "%s: its file has another length than %d bytes", name, f.Bytes)
	case errors.Is(f.Err, blob.ErrNotFound):
		if next := again(p, f, ""); next != "" {
			return problem(next, facts, "%s: its file is gone", name)
		}
		return problem(p.atNode("omx models rm "+quote(name)), facts, "%s: its file is gone", name)
	}
	return problem(p.atNode("omx models rm "+quote(name)), facts, "%s: what it points at cannot be read", name)
}

// again is the command that fetches a model from where it came from, "" if that is
// nowhere to be asked.
func again(p *patient, f *blob.Fault, before string) string {
	name := f.Model.String()
	switch {
	case f.Source == name && blob.IsHub(name):
		return before + p.atNode("omx models pull "+quote(name))
	case blob.IsHub(f.Source), strings.HasPrefix(f.Source, "https://"), strings.HasPrefix(f.Source, "http://"):
		return before + p.atNode(fmt.Sprintf("omx models pull %s --from %s", quote(name), quote(f.Source)))
	}
	if st, err := os.Stat(f.Source); filepath.IsAbs(f.Source) && err == nil && st.Mode().IsRegular() {
		return before + p.onFolder(fmt.Sprintf("omx models import %s --name %s", quote(f.Source), quote(name)))
	}
	return ""
}
