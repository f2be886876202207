package policies_test

import (
	"strings"
	"testing"

	"omx/policies"
	"omx/wasm"
)

func TestSettings(t *testing.T) {
	h := newHost(t, wasm.Config{})
	code, _ := policies.Builtin("token-bucket")
	m, err := h.Compile(t.Context(), "token-bucket", code, wasm.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		params string
		ok     bool
	}{
		"both":              {"rate=1\nburst=4294967295\n", true},
		"no end of line":    {"rate=1000000", true},
		"empty lines":       {"\n\nrate=5\r\n\nburst=7\n\n", true},
		"again":             {"rate=5\nrate=6", true},
		"unknown":           {"rate=5\nspeed=6", false},
		"longer name":       {"rates=5", false},
		"shorter name":      {"rat=5", false},
		"no value":          {"rate=", false},
		"no value, another": {"rate=\nburst=5", false},
		"no sign":           {"rate", false},
		"no name":           {"=5", false},
		"a word":            {"rate=fast", false},
		"ends in a word":    {"rate=5fast", false},
		"below":             {"rate=0", false},
		"above":             {"rate=1000001", false},
		"far above":         {"rate=99999999999999999999999999", false},
		"negative":          {"rate=-5", false},
		"a fraction":        {"rate=0.5", false},
		"spaces":            {"rate = 5", false},
		"long":              {strings.Repeat("rate=5\n", 1000), true},
		"long, then wrong":  {strings.Repeat("rate=5\n", 1000) + "rate=x", false},
	}
	for name, c := range cases {
		i, err := m.New(t.Context(), wasm.InstanceConfig{Params: []byte(c.params)})
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if i != nil {
			if err := i.Close(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
