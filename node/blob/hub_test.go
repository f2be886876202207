package blob

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// hub answers as Hugging Face documents it: a list of files with the SHA-256 of large
// ones, and a redirect from resolve to where the bytes are.
func hub(t *testing.T, files map[string][]byte) (*http.Client, *httptest.Server) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const resolve = "/owner/repo/resolve/main/"
		switch {
		case r.URL.Path == "/api/models/owner/repo/tree/main" && r.URL.Query().Get("recursive") == "true":
			var list []string
			for p, b := range files {
				lfs := ""
				if len(b) > 10 {
					lfs = fmt.Sprintf(`,"lfs":{"oid":"%s","size":%d,"pointerSize":135}`, digestOf(b).Hex(), len(b))
				}
				list = append(list, fmt.Sprintf(`{"type":"file","oid":"a95e","size":%d,"path":%q%s}`, len(b), p, lfs))
			}
			fmt.Fprintf(w, `[{"type":"directory","oid":"1","size":0,"path":"dir.gguf"},%s]`, strings.Join(list, ","))
		case r.URL.Path == "/api/models/owner/other/tree/main":
			fmt.Fprint(w, "<html>")
		case strings.HasPrefix(r.URL.Path, resolve):
			http.Redirect(w, r, "/cdn/"+strings.TrimPrefix(r.URL.Path, resolve)+"?sig=x", http.StatusFound)
		case strings.HasPrefix(r.URL.Path, "/cdn/"):
			good(files[strings.TrimPrefix(r.URL.Path, "/cdn/")], `"e"`)(w, r)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	base, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host != "huggingface.co" || r.URL.Scheme != "https" {
			return nil, fmt.Errorf("asked %s", r.URL)
		}
		to := r.Clone(r.Context())
		to.URL.Scheme, to.URL.Host = base.Scheme, base.Host
		resp, err := srv.Client().Transport.RoundTrip(to)
		if resp != nil {
			resp.Request = r
		}
		return resp, err
	})}, srv
}

func TestFind(t *testing.T) {
	files := map[string][]byte{
		"m-Q4_K_M.gguf": noise(1, 1000), "m-Q8_0.gguf": noise(2, 1000), "m-IQ4_XS.gguf": noise(3, 1000), "sub/m v1.f16.gguf": noise(4, 1000),
		"m-F32-00001-of-00002.gguf": noise(5, 1000), "mmproj-m-BF16.gguf": noise(6, 1000), "README.md": noise(7, 1000), "tiny-Q2_K.gguf": []byte("tiny"),
	}
	client, _ := hub(t, files)
	for name, want := range map[string]string{
		"hf.co/owner/repo": "m-Q4_K_M.gguf", "huggingface.co/owner/repo:latest": "m-Q4_K_M.gguf", "hf.co/owner/repo:q8_0": "m-Q8_0.gguf", "hf.co/owner/repo:F16": "sub/m v1.f16.gguf",
		"hf.co/owner/repo:m-IQ4_XS.gguf": "m-IQ4_XS.gguf", "hf.co/owner/repo:m-F32-00001-of-00002.gguf": "m-F32-00001-of-00002.gguf", "hf.co/owner/repo:Q2_K": "tiny-Q2_K.gguf",
		"hf.co/owner/repo:4_XS": "", "hf.co/owner/repo:Q5_K": "", "hf.co/owner/repo:F32": "", "hf.co/owner/repo:BF16": "", "hf.co/owner/repo:README.md": "", "hf.co/owner/repo:dir.gguf": "", "hf.co/owner/none": "",
	} {
		src, err := Find(ctx, client, name)
		if want == "" {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %v, %v", name, src, err)
			}
			continue
		}
		if err != nil || src.Bytes != int64(len(files[want])) || src.Want.IsZero() != (len(files[want]) < 10) {
			t.Errorf("%s: %+v, %v", name, src, err)
			continue
		}
		s := open(t, t.TempDir())
		if ref, err := s.Pull(ctx, src, PullOptions{Client: client}); err != nil || ref.Digest != digestOf(files[want]) {
			t.Errorf("%s: %v, %v", name, ref, err)
		}
	}
	for name, want := range map[string]string{"hf.co/owner/other": "no list of files", "hf.co/owner/repo:Q5_K": `"m-IQ4_XS.gguf"`} {
		if _, err := Find(ctx, client, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	single, _ := hub(t, map[string][]byte{"only.gguf": noise(1, 100), "README.md": nil})
	if src, err := Find(ctx, single, "hf.co/owner/repo"); err != nil || src.URL != hubURL+"/owner/repo/resolve/main/only.gguf" {
		t.Error(src, err)
	}
	none, _ := hub(t, map[string][]byte{"README.md": nil})
	if _, err := Find(ctx, none, "hf.co/owner/repo"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if src, err := Find(ctx, nil, "https://host/m.gguf"); err != nil || src != (Source{URL: "https://host/m.gguf"}) {
		t.Error(src, err)
	}
}
