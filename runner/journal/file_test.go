package journal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

const testRun = "20260102-030405-abcdef"

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

func someEvents() []Event {
	return []Event{
		{Type: Opened, Run: testRun, Contract: Contract, Plan: "toy", Digest: "d1", Phases: []string{"one"}},
		{Type: PhaseStarted, Run: testRun, Phase: "one"},
		{Type: StepStarted, Run: testRun, Phase: "one", Step: "a", Task: "toy/a", Kind: KindStep, Attempt: 1},
		{Type: StepFinished, Run: testRun, Phase: "one", Step: "a", Status: Done, Receipt: []byte(`{"rows":1}`)},
	}
}

func TestJournalIsReadBackAsWritten(t *testing.T) {
	dir := NewDir(filepath.Join(t.TempDir(), "runs"))
	write(t, dir, someEvents()...)
	events, err := dir.Read(t.Context(), testRun)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 4 || events[3].Seq != 4 || string(events[3].Receipt) != `{"rows":1}` {
		t.Fatalf("read %d events, the last %+v", len(events), events[len(events)-1])
	}
	if events[0].Prev != "" || len(events[3].Prev) != 64 {
		t.Errorf("events are not chained: %q, %q", events[0].Prev, events[3].Prev)
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

func TestAlteredJournalIsRefusedWithTheFirstEventThatDoesNotFit(t *testing.T) {
	source := NewDir(filepath.Join(t.TempDir(), "runs"))
	write(t, source, someEvents()...)
	content, err := os.ReadFile(source.file(testRun))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(content), "\n")
	for name, altered := range map[string]struct {
		text string
		line int
	}{
		"a changed value":      {strings.Replace(string(content), `"plan":"toy"`, `"plan":"fun"`, 1), 2},
		"a removed event":      {lines[0] + lines[2] + lines[3], 2},
		"two swapped events":   {lines[0] + lines[2] + lines[1] + lines[3], 2},
		"garbage in its place": {lines[0] + "garbage\n" + lines[2] + lines[3], 2},
		"the first one gone":   {lines[1] + lines[2] + lines[3], 1},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(source.file(testRun), []byte(altered.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, _, err := source.Open(t.Context(), testRun)
			var damaged *DamagedError
			if !errors.As(err, &damaged) || damaged.Line != altered.line {
				t.Errorf("got %v, want damage at event %d", err, altered.line)
			}
		})
	}
}

func TestRunHasOneWriter(t *testing.T) {
	dir := NewDir(t.TempDir())
	w, err := dir.Create(t.Context(), testRun)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := dir.Open(t.Context(), testRun); !errors.Is(err, ErrHeld) {
		t.Errorf("a second writer got %v, want ErrHeld", err)
	}
	if held, err := dir.Held(t.Context(), testRun); err != nil || !held {
		t.Errorf("held = %v, %v while a writer has it", held, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if held, err := dir.Held(t.Context(), testRun); err != nil || held {
		t.Errorf("held = %v, %v after it was let go", held, err)
	}
	second, _, err := dir.Open(t.Context(), testRun)
	if err != nil {
		t.Fatalf("open after close: %v", err)
	}
	_ = second.Close()
}

func TestTargetHasOneRun(t *testing.T) {
	dir := NewDir(t.TempDir())
	unlock, err := dir.Lock(t.Context(), "toy")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Lock(t.Context(), "toy"); !errors.Is(err, ErrHeld) {
		t.Errorf("a second lock got %v, want ErrHeld", err)
	}
	unlock()
	again, err := dir.Lock(t.Context(), "toy")
	if err != nil {
		t.Fatalf("lock after unlock: %v", err)
	}
	again()
}

func TestRunThatIsNotThereIsNotFound(t *testing.T) {
	dir := NewDir(t.TempDir())
	for _, run := range []string{testRun, "../escape", "", "a/b"} {
		if _, err := dir.Read(t.Context(), run); !errors.Is(err, ErrNotFound) {
			t.Errorf("read %q: %v, want ErrNotFound", run, err)
		}
		if _, _, err := dir.Open(t.Context(), run); !errors.Is(err, ErrNotFound) {
			t.Errorf("open %q: %v, want ErrNotFound", run, err)
		}
	}
	if runs, err := dir.Runs(t.Context()); err != nil || len(runs) != 0 {
		t.Errorf("runs = %v, %v in an empty directory", runs, err)
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
