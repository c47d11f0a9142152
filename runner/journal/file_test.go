package journal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// write makes a journal of a few events in dir and lets go of it.
func write(t *testing.T, dir *Dir, events ...Event) {
	t.Helper()
	w, err := dir.Create(t.Context(), testRun)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, e := range events {
		if _, err := w.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

func TestJournalAndItsFolderAreForTheOwnerOnly(t *testing.T) {
	dir := NewDir(filepath.Join(t.TempDir(), "runs"))
	write(t, dir, someEvents()...)
	for path, want := range map[string]os.FileMode{
		dir.file(testRun):   0o600,
		dir.RunDir(testRun): 0o700 | os.ModeDir,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
	}
}

// Whoever watches a run's status does not keep anybody from going on with it.
func TestAWatchedRunCanBeOpened(t *testing.T) {
	dir := NewDir(filepath.Join(t.TempDir(), "runs"))
	write(t, dir, someEvents()...)
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() {
		for ctx.Err() == nil {
			if _, err := dir.Held(t.Context(), testRun); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 200 {
		w, _, err := dir.Open(t.Context(), testRun)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A copy that somebody made of a run's folder is no run. A folder that cannot be
// looked into may hold one, and is not passed over.
func TestRunsAreTheFoldersThatHoldOrMayHoldAJournal(t *testing.T) {
	dir := NewDir(filepath.Join(t.TempDir(), "runs"))
	write(t, dir, someEvents()...)
	for _, folder := range []string{testRun + ".bak", "shipped"} {
		if err := os.Mkdir(filepath.Join(dir.path, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(dir.file(testRun), filepath.Join(dir.path, testRun+".bak", FileName)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", filepath.Join(dir.path, "loop")); err != nil { // as good as no permission, for root too
		t.Fatal(err)
	}
	runs, err := dir.Runs(t.Context())
	if err != nil || !slices.Equal(runs, []string{testRun, "loop"}) {
		t.Fatalf("runs %q, error %v", runs, err)
	}
	if _, err := dir.Read(t.Context(), "loop"); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("error %v", err)
	}
	none, err := NewDir(filepath.Join(t.TempDir(), "none")).Runs(t.Context())
	if err != nil || len(none) > 0 {
		t.Errorf("runs %q, error %v", none, err)
	}
	if _, err := NewDir(filepath.Join(dir.path, "loop")).Runs(t.Context()); err == nil {
		t.Error("a directory that cannot be listed has no runs")
	}
}

// A crash may leave any prefix of what was being appended: the whole events in
// it are kept, and the journal goes on after them.
func TestJournalCutAtEveryByteGoesOnFromItsWholeEvents(t *testing.T) {
	source := NewDir(filepath.Join(t.TempDir(), "runs"))
	write(t, source, someEvents()...)
	content, err := os.ReadFile(source.file(testRun))
	if err != nil {
		t.Fatal(err)
	}
	dir := NewDir(t.TempDir())
	if err := os.MkdirAll(dir.RunDir(testRun), 0o700); err != nil {
		t.Fatal(err)
	}
	for cut := range len(content) + 1 {
		if err := os.WriteFile(dir.file(testRun), content[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		w, events, err := dir.Open(t.Context(), testRun)
		if err != nil {
			t.Fatalf("cut at byte %d: %v", cut, err)
		}
		whole := strings.Count(string(content[:cut]), "\n")
		if len(events) != whole {
			t.Fatalf("cut at byte %d: %d events, want %d", cut, len(events), whole)
		}
		if _, err := w.Append(t.Context(), Event{Type: Closed, Run: testRun, Status: Failed}); err != nil {
			t.Fatalf("cut at byte %d: append: %v", cut, err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if events, err = dir.Read(t.Context(), testRun); err != nil || len(events) != whole+1 {
			t.Fatalf("cut at byte %d: after one more event read %d, %v", cut, len(events), err)
		}
	}
}

func TestFullDiskStopsTheJournal(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	w := &fileWriter{file: full}
	defer w.Close()
	for range 2 {
		if _, err := w.Append(t.Context(), Event{Type: Opened, Run: testRun}); err == nil {
			t.Fatal("append to a full disk succeeded")
		}
	}
}

// What the system takes and does not bring to the disk is not appended: a pipe
// can be written to, and not synced.
func TestEventThatCannotBeSyncedIsNotAppended(t *testing.T) {
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w := &fileWriter{file: in}
	defer w.Close()
	if _, err := w.Append(t.Context(), Event{Type: Opened, Run: testRun}); err == nil || !strings.Contains(err.Error(), "sync the journal") {
		t.Errorf("append ended with %v", err)
	}
}

// After a failure nobody knows what is on the disk: nothing follows it, also when
// there is room again.
func TestNothingIsAppendedAfterAFailure(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer full.Close()
	room, err := os.Create(filepath.Join(t.TempDir(), FileName))
	if err != nil {
		t.Fatal(err)
	}
	w := &fileWriter{file: full}
	if _, err := w.Append(t.Context(), Event{Type: Opened, Run: testRun}); err == nil {
		t.Fatal("append to a full disk succeeded")
	}
	w.file = room
	defer w.Close()
	if _, err := w.Append(t.Context(), Event{Type: Closed, Run: testRun}); err == nil {
		t.Error("an event was appended after one that was lost")
	}
	if info, err := room.Stat(); err != nil || info.Size() > 0 {
		t.Errorf("something was written: %v, %v", info, err)
	}
}

// A file without a name can be written to as before, and nobody will ever read it.
func TestNothingIsAppendedToAJournalThatWasDeleted(t *testing.T) {
	dir := NewDir(filepath.Join(t.TempDir(), "runs"))
	w, err := dir.Create(t.Context(), testRun)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := os.RemoveAll(dir.path); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Append(t.Context(), Event{Type: Opened, Run: testRun}); err == nil || !strings.Contains(err.Error(), "was deleted") {
		t.Errorf("append ended with %v", err)
	}
}

// An event left out and its number kept is found, though the hashes are made anew.
func TestNumberThatDoesNotFollowIsDamage(t *testing.T) {
	var links chain
	lines, err := links.sealAll(someEvents())
	if err != nil {
		t.Fatal(err)
	}
	skipping := chain{seq: 2, prev: hashOf(lines[0])}
	gap, err := skipping.seal(&Event{Type: Closed, Run: testRun, Status: Done})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(testRun, [][]byte{lines[0], gap}); err == nil || !strings.Contains(err.Error(), "it is numbered 3, not 2") {
		t.Errorf("the gap is %v", err)
	}
}

func hashOf(line []byte) string {
	var c chain
	c.advance(line)
	return c.prev
}

func TestEventIsValidTextWhateverAReceiptHolds(t *testing.T) {
	var links chain
	line, err := links.seal(&Event{Type: StepSaved, Run: testRun, Receipt: []byte("{\"name\":\"\xff\xfe\"}")})
	if err != nil {
		t.Fatal(err)
	}
	if !utf8.Valid(line) {
		t.Errorf("%q is not UTF-8", line)
	}
	if _, err := Verify(testRun, [][]byte{line}); err != nil {
		t.Error(err)
	}
}

// FuzzJournal holds that any bytes are read without a panic, and that what is
// read is a prefix that can be written on.
func FuzzJournal(f *testing.F) {
	dir := NewDir(f.TempDir())
	w, err := dir.Create(f.Context(), testRun)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := w.Append(f.Context(), someEvents()...); err != nil {
		f.Fatal(err)
	}
	content, _ := os.ReadFile(dir.file(testRun))
	f.Add(content)
	f.Add(content[:len(content)/2])
	f.Add([]byte("{}\n{}\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		lines, whole := split(content)
		if whole > len(content) {
			t.Fatalf("%d whole bytes of %d", whole, len(content))
		}
		events, err := Verify(testRun, lines)
		Fold(events)
		if err != nil {
			return
		}
		if again, _ := split(content[:whole]); len(again) != len(lines) || len(events) != len(lines) {
			t.Fatalf("%d events in %d lines; the whole part alone has %d", len(events), len(lines), len(again))
		}
	})
}
