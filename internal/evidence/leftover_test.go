package evidence

import (
	"os"
	"path/filepath"
	"testing"
)

// A process that is killed while it writes a bundle leaves what it had of it.
func TestWhatAKilledExportLeftIsRemovedByTheNext(t *testing.T) {
	dir := t.TempDir()
	to := filepath.Join(dir, "evidence.zip")
	left, err := partial(to)
	if err != nil {
		t.Fatal(err)
	}
	_ = left.Close() // its lock ends as with its process
	other := filepath.Join(dir, ".other.zip.12.partial")
	named := filepath.Join(dir, ".evidence.zip.mine.partial")
	for _, path := range []string{other, named} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	living, err := partial(to)
	if err != nil {
		t.Fatal(err)
	}
	defer living.Close()
	next, err := partial(to)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if _, err := os.Stat(left.Name()); err == nil {
		t.Error("what the killed one left is there still")
	}
	for _, path := range []string{living.Name(), next.Name(), other, named} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s is gone, and it is nobody's leftover", filepath.Base(path))
		}
	}
}
