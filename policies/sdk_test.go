package policies_test

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"omx/policies/abi"
	"omx/wasm"
)

// labels answers with a row's score of labels << 16 | the bytes of their text.
const labels = `
import { open, lowest, answer, itemLength, wantsTag, BAD_REQUEST, LOAD_PART, TAG_LABEL } from "./omx";
export { omx_abi, omx_buf } from "./omx";

export function omx_wants(kind: u32): u64 { return LOAD_PART | wantsTag(TAG_LABEL); }

export function omx_route(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null) return answer(BAD_REQUEST);
  let score: u32 = 0;
  for (let item = h.item(TAG_LABEL); item != 0; item = h.item(TAG_LABEL, item)) score += 1 << 16 | itemLength(item);
  for (let i: u32 = 0; i < h.count; i++) h.setScore(i, score);
  return lowest(h);
}
`

func TestExtensionItems(t *testing.T) {
	dir := t.TempDir()
	sdk, err := os.ReadFile("sdk/assemblyscript/omx.ts")
	if err != nil {
		t.Fatal(err)
	}
	source, out := filepath.Join(dir, "labels.ts"), filepath.Join(dir, "labels.wasm")
	for name, b := range map[string][]byte{source: []byte(labels), filepath.Join(dir, "omx.ts"): sdk} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	asc := exec.CommandContext(t.Context(), "node_modules/.bin/asc", "-O3", "--noAssert", "--runtime", "stub", "--use", "abort=", source, "-o", out)
	if b, err := asc.CombinedOutput(); err != nil {
		t.Fatalf("compile: %v (run make policies)\n%s", err, b)
	}
	code, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	i, err := newHost(t, wasm.Config{}).Load(t.Context(), "labels", code, wasm.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, tags := i.Wants(abi.Route); tags != 1<<abi.TagLabel {
		t.Errorf("it wants tags %#x", tags)
	}
	cases := map[string]struct {
		items []string
		cut   int // bytes of the last item that are missing
		want  uint32
	}{
		"none":        {nil, 0, 0},
		"one":         {[]string{"a=b"}, 0, 1<<16 | 3},
		"empty":       {[]string{""}, 0, 1 << 16},
		"three":       {[]string{"a=b", "cc=dd", "e=ffffff"}, 0, 3<<16 | 16},
		"cut short":   {[]string{"a=bc", "c=defghi"}, 4, 1<<16 | 4},
		"only a head": {[]string{"a=bc", "cdef"}, 4, 1<<16 | 4},
	}
	for name, c := range cases {
		ext := []byte(nil)
		for n, text := range c.items {
			if n > 0 { // one of another kind between them
				ext = append(binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(ext, uint16(abi.TagZone)), 4), 1, 2, 3, 4)
			}
			ext = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(ext, uint16(abi.TagLabel)), uint16(len(text)))
			ext = append(ext, text...)
			for len(ext)%4 != 0 {
				ext = append(ext, 0)
			}
		}
		ext = ext[:len(ext)-c.cut]
		s := abi.Shape{Kind: abi.Route, Rows: 1, Stride: abi.PartSize, Ext: len(ext)}
		o := run(t, i, abi.Route, &s, func(b []byte) {
			h := abi.Begin(b, &s)
			row := node(nil)
			abi.PutRow(b, s.Stride, 0, &row)
			if len(ext) > 0 {
				copy(b[h.Ext:], ext)
			}
		})
		if o.err != nil || abi.Scores(o.view, 1, s.Stride)[0] != c.want {
			t.Errorf("%s: %v, %#x, want %#x", name, o.err, abi.Scores(o.view, 1, s.Stride)[0], c.want)
		}
	}
}
