package sign

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// aKey is a key that is the same in each run.
func aKey(t testing.TB, seed uint64) Key {
	t.Helper()
	k, err := NewKey(rand.NewChaCha8([32]byte{byte(seed)}))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t testing.TB, code, file []byte, keys ...Key) []byte {
	t.Helper()
	for _, k := range keys {
		var err error
		if file, err = Sign(k, code, file); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

func TestVerify(t *testing.T) {
	ann, bob, eve := aKey(t, 1), aKey(t, 2), aKey(t, 3)
	anyOf := ann.Public().String() + " Ann\n" + bob.Public().String() + " Bob B.\n"
	code := []byte("a module")
	for name, c := range map[string]struct {
		trust string
		code  string
		sig   []byte
		names []string
		err   string
	}{
		"one of two":     {anyOf, "a module", sign(t, code, nil, bob), []string{"Bob B."}, ""},
		"both":           {"require all\n" + anyOf, "a module", sign(t, code, nil, bob, ann), []string{"Ann", "Bob B."}, ""},
		"one missing":    {"require all\n" + anyOf, "a module", sign(t, code, nil, bob), []string{"Bob B."}, "the signature of Ann is missing"},
		"unsigned":       {anyOf, "a module", nil, nil, "not signed"},
		"unknown":        {anyOf, "a module", sign(t, code, nil, eve), nil, "signed by " + eve.Public().ID()},
		"changed":        {anyOf, "a modulE", sign(t, code, nil, ann), nil, "changed after Ann signed it"},
		"signed again":   {anyOf, "a modulE", sign(t, []byte("a modulE"), sign(t, code, nil, ann), ann), []string{"Ann"}, ""},
		"rubbish":        {anyOf, "a module", []byte("omx-sig-1 rubbish"), nil, "line 1 is not"},
		"cut":            {anyOf, "a module", sign(t, code, nil, ann)[:60], nil, "cut off or mistyped"},
		"comments only":  {anyOf, "a module", []byte("# nobody yet\n"), nil, "not signed"},
		"one is old":     {anyOf, "a modulE", sign(t, []byte("a modulE"), sign(t, code, nil, bob), ann), []string{"Ann"}, ""},
		"all, one old":   {"require all\n" + anyOf, "a modulE", sign(t, []byte("a modulE"), sign(t, code, nil, bob), ann), []string{"Ann"}, "changed after Bob B. signed it"},
		"put together":   {anyOf, "a modulE", append(sign(t, code, nil, ann), sign(t, []byte("a modulE"), nil, ann)...), []string{"Ann"}, ""},
		"no key's id":    {anyOf, "a module", []byte(strings.Replace(string(sign(t, code, nil, ann)), ann.Public().ID(), "\x1b[2J\x1b[31mtrusted", 1)), nil, "line 1 is not"},
		"many unknown":   {bob.Public().String(), "a module", sign(t, code, nil, eve, ann, aKey(t, 4), aKey(t, 5), aKey(t, 6)), nil, ", and 2 more, and none"},
		"comment, blank": {"# who may sign\n\n" + anyOf, "a module", append([]byte("# by\n\n"), sign(t, code, nil, ann)...), []string{"Ann"}, ""},
	} {
		trust, err := ParseTrust([]byte(c.trust))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		names, err := trust.Verify([]byte(c.code), c.sig)
		if !slices.Equal(names, c.names) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %v; want %q, %q", name, names, err, c.names, c.err)
		}
	}
}

// No bit of a module or of a signature can be turned.
func TestEveryBitCounts(t *testing.T) {
	ann := aKey(t, 1)
	trust, err := ParseTrust([]byte(ann.Public().String()))
	if err != nil {
		t.Fatal(err)
	}
	code := []byte("module")
	sig := sign(t, code, nil, ann)
	if names, err := trust.Verify(code, sig); err != nil || names[0] != ann.Public().ID() {
		t.Fatalf("%q, %v", names, err)
	}
	for i := range 8 * len(code) {
		bad := bytes.Clone(code)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := trust.Verify(bad, sig); err == nil {
			t.Errorf("bit %d of the module does not count", i)
		}
	}
	for i := range 8 * (len(sig) - 1) { // without the end of the line
		bad := bytes.Clone(sig)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := trust.Verify(code, bad); err == nil && strings.Join(strings.Fields(string(bad)), " ") != strings.Join(strings.Fields(string(sig)), " ") {
			t.Errorf("bit %d of the signature does not count: %q", i, bad)
		}
	}
}

func TestKeys(t *testing.T) {
	k := aKey(t, 9)
	again, err := ParseKey(k.Marshal())
	if err != nil || again.Public().String() != k.Public().String() || len(k.Public().ID()) != 16 {
		t.Errorf("%v, %v", again.Public(), err)
	}
	if strings.Contains(k.Public().String(), keyWord) || !strings.Contains(string(k.Marshal()), "secret") {
		t.Errorf("key file %s", k.Marshal())
	}
	for _, bad := range []string{"", "omx-key-1", "omx-key-1 xyz", string(k.Marshal()) + string(k.Marshal()), k.Public().String(), strings.Repeat("#", maxText+1)} {
		if _, err := ParseKey([]byte(bad)); err == nil {
			t.Errorf("%.20q was taken for a key", bad)
		}
	}
	for _, bad := range []string{"", "require all", "require some\n" + k.Public().String(), "omx-pub-1 AAAA Ann",
		"require all\nrequire any\n" + k.Public().String(), k.Public().String() + " Ann\n" + k.Public().String() + " Bob\n",
		strings.Repeat(k.Public().String()+"\n", maxKeys+1)} {
		if _, err := ParseTrust([]byte(bad)); err == nil {
			t.Errorf("%.40q was taken for trust", bad)
		}
	}
	// A name is cut between letters.
	trust, err := ParseTrust([]byte(k.Public().String() + " x" + strings.Repeat("ö", maxName)))
	if err != nil || !utf8.ValidString(trust.signers[0].name) || len(trust.signers[0].name) > maxName {
		t.Errorf("%v, %v", trust.signers, err)
	}
	if _, err := NewKey(strings.NewReader("short")); err == nil {
		t.Error("made a key of 5 bytes")
	}
}

func FuzzParse(f *testing.F) {
	k := aKey(f, 1)
	f.Add(k.Marshal())
	f.Add([]byte("require all\n" + k.Public().String() + " Ann\n"))
	f.Add(sign(f, []byte("x"), nil, k))
	f.Fuzz(func(t *testing.T, b []byte) {
		if again, err := ParseKey(b); err == nil {
			if third, err := ParseKey(again.Marshal()); err != nil || third.Public().ID() != again.Public().ID() {
				t.Errorf("key changes when written: %v", err)
			}
		}
		if trust, err := ParseTrust(b); err == nil {
			if names, err := trust.Verify(b, b); err == nil {
				t.Errorf("verified by %q", names)
			}
		}
		if list, err := parseSignatures(b); err == nil && len(list) > maxKeys {
			t.Errorf("%d signatures", len(list))
		}
	})
}
