package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"omx/node"
	"omx/node/blob"
)

func TestStoredModels(t *testing.T) {
	data := t.TempDir()
	cfg := at(data)
	look := func() []Finding { return storedModels(t.Context(), patientOf(t, cfg)) }
	expect(t, look(), "ok: none stored")
	mine := filepath.Join(t.TempDir(), "mine.gguf")
	write(t, mine, "of a file", 0o600)
	gone := []string{store(t, data, "hub", "1", "hf.co/a/b:Q4_K_M"), store(t, data, "hf.co/a/c", "2", "hf.co/a/c"),
		store(t, data, "web", "3", "https://host/x.gguf?a=1&b=2"), store(t, data, "made", "4", "created")}
	short := store(t, data, "short", "longer than it will be", mine)
	store(t, data, "twin", "longer than it will be", "created")
	store(t, data, "good", "good", "")
	expect(t, look(), "ok: 7 models stored, 0.0 kB")
	for _, path := range gone {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	damaged, err := filepath.Glob(filepath.Join(data, node.ModelsDir, "manifests", "*good*"))
	if err != nil || len(damaged) != 1 {
		t.Fatal(damaged, err)
	}
	if err := errors.Join(os.Truncate(short, 3), os.Truncate(damaged[0], 9)); err != nil {
		t.Fatal(err)
	}
	api := " --api " + nobody
	expect(t, look(),
		"problem: good: what it points at cannot be read >> omx models rm good"+api,
		"problem: hf.co/a/c: its file is gone >> omx models pull hf.co/a/c"+api,
		"problem: hub: its file is gone >> omx models pull hub --from hf.co/a/b:Q4_K_M"+api,
		"problem: made: its file is gone >> omx models rm made"+api,
		"problem: short: its file has another length than 22 bytes >> omx models rm short twin"+api+" && omx models import "+mine+" --name short --data "+data,
		"problem: twin: its file has another length >> omx models rm short twin"+api,
		"problem: web: its file is gone >> omx models pull web --from 'https://host/x.gguf?a=1&b=2'"+api,
		"ok: 0 models stored")
}

func TestUnfinished(t *testing.T) {
	now := time.Now()
	n, have := lies([]blob.Unfinished{{Have: 5, At: now.Add(-2 * underWay)}, {Have: 7, At: now.Add(-underWay / 2)}}, now)
	if n != 1 || have != 5 {
		t.Errorf("%d of %d bytes lie unfinished, want the one that nobody goes on with", n, have)
	}
	cfg := at(t.TempDir())
	path := filepath.Join(cfg.Data, node.ModelsDir, "partial", "pull-0123")
	write(t, path, "some bytes", 0o600)
	look := func() []Finding { return storedModels(t.Context(), patientOf(t, cfg)) }
	expect(t, look(), "ok: none stored")
	cfg.Now = func() time.Time { return now.Add(time.Hour) }
	expect(t, look(), "advice: 1 download unfinished, 0.0 kB >> omx models pull MODEL", "ok: none stored")
}
