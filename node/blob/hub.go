package blob

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

const (
	hubURL       = "https://huggingface.co"
	defaultQuant = "Q4_K_M" // what the hub itself takes when none is named
	ggufSuffix   = ".gguf"
)

// Find says where a file is that people name:
//
//	https://host/path/file.gguf      itself; its digest is not known
//	hf.co/OWNER/REPO                 of a repository on Hugging Face, its only GGUF
//	                                 file, or else the one of Q4_K_M
//	hf.co/OWNER/REPO:Q8_0            the one of that quantisation
//	hf.co/OWNER/REPO:dir/file.gguf   that file
//
// It asks the hub for the repository's files at main, which names their digests.
// Models in several parts are not found. A nil client is one of its own. Errors:
// ErrBadName, ErrNotFound, the network's.
func Find(ctx context.Context, client *http.Client, name string) (Source, error) {
	if strings.HasPrefix(name, "https://") || strings.HasPrefix(name, "http://") {
		_, err := parseURL(name)
		return Source{URL: name}, err
	}
	repo, tag, err := parseHub(name)
	if err != nil {
		return Source{}, err
	}
	files, err := tree(ctx, client, repo)
	if err != nil {
		return Source{}, fmt.Errorf("list the files of %s: %w", repo, err)
	}
	f, err := pick(files, tag)
	if err != nil {
		return Source{}, fmt.Errorf("hf.co/%s: %w", repo, err)
	}
	src := Source{URL: hubURL + "/" + repo + "/resolve/main/" + escapePath(f.Path), Bytes: f.Size}
	if f.LFS != nil {
		// Large files are kept by their SHA-256; a small one's oid is git's, which is none.
		src.Bytes = f.LFS.Size
		if src.Want, err = ParseDigest(f.LFS.OID); err != nil {
			return Source{}, fmt.Errorf("hf.co/%s: %s: %w", repo, f.Path, err)
		}
	}
	return src, nil
}

// IsHub tells whether a name is one of Hugging Face's, as Find takes it.
func IsHub(name string) bool {
	_, _, err := parseHub(name)
	return err == nil
}

// parseHub splits hf.co/OWNER/REPO[:TAG].
func parseHub(name string) (repo, tag string, err error) {
	bad := fmt.Errorf("%.200q %w: write https://host/file.gguf or hf.co/OWNER/REPO:QUANT", name, ErrBadName)
	host, rest, _ := strings.Cut(name, "/")
	if host != "hf.co" && host != "huggingface.co" || len(name) > maxURL {
		return "", "", bad
	}
	repo, tag, tagged := strings.Cut(rest, ":")
	owner, project, _ := strings.Cut(repo, "/")
	if !hubWord(owner) || !hubWord(project) {
		return "", "", bad
	}
	if tagged {
		for _, word := range strings.Split(tag, "/") {
			if !hubWord(word) {
				return "", "", bad
			}
		}
	}
	return repo, tag, nil
}

// hubWord allows what the hub allows in the names of owners and repositories.
func hubWord(s string) bool {
	return s != "" && len(s) <= maxHubWord && s[0] != '.' && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-", r))
	})
}

// hubFile is what the hub says of one file.
type hubFile struct {
	Type string `json:"type"` // "file" or "directory"
	Path string `json:"path"`
	Size int64  `json:"size"`
	LFS  *struct {
		OID  string `json:"oid"` // SHA-256 in hexadecimal
		Size int64  `json:"size"`
	} `json:"lfs"`
}

// tree lists a repository. The hub gives the first 1000 files at once, which is
// more than a repository of models has.
func tree(ctx context.Context, given *http.Client, repo string) ([]hubFile, error) {
	ctx, cancel := context.WithTimeout(ctx, treeTimeout)
	defer cancel()
	client, done := ownClient(given)
	defer done()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, hubURL+"/api/models/"+repo+"/tree/main?recursive=true", nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, why(ctx, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusUnauthorized: // the hub does not tell which are private
		return nil, fmt.Errorf("it %w: the hub answers %s; check the name, and whether it is for everybody", ErrNotFound, status(resp))
	default:
		return nil, fmt.Errorf("the hub answers %s", status(resp))
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxTree+1))
	if err != nil {
		return nil, why(ctx, err)
	}
	return parseTree(b)
}

// parseTree keeps the files that can be models.
func parseTree(b []byte) (files []hubFile, err error) {
	if len(b) > maxTree {
		return nil, fmt.Errorf("the list has more than %d bytes; give the file's own URL", maxTree)
	}
	if err := json.Unmarshal(b, &files); err != nil {
		return nil, errors.New("the hub's answer is no list of files; give the file's own URL")
	}
	return slices.DeleteFunc(files, func(f hubFile) bool {
		return f.Type != "file" || !strings.HasSuffix(strings.ToLower(f.Path), ggufSuffix) || len(f.Path) > maxURL/4 || !fs.ValidPath(f.Path) ||
			f.Size < 0 || f.LFS != nil && f.LFS.Size < 0
	}), nil
}

// pick finds the file that a tag means.
func pick(files []hubFile, tag string) (hubFile, error) {
	var found []hubFile
	switch {
	case strings.HasSuffix(strings.ToLower(tag), ggufSuffix):
		for _, f := range files {
			if f.Path == tag {
				return f, nil
			}
		}
	case tag == "" || tag == "latest":
		if found = ofQuant(files, ""); len(found) != 1 {
			found = ofQuant(files, defaultQuant)
		}
	default:
		found = ofQuant(files, tag)
	}
	if len(found) == 1 {
		return found[0], nil
	}
	var names []string
	for _, f := range files[:min(len(files), maxChoice)] {
		names = append(names, fmt.Sprintf("%.100q", f.Path))
	}
	if len(names) == 0 {
		return hubFile{}, fmt.Errorf("no GGUF file %w", ErrNotFound)
	}
	return hubFile{}, fmt.Errorf("%q is %d files, and must be one; it %w: write hf.co/OWNER/REPO:FILE, of %d files for example %s",
		tag, len(found), ErrNotFound, len(files), strings.Join(names, ", "))
}

// ofQuant are the whole models whose names end in a quantisation, as is the custom:
// name-Q4_K_M.gguf, name.q4_k_m.gguf.
func ofQuant(files []hubFile, quant string) (found []hubFile) {
	quant = strings.ToUpper(quant)
	for _, f := range files {
		base := strings.ToUpper(path.Base(f.Path))
		base = base[:len(base)-len(ggufSuffix)]
		before, ok := strings.CutSuffix(base, quant)
		ends := quant == "" || before == "" || strings.IndexByte("-._", before[len(before)-1]) >= 0
		if ok && ends && !strings.Contains(base, "-OF-0") && !strings.HasPrefix(base, "MMPROJ") {
			found = append(found, f)
		}
	}
	return found
}

func escapePath(p string) string {
	words := strings.Split(p, "/")
	for i, w := range words {
		words[i] = url.PathEscape(w)
	}
	return strings.Join(words, "/")
}
