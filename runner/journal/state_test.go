package journal

import "testing"

func TestStateFollowsTheEvents(t *testing.T) {
	opened := Event{Type: Opened, Run: testRun, Plan: "toy", Digest: "d1", Phases: []string{"one", "two"}}
	start := Event{Type: StepStarted, Phase: "one", Step: "a", Kind: KindStep, Changes: true, Attempt: 1}
	done := Event{Type: StepFinished, Phase: "one", Step: "a", Status: Done, Receipt: []byte(`{"n":1}`)}
	phaseDone := Event{Type: PhaseFinished, Phase: "one", Status: Done, DowntimeMS: 5}
	for name, c := range map[string]struct {
		events    []Event
		status    Status
		resumable bool
		goingBack bool
	}{
		"opened":                  {[]Event{opened}, Running, true, false},
		"a step at work":          {[]Event{opened, start}, Running, true, false},
		"halted":                  {[]Event{opened, start, {Type: Closed, Status: Failed}}, Failed, true, false},
		"taken up again":          {[]Event{opened, start, {Type: Closed, Status: Failed}, opened}, Running, true, false},
		"part of the plan":        {[]Event{opened, start, done, phaseDone, {Type: Closed, Status: Open}}, Open, true, false},
		"going back":              {[]Event{opened, start, {Type: RollbackStarted}}, RollingBack, false, true},
		"going back, taken up":    {[]Event{opened, start, {Type: RollbackStarted}, opened}, RollingBack, false, true},
		"rolled back":             {[]Event{opened, start, {Type: RollbackStarted}, {Type: Closed, Status: RolledBack}}, RolledBack, false, false},
		"rollback left something": {[]Event{opened, start, {Type: RollbackStarted}, {Type: Closed, Status: RollbackIncomplete}}, RollbackIncomplete, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := Fold(c.events)
			if s.Status != c.status || s.Resumable() != c.resumable || s.GoingBack() != c.goingBack {
				t.Errorf("got %s, resumable %v, going back %v", s.Status, s.Resumable(), s.GoingBack())
			}
		})
	}
}

func TestLastReceiptOfAStepIsKept(t *testing.T) {
	s := Fold([]Event{
		{Type: Opened, Run: testRun, Phases: []string{"one"}},
		{Type: StepStarted, Phase: "one", Step: "a", Attempt: 1},
		{Type: StepSaved, Phase: "one", Step: "a", Receipt: []byte(`{"n":1}`)},
		{Type: StepFinished, Phase: "one", Step: "a", Status: Failed},
	})
	if got := string(s.Receipts()["a"]); got != `{"n":1}` {
		t.Errorf("receipt = %s, want the saved one", got)
	}
}

func TestEventsOfALaterContractAreReadOver(t *testing.T) {
	s := Fold([]Event{{Type: Opened, Run: testRun}, {Type: "something_new", Phase: "one"}})
	if s.Status != Running {
		t.Errorf("status = %s", s.Status)
	}
	if Fold(nil) != nil {
		t.Error("no events are no run")
	}
}
