package catalog

import (
	"bytes"
	"crypto/sha256"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// savedStore makes a folder with a saved store of n nodes.
func savedStore(t *testing.T, n int) (dir string, data []byte, want map[NodeID]NodeInfo) {
	t.Helper()
	dir = t.TempDir()
	s, err := OpenStore(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	want = map[NodeID]NodeInfo{}
	for _, info := range putRecords(t, s, n) {
		want[info.ID] = info
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, err = os.ReadFile(filepath.Join(dir, dataFile))
	if err != nil {
		t.Fatal(err)
	}
	return dir, data, want
}

func writeFile(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Whatever is wrong with the files, the store opens, is empty, says so once and
// works.
func TestStoreDoubt(t *testing.T) {
	dir, data, _ := savedStore(t, 20)
	sum, err := os.ReadFile(filepath.Join(dir, sumFile))
	if err != nil {
		t.Fatal(err)
	}
	good := func(data []byte) []byte { return []byte(sumLine(sha256.Sum256(data), len(data))) }
	nulls := append(bytes.Clone(data), make([]byte, 4096)...)
	cases := map[string]struct{ data, sum []byte }{
		"no checksum":              {data, nil},
		"no data":                  {nil, sum},
		"empty checksum":           {data, []byte{}},
		"long checksum":            {data, bytes.Repeat(sum, 10)},
		"empty data":               {[]byte{}, sum},
		"one byte less":            {data[:len(data)-1], sum},
		"one byte more":            {append(bytes.Clone(data), '\n'), sum},
		"zeroes behind":            {nulls, sum},
		"zeroes behind, summed":    {nulls, good(nulls)},
		"zeroes before, summed":    {append(make([]byte, 16), data...), good(append(make([]byte, 16), data...))},
		"huge length, summed":      {[]byte("*3\r\n$3\r\nset\r\n$4294967296\r\n"), good([]byte("*3\r\n$3\r\nset\r\n$4294967296\r\n"))},
		"empty command, summed":    {[]byte("*1\r\n$0\r\n\r\n"), good([]byte("*1\r\n$0\r\n\r\n"))},
		"other command, summed":    {[]byte("*2\r\n$3\r\ndel\r\n$1\r\na\r\n"), good([]byte("*2\r\n$3\r\ndel\r\n$1\r\na\r\n"))},
		"foreign key, summed":      {[]byte("*3\r\n$3\r\nset\r\n$1\r\na\r\n$1\r\nb\r\n"), good([]byte("*3\r\n$3\r\nset\r\n$1\r\na\r\n$1\r\nb\r\n"))},
		"half a record, summed":    {data[:len(data)/2], good(data[:len(data)/2])},
		"a record's name, summed":  {bytes.Replace(data, []byte("box 7"), []byte("box 8"), 1), good(bytes.Replace(data, []byte("box 7"), []byte("box 8"), 1))},
		"two values changed round": {bytes.Replace(data, []byte("node00003"), []byte("node00004"), 1), good(bytes.Replace(data, []byte("node00003"), []byte("node00004"), 1))},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if c.data != nil {
				writeFile(t, dir, dataFile, c.data)
			}
			if c.sum != nil {
				writeFile(t, dir, sumFile, c.sum)
			}
			s, log := openStore(t, dir)
			if n := len(nodesOf(t, s)); n != 0 {
				t.Errorf("%d nodes were taken", n)
			}
			if strings.Count(log.String(), "\n") != 1 {
				t.Errorf("log is %q, want one line", log)
			}
			if _, err := os.Stat(filepath.Join(dir, asideFile)); c.data != nil && err != nil {
				t.Errorf("the file was not put aside: %v", err)
			}
			putRecords(t, s, 5)
			s.Close()
			s, log = openStore(t, dir)
			if n := len(nodesOf(t, s)); n != 5 || log.Len() != 0 {
				t.Errorf("%d nodes and log %q after a new start; want 5 and nothing", n, log)
			}
		})
	}
}

// Flipped bits and cuts, with the old checksum and with one that somebody made
// to fit: nothing wrong is served, and the reader never fails or allocates by
// what it reads.
func TestSavedDamage(t *testing.T) {
	_, data, want := savedStore(t, 2)
	served := func(b []byte) {
		if _, err := checkSaved(b); err != nil {
			return
		}
		s := &Store{log: slog.New(slog.DiscardHandler)}
		if err := s.fill(b); err != nil {
			t.Fatalf("sound by our reading but not by buntdb's: %v", err)
		}
		defer s.db.Close()
		for _, info := range nodesOf(t, s) {
			if !reflect.DeepEqual(info, want[info.ID]) {
				t.Fatalf("served %+v, put %+v", info, want[info.ID])
			}
		}
	}
	taken := 0
	for i := range data {
		for bit := range 8 {
			b := bytes.Clone(data)
			b[i] ^= 1 << bit
			if _, err := checkSaved(b); err == nil {
				taken++
			}
			served(b)
		}
		served(data[:i])
	}
	if taken != 0 {
		t.Errorf("%d of %d flipped bits were not noticed", taken, len(data)*8)
	}
}

func TestStoreDamageOpens(t *testing.T) {
	dir, data, _ := savedStore(t, 8)
	sum, err := os.ReadFile(filepath.Join(dir, sumFile))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(data); i += 97 {
		b := bytes.Clone(data)
		b[i] ^= 0x10
		writeFile(t, dir, dataFile, b)
		writeFile(t, dir, sumFile, sum)
		s, err := OpenStore(dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatalf("byte %d: %v", i, err)
		}
		if n := len(nodesOf(t, s)); n != 0 {
			t.Fatalf("byte %d: %d nodes were taken", i, n)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A value that changed after it was read is left out, not served.
func TestStoreDamagedValue(t *testing.T) {
	s, log := openStore(t, t.TempDir())
	all := putRecords(t, s, 3)
	good := seal(nodeKey(all[0].ID), "[0 0 0]{}")
	for name, value := range map[string]string{"short": "12", "other": good[:len(good)-1] + "]", "no json": seal(nodeKey(all[1].ID), "[0 0 0]{"),
		"another node": seal(nodeKey(all[1].ID), `[0 0 0]{"id":"x"}`), "no point": seal(nodeKey(all[1].ID), "[0 0]{}")} {
		tx, err := s.db.Begin(true)
		if err != nil {
			t.Fatal(err)
		}
		tx.Set(nodeKey(all[1].ID), value, nil)
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if got := nodesOf(t, s); !reflect.DeepEqual(got, []NodeInfo{all[0], all[2]}) {
			t.Errorf("%s: nodes = %+v", name, got)
		}
		if !strings.Contains(log.String(), "damaged") {
			t.Errorf("%s: the log does not say so", name)
		}
		log.Reset()
	}
	if err := s.Put(all[1]); err != nil || len(nodesOf(t, s)) != 3 {
		t.Errorf("the record could not be put again: %v", err)
	}
}

func FuzzCheckSaved(f *testing.F) {
	key := "n|a"
	one := seal(key, `[1 2 3]{"id":"a","coord":{"x":1,"y":2,"height":3}}`)
	rec := func(k, v string) string {
		return "*3\r\n$3\r\nset\r\n$" + strconv.Itoa(len(k)) + "\r\n" + k + "\r\n$" + strconv.Itoa(len(v)) + "\r\n" + v + "\r\n"
	}
	f.Add([]byte(nil))
	f.Add([]byte(rec(key, one)))
	f.Add([]byte(rec(key, one) + rec("p|m|a", seal("p|m|a", `{"model":"m"}`))))
	f.Add([]byte("*3\r\n$3\r\nset\r\n$99999999\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := checkSaved(b)
		if err != nil {
			return
		}
		s := &Store{log: slog.New(slog.DiscardHandler)}
		if err := s.fill(b); err != nil {
			t.Fatalf("sound by our reading but not by buntdb's: %v", err)
		}
		defer s.db.Close()
		if nodes, err := s.Nodes(); err != nil || len(nodes) > n {
			t.Fatalf("%d nodes of %d, %v", len(nodes), n, err)
		}
	})
}
