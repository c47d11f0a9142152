package evidence

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/medlogistics/phasegate/runner/journal"
)

func TestWhatARunLeftFitsAndOnlyWhatWasSeenIsClaimed(t *testing.T) {
	t.Parallel()
	l := newLeft(t)
	r := l.look()
	if !r.Fits || r.First() != nil || r.Events != 10 || r.Plan != "toy" || r.Status != journal.Done {
		t.Fatalf("%+v", r)
	}
	for _, want := range []struct {
		what, step, base string
		result           Result
	}{
		{"journal", "", "", Fits},
		{"plan", "", "", Fits},
		{"file", "backup", "app.dump", Fits},
		{"file", "rehearse", "rehearsal.json", Fits},
		{"end", "", "", Unproven},
		{"file", "backup", "app.dump.json", Unproven},
		{"file", "users", "report.ndjson", Unproven},
	} {
		if f := l.of(r, want.what, want.step, want.base); f.Result != want.result {
			t.Errorf("%s of %s %s: %s, want %s: %s", want.what, want.step, want.base, f.Result, want.result, f.Detail)
		}
	}
	if len(r.Findings) != 7 {
		t.Errorf("%d findings: %+v", len(r.Findings), r.Findings)
	}
}

func TestAlteredEventIsNamed(t *testing.T) {
	t.Parallel()
	l := newLeft(t)
	whole := l.record()
	for i := range whole.Lines[:len(whole.Lines)-1] { // nothing follows the last one
		r := whole
		r.Lines = append([][]byte{}, whole.Lines...)
		r.Lines[i] = bytes.Replace(r.Lines[i], []byte(`"time":"20`), []byte(`"time":"19`), 1)
		report, err := Look(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if first := report.First(); report.Fits || first == nil || first.Event != int64(i+2) {
			t.Errorf("event %d was altered: %+v", i+1, first)
		}
	}
}

func TestMissingAndStrangeEventsAreNamed(t *testing.T) {
	t.Parallel()
	l := newLeft(t)
	lines := l.record().Lines
	for what, c := range map[string]struct {
		lines [][]byte
		event int64
	}{
		"the first is gone":     {lines[1:], 1},
		"one is gone":           {append(append([][]byte{}, lines[:3]...), lines[4:]...), 4},
		"two changed places":    {[][]byte{lines[0], lines[2], lines[1]}, 2},
		"one is there twice":    {[][]byte{lines[0], lines[1], lines[1]}, 3},
		"one is no JSON at all": {[][]byte{lines[0], []byte("x")}, 2},
	} {
		r := l.record()
		r.Lines = c.lines
		report, err := Look(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if first := report.First(); first == nil || first.Event != c.event || first.What != "journal" {
			t.Errorf("%s: %+v", what, first)
		}
	}
}

func TestWhatAStoreKnowsOfTheEndCounts(t *testing.T) {
	t.Parallel()
	l := newLeft(t)
	r := l.record()
	r.End.Kept = true
	report, err := Look(t.Context(), r)
	if err != nil || l.of(report, "end", "", "").Result != Fits {
		t.Errorf("%+v, %v", report, err)
	}
	r.End.Damage = &journal.DamagedError{Run: testRun, Line: 11, Err: errors.New("it is missing")}
	report, err = Look(t.Context(), r)
	if err != nil || report.First() == nil || report.First().Event != 11 {
		t.Errorf("%+v, %v", report, err)
	}
	r.End.Damage = &journal.DamagedError{Run: testRun, Line: 0, Err: errors.New("it had none")}
	report, err = Look(t.Context(), r)
	if err != nil || report.Fits || report.Events != 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestCutOffEndIsToldWhereNoSessionEnds(t *testing.T) {
	t.Parallel()
	l := newLeft(t)
	r := l.record()
	r.Lines = r.Lines[:len(r.Lines)-1]
	report, err := Look(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if f := l.of(report, "end", "", ""); f.Result != Unproven || !strings.Contains(f.Detail, "is not closed") {
		t.Errorf("%+v", f)
	}
	if report.Status != journal.Interrupted {
		t.Errorf("the run stands %s", report.Status)
	}
}

func TestSessionWithAnotherPlanOrContractIsNamed(t *testing.T) {
	t.Parallel()
	for what, edit := range map[string]func(*journal.Event){
		"another digest": func(e *journal.Event) { e.Digest = strings.Repeat("0", 64) },
		"another plan":   func(e *journal.Event) { e.Plan = "other" },
		"no contract":    func(e *journal.Event) { e.Contract = "" },
	} {
		l := newLeft(t)
		events := l.events()
		again := events[0]
		edit(&again)
		l.journal(append(events, again))
		if first := l.look().First(); first == nil || first.Event != int64(len(events)+1) || first.What != "journal" {
			t.Errorf("%s: %+v", what, first)
		}
	}
}

func TestSessionOfALaterMajorContractIsNotJudged(t *testing.T) {
	t.Parallel()
	l := newLeft(t)
	again := l.events()[0]
	again.Contract = "2.0"
	l.journal(append(l.events(), again))
	_, err := Look(t.Context(), l.record())
	if foreign, ok := errors.AsType[*journal.ContractError](err); !ok || foreign.Contract != "2.0" {
		t.Errorf("%v", err)
	}
}

func TestEditedPlanAndEditedFileOfItDiffer(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"plans/plan.yaml", "schema/2.sql"} {
		l := newLeft(t)
		content, err := os.ReadFile(l.path(name))
		if err != nil {
			t.Fatal(err)
		}
		l.write(name, string(content)+"\n# edited")
		if first := l.look().First(); first == nil || first.What != "plan" || first.Event != 1 {
			t.Errorf("%s edited: %+v", name, first)
		}
	}
}

func TestAlteredArtifactDiffersAndMissingOneIsMissing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		step  string
		event int64
	}{
		"backups/app.dump":                    {"backup", 4},
		"backups/app.dump.json":               {"backup", 4},
		"runs/" + testRun + "/rehearsal.json": {"rehearse", 8},
	} {
		l := newLeft(t)
		l.write(name, `{"sha256":"altered"}`)
		if first := l.look().First(); first == nil || first.Step != c.step || first.Event != c.event {
			t.Errorf("%s altered: %+v", name, first)
		}
		if err := os.Remove(l.path(name)); err != nil {
			t.Fatal(err)
		}
		r := l.look()
		if !r.Fits || r.Count(Missing) != 1 {
			t.Errorf("%s removed: %+v", name, r.Findings)
		}
		if err := syscall.Mkfifo(l.path(name), 0o600); err != nil {
			t.Fatal(err)
		}
		if first := l.look().First(); first == nil || first.Step != c.step {
			t.Errorf("%s is a pipe: %+v", name, first)
		}
	}
}

// The last receipt of a step counts: what an earlier attempt made may be gone.
func TestOnlyTheLastReceiptOfAStepIsHeldAgainstItsFiles(t *testing.T) {
	t.Parallel()
	l := newLeft(t)
	events := l.events()
	first := events[3]
	first.Status, first.Receipt = journal.Failed, []byte(`{"file":"/no/such/file","sha256":"00"}`)
	l.journal(append(events[:3:3], append([]journal.Event{first}, events[2:]...)...))
	if r := l.look(); !r.Fits || r.Count(Missing) > 0 {
		t.Errorf("%+v", r.Findings)
	}
}

// A report that leads out of the run's directory is not followed.
func TestReportIsNotFollowedOutOfTheRunsDirectory(t *testing.T) {
	t.Parallel()
	l := newLeft(t)
	report := l.path("runs/" + testRun + "/report.ndjson")
	if err := errors.Join(os.Remove(report), os.Symlink(l.path("backups/app.dump"), report)); err != nil {
		t.Fatal(err)
	}
	if f := l.of(l.look(), "file", "users", "report.ndjson"); f.Result != Missing {
		t.Errorf("%+v", f)
	}
}

func TestAuditEndsWithItsContext(t *testing.T) {
	t.Parallel()
	l := newLeft(t)
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := Look(ctx, l.record()); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	dir := t.TempDir()
	if _, err := Pack(ctx, dir+"/evidence.zip", l.record(), l.plan, "v1"); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("leftovers: %v", entries)
	}
}

