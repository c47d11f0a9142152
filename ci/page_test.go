package ci

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/ci/citest"
	"github.com/medlogistics/phasegate/runner/journal"
)

// told are the events of a run whose second phase failed, after so many steps.
func told(steps int) []journal.Event {
	at := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	events := []journal.Event{{
		Type: journal.Opened, Run: "20261126-080000-000-abcd", Plan: "move", File: "plans/move.yaml", Digest: strings.Repeat("ab", 32),
		Phases: []string{"look", "change", "verify"},
	}}
	add := func(e journal.Event) {
		e.Seq, e.Time = int64(len(events)+1), at.Add(time.Duration(len(events))*time.Second)
		events = append(events, e)
	}
	add(journal.Event{Type: journal.PhaseStarted, Phase: "look"})
	add(journal.Event{Type: journal.PhaseFinished, Phase: "look", Status: journal.Done, DurationMS: 1234})
	add(journal.Event{Type: journal.PhaseStarted, Phase: "change"})
	for i := range steps {
		step := fmt.Sprint("step-", i)
		status := map[bool]journal.Status{true: journal.Failed, false: journal.Done}[i == steps-1]
		add(journal.Event{Type: journal.StepStarted, Phase: "change", Step: step, Task: "service/stop", Kind: journal.KindStep, Changes: true})
		add(journal.Event{Type: journal.StepFinished, Phase: "change", Step: step, Kind: journal.KindStep, Status: status, Reason: "why not"})
	}
	add(journal.Event{Type: journal.PhaseFinished, Phase: "change", Status: journal.Failed, DurationMS: 2000, DowntimeMS: 61500, BudgetMS: 60000})
	add(journal.Event{Type: journal.Closed, Status: journal.Failed, Reason: "step-1 failed"})
	return events
}

// A reviewer and an operator find on the page what they need: how it ended, what
// users had of it, what it counts, where the rest is and what to do next.
func TestThePageOfARunSaysWhatWasMeasuredAndHowToGoOn(t *testing.T) {
	t.Parallel()
	job, _ := jobIn(t)
	page := job.page(told(2))
	for _, want := range []string{
		"## move: failed, and nothing was taken back\n",
		"| change | failed | 2s | 1m1.5s |  | 1 of 2 that began |\n",
		"| look | done | 1.2s |  |  | 0 of 0 that began |\n",
		"| verify | not started |  |  |  | 0 of 0 that began |\n",
		"[workflow run](https://github.com/hospital/cutover/actions/runs/777), attempt 1",
		"[artifacts](https://github.com/hospital/cutover/actions/runs/777#artifacts)",
		"  section change\n  step-0 :done, ", "  step-1 :crit, ",
		"To go on: start this workflow with *do* `run` and *run* `20261126-080000-000-abcd`, or call `phasegate run plans/move.yaml --run 20261126-080000-000-abcd`\n",
		"To take it back: start this workflow with *do* `rollback` and *run* `20261126-080000-000-abcd`",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
}

func TestAChartShowsNoMoreThanItCan(t *testing.T) {
	t.Parallel()
	job, _ := jobIn(t)
	page := job.page(told(mostBars + 40))
	if bars := strings.Count(page, "  step-"); bars != mostBars || !strings.Contains(page, "*40 more steps are in the journal.*") {
		t.Errorf("%d bars:\n%s", bars, page)
	}
	if len(page) > citest.MostSummary {
		t.Errorf("the page has %d bytes", len(page))
	}
}

// A downtime beyond the phase's budget is marked, and a failed step at its line of
// the plan, as the repository names it wherever the step works.
func TestWhatWentWrongIsMarkedAtThePlaceInTheRepository(t *testing.T) {
	t.Parallel()
	job, log := jobIn(t)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	job.Workspace = filepath.Dir(here)
	observer := job.Observe(func(string) (string, int, int) { return "move.yaml", 7, 9 })
	for _, e := range told(2) {
		observer.Event(e)
	}
	observer.Warn("step-2", "rows are in a file")
	observer.Warn("", "an earlier run is left")
	file := filepath.Base(here) + "/move.yaml"
	for _, want := range []string{
		"::error file=" + file + ",line=7,col=9,title=change/step-1 failed::why not\n",
		"::error title=downtime::phase change: users were without the service for 1m1.5s of 1m0s\n",
		"::warning file=" + file + ",line=7,col=9,title=step-2::rows are in a file\n",
		"::warning title=phasegate::an earlier run is left\n",
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}
