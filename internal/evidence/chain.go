package evidence

import (
	"errors"
	"fmt"
	"strings"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
)

// journal follows the chain over the lines. It returns the events that fit.
// Its error is a *journal.ContractError: what cannot be understood is not judged.
func (r Record) journal() ([]journal.Event, []Finding, error) {
	events, err := journal.Verify(r.Run, r.Lines)
	if foreign, ok := errors.AsType[*journal.ContractError](err); ok {
		return nil, nil, foreign
	}
	if err == nil {
		err = r.End.Damage
	}
	if err == nil {
		err = sessions(r.Run, events)
	}
	finding := Finding{What: "journal", Result: Fits, Detail: fmt.Sprintf(
		"%d events, each tied to the bytes of the one before", len(events))}
	if err != nil {
		finding.Result, finding.Event, finding.Detail = Differs, int64(len(events))+1, err.Error()
	}
	if damage, ok := errors.AsType[*journal.DamagedError](err); ok {
		finding.Event, finding.Detail = int64(damage.Line), damage.Err.Error()
		events = events[:min(len(events), max(damage.Line-1, 0))]
	}
	return events, []Finding{finding}, nil
}

// sessions holds that every session tells a contract that is known here, and
// works on the plan with which the run began.
func sessions(run string, events []journal.Event) error {
	for i, e := range events {
		var why error
		first := events[0]
		switch {
		case i == 0 && e.Type != journal.Opened:
			why = errors.New("the first event opens no session")
		case e.Type != journal.Opened:
			continue
		case !journal.Reads(e.Contract):
			why = fmt.Errorf("it is written in contract %q, and this phasegate reads %s", e.Contract, journal.Contract)
		case e.Digest != first.Digest || e.Plan != first.Plan:
			why = fmt.Errorf("its session has plan %s with digest %.12s, and the run began with %s and %.12s",
				e.Plan, e.Digest, first.Plan, first.Digest)
		default:
			continue
		}
		return &journal.DamagedError{Run: run, Line: i + 1, Err: why}
	}
	return nil
}

// end says what is known of the journal's end: the chain vouches for every event
// but the last, and not for what may have followed it.
func (r Record) end(events []journal.Event, sum string) Finding {
	last := events[len(events)-1]
	finding := Finding{What: "end", Result: Unproven, Event: last.Seq}
	if len(events) < len(r.Lines) || r.End.Damage != nil {
		finding.Detail = fmt.Sprintf("what follows event %d does not fit, so that the end is not known", last.Seq)
		return finding
	}
	switch {
	case r.End.Kept:
		finding.Result, finding.Detail = Fits, "the journal's database notes the same last event"
	case r.Expect == sum:
		finding.Result, finding.Detail = Fits, "it is the event that was noted elsewhere"
	default:
		finding.Detail = "nothing here shows that event " + fmt.Sprint(last.Seq) +
			" is the last one and as it was: whoever noted its SHA-256 elsewhere can hold it to that with --expect"
	}
	switch {
	case r.End.Held:
		finding.Detail += "; a process is at work on the run"
	case last.Type != journal.Closed:
		finding.Detail += "; the last session is not closed: its process died, or the end was cut off"
	}
	finding.Detail += "; SHA-256 " + sum
	return finding
}

// expected looks for the event that was noted elsewhere. Since every event is
// tied to the one before, it vouches for all of them up to itself.
func (r Record) expected(events []journal.Event) Finding {
	for i, e := range events {
		if hexSum(r.Lines[i]) != r.Expect {
			continue
		}
		finding := Finding{What: "expected", Result: Fits, Event: e.Seq}
		finding.Detail = fmt.Sprintf("events 1 to %d are as they were when this one's SHA-256 was noted", e.Seq)
		if later := len(events) - i - 1; later > 0 {
			finding.Detail += fmt.Sprintf("; %d were added since", later)
		}
		return finding
	}
	return Finding{What: "expected", Result: Differs, Detail: fmt.Sprintf(
		"none of %d events has the SHA-256 %s that was noted: the journal was cut off before it, or written anew", len(events), r.Expect)}
}

func named(changes []plan.Change) []string {
	names := make([]string, 0, len(changes))
	for _, change := range changes {
		names = append(names, change.String())
	}
	return names
}

// plan compares the plan as it is now with the one that the run began with.
func (r Record) plan(events []journal.Event) Finding {
	began := events[0]
	finding := Finding{What: "plan", Event: began.Seq, Path: r.Plan.Path}
	switch {
	case r.Plan.Absent != nil:
		finding.Result, finding.Detail = Missing, r.Plan.Absent.Error()
	case r.Plan.Broken != nil:
		finding.Result, finding.Detail = Differs, "not the plan that the run began with: "+r.Plan.Broken.Error()
	case r.Plan.Digest != began.Digest:
		finding.Result = Differs
		finding.Detail = fmt.Sprintf("the run began with digest %.12s, and this has %.12s: the plan or a file it names was changed",
			began.Digest, r.Plan.Digest)
		if began.Files != nil && r.Plan.Files != nil {
			finding.Detail += ": " + strings.Join(named(plan.Changes(began.Files, r.Plan.Files)), ", ")
		}
	default:
		finding.Result, finding.Detail = Fits, "the plan and every file it names have the digest "+began.Digest
	}
	return finding
}