// A report that grows line by line is longer than its last receipt says while
// its step is at work again. Who wrote to it last vouches for it.
func TestFileOfAStepThatBeganAgainIsUnprovenAndOneThatTwoWroteToCountsOnce(t *testing.T) {
	t.Parallel()
	l := newLeft(t)
	path := l.path("runs/" + testRun + "/rehearsal.json")
	longer := rehearseText + rehearseText
	finished := func(step, text string) journal.Event {
		return journal.Event{
			Type: journal.StepFinished, Phase: "schema", Step: step, Status: journal.Done,
			Receipt: []byte(`{"report":"` + path + `","report_sha256":"` + hexSum([]byte(text)) + `"}`),
		}
	}
	began := journal.Event{Type: journal.StepStarted, Phase: "schema", Step: "rehearse", Attempt: 2}

	l.journal(append(l.events(), began))
	if f := l.of(l.look(), "file", "rehearse", ""); f.Result != Fits {
		t.Errorf("begun again, not written to: %+v", f)
	}
	l.write("runs/"+testRun+"/rehearsal.json", longer)
	if f := l.of(l.look(), "file", "rehearse", ""); f.Result != Unproven || !strings.Contains(f.Detail, "begun again by event 11") {
		t.Errorf("begun again, written to: %+v", f)
	}
	l.journal(append(l.events(), began, finished("rehearse", longer)))
	if f := l.of(l.look(), "file", "rehearse", ""); f.Result != Fits {
		t.Errorf("finished again: %+v", f)
	}
	l.journal(append(l.events(), finished("after", longer)))
	r := l.look()
	if f := l.of(r, "file", "after", ""); f.Result != Fits || !r.Fits {
		t.Errorf("two steps wrote to it: %+v", r.Findings)
	}
	l.journal(append(l.events(), began, finished("rehearse", rehearseText)))
	if first := l.look().First(); first == nil || first.Event != 12 {
		t.Errorf("altered after its last receipt: %+v", first)
	}
}
