package keys

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"omx/node/catalog"
	"omx/node/nodetest"
)

func tenant(t testing.TB, s string) catalog.Tenant {
	t.Helper()
	id, err := catalog.ParseTenant(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

var model = nodetest.Model

func TestKeys(t *testing.T) {
	text := []byte("# who may ask\n")
	secrets := map[string]string{}
	for name, k := range map[string]Key{
		"line-3":   {Priority: -5, Class: 2, Models: []string{"llama*", "qwen3:8b"}},
		"billing":  {},
		"lab@home": {Priority: 100, Admin: true},
	} {
		secret, made, err := New(rand.Reader)
		if err != nil || !strings.HasPrefix(secret, prefix) || len(secret) != len(prefix)+32 {
			t.Fatalf("%q, %v", secret, err)
		}
		k.Hash, k.Tenant = made.Hash, tenant(t, name)
		if text, err = Add(text, &k); err != nil {
			t.Fatal(err)
		}
		secrets[name] = secret
	}
	if bytes.Contains(text, []byte(secrets["billing"])) {
		t.Error("the file holds a key in the clear")
	}
	r, err := Parse(text)
	if err != nil || len(r.Keys()) != 3 {
		t.Fatal(r, err)
	}
	if !r.Find(secrets["lab@home"]).Admin || r.Find(secrets["billing"]).Admin {
		t.Error("the wrong one is admin")
	}
	k := r.Find(secrets["line-3"])
	if k == nil || k.Tenant.String() != "line-3" || k.Priority != -5 || k.Class != 2 {
		t.Fatalf("%+v", k)
	}
	for m, want := range map[string]bool{"llama3:8b": true, "qwen3:8b": true, "qwen3:70b": false} {
		if k.Allows(model(t, m)) != want {
			t.Errorf("line-3 may use %s: %v", m, !want)
		}
	}
	if !r.Find(secrets["billing"]).Allows(model(t, "qwen3:70b")) {
		t.Error("a key without patterns does not allow every model")
	}
	for _, wrong := range []string{"", secrets["line-3"] + "x", strings.ToUpper(secrets["line-3"]), "omx-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"} {
		if r.Find(wrong) != nil {
			t.Errorf("%q was let in", wrong)
		}
	}
	left, n := Remove(text, tenant(t, "line-3"))
	if n != 1 || !bytes.HasPrefix(left, []byte("# who may ask\n")) {
		t.Fatalf("%d removed, left %q", n, left)
	}
	if r, err = Parse(left); err != nil || r.Find(secrets["line-3"]) != nil || r.Find(secrets["billing"]) == nil {
		t.Errorf("%v, %v", r, err)
	}
}

func TestBadKeys(t *testing.T) {
	hash := strings.Repeat("ab", sha256.Size)
	for text, want := range map[string]string{
		"omx-api-1":                                          "line 1 is not omx-api-1 SHA256 NAME",
		"# a\n\nomx-api-2 " + hash + " a":                    "line 3 is not",
		"omx-api-1 abcd a":                                   "no SHA-256",
		"omx-api-1 " + hash + " a/b":                         "parse tenant",
		"omx-api-1 " + hash + " a priority=101":              "priority is 101; choose -100 to 100",
		"omx-api-1 " + hash + " a priority=99999999999":      "no whole number",
		"omx-api-1 " + hash + " a class=-1":                  "no whole number from 0",
		"omx-api-1 " + hash + " a class=256":                 "choose 0 to 255",
		"omx-api-1 " + hash + " a models=":                   "is no pattern",
		"omx-api-1 " + hash + " a models=[":                  "is no pattern",
		"omx-api-1 " + hash + " a root":                      "admin, priority=, class= and models= are known",
		"omx-api-1 " + hash + " a admin=yes":                 "are known",
		"omx-api-1 " + hash + " a class":                     "are known",
		"omx-api-1 " + hash + " a\nomx-api-1 " + hash + " b": "line 2 has a key that is there already",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := Read(t.TempDir() + "/none"); err == nil {
		t.Error("read a file that is not there")
	}
	if _, err := Add(nil, &Key{}); err == nil {
		t.Error("added a key without a name")
	}
	if _, _, err := New(strings.NewReader("short")); err == nil {
		t.Error("made a key of 5 bytes")
	}
}

// A file that comes, changes, breaks and goes.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	write := func(text string, age int) {
		at := time.Unix(1_700_000_000+int64(age), 0)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	line := func(name string) string { return fmt.Sprintf("%s %x %s\n", word, sha256.Sum256([]byte(name)), name) }
	names := func(f *File) (s string) {
		if f.Ring() == nil {
			return "open"
		}
		for _, k := range f.Ring().Keys() {
			s += k.Tenant.String()
		}
		return s
	}
	f, err := Open(path)
	if err != nil || names(f) != "open" {
		t.Fatalf("%v, %s", err, names(f))
	}
	for n, c := range []struct {
		do   func()
		want string
		told bool
		err  bool
	}{
		{func() {}, "open", false, false},
		{func() { write(line("a"), 1) }, "a", true, false},
		{func() {}, "a", false, false},
		{func() { write(line("b"), 2) }, "b", true, false},
		{func() { write("rubbish", 3) }, "b", false, true},
		{func() {}, "b", false, false}, // told once
		{func() { write("", 4) }, "", true, false},
		{func() { write(line("c"), 5) }, "c", true, false},
		{func() { os.Remove(path) }, "c", false, true}, // a file that goes must not open the door
		{func() { write(line("d"), 6) }, "d", true, false},
	} {
		c.do()
		told, err := f.Poll()
		if names(f) != c.want || told != c.told || (err != nil) != c.err {
			t.Errorf("step %d: %q, told %v, %v", n, names(f), told, err)
		}
	}
	write("rubbish", 7)
	if _, err := Open(path); err == nil {
		t.Error("opened rubbish")
	}
}

// What is read is written as it was, and nothing panics.
func FuzzParse(f *testing.F) {
	hash := strings.Repeat("0f", sha256.Size)
	f.Add("omx-api-1 " + hash + " a priority=-3 class=9 models=a*,b # c\n")
	f.Add("omx-api-1 " + hash + " a\n\nomx-api-1 x")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse([]byte(text))
		if err != nil {
			return
		}
		var again strings.Builder
		for _, k := range r.Keys() {
			again.WriteString(k.String() + "\n")
		}
		s, err := Parse([]byte(again.String()))
		if err != nil || len(s.Keys()) != len(r.Keys()) {
			t.Fatalf("%q was read, %q was not: %v", text, again.String(), err)
		}
		for i, k := range s.Keys() {
			if k.String() != r.Keys()[i].String() {
				t.Errorf("%s became %s", r.Keys()[i], k)
			}
		}
	})
}
