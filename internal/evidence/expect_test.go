package evidence

import (
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/runner/journal"
)

// Two sessions, each whole: cutting the second one off leaves a journal in which
// nothing is missing but what somebody noted.
func TestCutAtASessionsEndIsFoundByTheNotedHash(t *testing.T) {
	t.Parallel()
	l := newLeft(t)
	first := l.events()
	l.journal(append(first, l.events()[0], journal.Event{Type: journal.Closed, Status: journal.Done}))
	r := l.record()
	noted := hexSum(r.Lines[len(r.Lines)-1])

	r.Lines = r.Lines[:len(first)]
	if report := l.lookAt(r); !report.Fits {
		t.Fatalf("without the note the rest should fit: %+v", report.First())
	}
	r.Expect = noted
	cut := l.lookAt(r).First()
	if cut == nil || cut.What != "expected" || !strings.Contains(cut.Detail, "cut off") {
		t.Errorf("%+v", cut)
	}
}

func TestNotedEventVouchesForAllBeforeIt(t *testing.T) {
	t.Parallel()
	l := newLeft(t)
	r := l.record()
	for i, line := range r.Lines {
		r.Expect = hexSum(line)
		report := l.lookAt(r)
		expected, end := l.of(report, "expected", "", ""), l.of(report, "end", "", "")
		if expected.Result != Fits || expected.Event != int64(i+1) {
			t.Errorf("event %d was noted: %+v", i+1, expected)
		}
		if last := i+1 == len(r.Lines); (end.Result == Fits) != last {
			t.Errorf("event %d was noted: the end is %s", i+1, end.Result)
		}
	}
}

func TestBundleIsHeldToAnEventOrToItsOwnHash(t *testing.T) {
	t.Parallel()
	l := newLeft(t)
	bundle, err := Open(t.Context(), l.pack())
	if err != nil {
		t.Fatal(err)
	}
	defer bundle.Close()
	for expect, want := range map[string]bool{
		bundle.sum:                  true,
		bundle.Manifest.Last:        true,
		hexSum([]byte("elsewhere")): false,
	} {
		report, err := bundle.Look(t.Context(), expect)
		if err != nil {
			t.Fatal(err)
		}
		if report.Fits != want || l.of(report, "expected", "", "").Detail == "" {
			t.Errorf("%s: %+v", expect, report.Findings)
		}
	}
}
