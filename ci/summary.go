package ci

import (
	"fmt"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/runner/journal"
)

// page is the page of a run, in Markdown: where it stands, its phases, what
// was when, and what to do next.
func (j *Job) page(events []journal.Event) string {
	state := journal.Fold(events)
	if state == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "## %s: %s\n\n", Markdown(state.Plan), sentence(state.Status))
	if state.Reason != "" {
		fmt.Fprintf(&b, "%s\n\n", Markdown(state.Reason))
	}
	if state.Hint != "" {
		fmt.Fprintf(&b, "> %s\n\n", Markdown(state.Hint))
	}
	page := fmt.Sprintf("%s/%s/actions/runs/%s", j.Server, j.Repository, j.RunID)
	fmt.Fprintf(&b, "Run `%s` of %s, plan digest `%.12s`, [workflow run](%s), attempt %d. All events are in its [artifacts](%s#artifacts).\n\n",
		state.Run, MarkdownCode(state.File), state.Digest, page, j.Attempt, page)
	phasesTable(&b, state)
	chart(&b, events)
	next(&b, state)
	return b.String()
}

// sentence says how a run stands.
func sentence(status journal.Status) string {
	switch status {
	case journal.Done:
		return "done"
	case journal.Open:
		return "the phases that were asked for are done"
	case journal.Failed:
		return "failed, and nothing was taken back"
	case journal.Waiting:
		return "waits at a gate; nothing is lost"
	case journal.Interrupted:
		return "interrupted at a safe point"
	case journal.RolledBack:
		return "rolled back"
	case journal.RollingBack:
		return "being rolled back"
	case journal.RollbackIncomplete:
		return "the rollback is incomplete: a person is needed"
	}
	return string(status)
}

// next says how the run is taken on, and how it is taken back: by the workflow,
// or by a call at a terminal that reaches its journal.
func next(b *strings.Builder, s *journal.State) {
	way := func(title, verb string) {
		fmt.Fprintf(b, "\n%s: start this workflow with *do* `%s` and *run* `%s`, or call %s\n",
			title, verb, s.Run, MarkdownCode("phasegate "+verb+" "+s.File+" --run "+s.Run))
	}
	switch s.Status {
	case journal.Failed, journal.Waiting, journal.Interrupted, journal.Open, journal.Running:
		way("To go on", "run")
	case journal.RollingBack, journal.RollbackIncomplete:
		way("To go on with taking it back", "rollback")
		return
	}
	if s.Changed() && s.Status != journal.RolledBack {
		way("To take it back", "rollback")
	}
}

func phasesTable(b *strings.Builder, state *journal.State) {
	b.WriteString("| phase | status | took | downtime seen | taken back | steps |\n|---|---|---|---|---|---|\n")
	for _, phase := range state.Phases {
		status, back := string(phase.Status), string(phase.Rollback)
		if status == "" {
			status = "not started"
		}
		done := 0
		for _, step := range phase.Steps {
			if step.Finished() {
				done++
			}
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %d of %d that began |\n", Markdown(phase.Name), Markdown(status),
			took(phase.DurationMS), took(phase.DowntimeMS), Markdown(back), done, len(phase.Steps))
	}
}

func took(ms int64) string {
	if ms == 0 {
		return ""
	}
	d := time.Duration(ms) * time.Millisecond
	if d >= time.Second {
		d = d.Round(100 * time.Millisecond)
	}
	return d.String()
}

// mostBars is how many steps the chart shows: Mermaid refuses charts that are
// too large, and nobody reads them.
const mostBars = 60

// A bar is what ran from when to when.
type bar struct {
	phase, name string
	kind        journal.Kind
	from, to    time.Time
	status      journal.Status
}

// chart draws what ran, as a Gantt chart of Mermaid's, which GitHub shows.
func chart(b *strings.Builder, events []journal.Event) {
	bars := bars(events)
	if len(bars) == 0 {
		return
	}
	left := 0
	if len(bars) > mostBars {
		left = len(bars) - mostBars
		bars = bars[:mostBars]
	}
	b.WriteString("\n```mermaid\ngantt\n  dateFormat x\n  axisFormat %H:%M:%S\n")
	section := ""
	for _, bar := range bars {
		name := bar.phase
		if bar.kind == journal.KindRollback {
			name = "take back " + name
		}
		if name != section {
			section = name
			fmt.Fprintf(b, "  section %s\n", inChart(section))
		}
		fmt.Fprintf(b, "  %s :%s%d, %d\n", inChart(bar.name), mark(bar.status), bar.from.UnixMilli(), bar.to.UnixMilli())
	}
	b.WriteString("```\n")
	if left > 0 {
		fmt.Fprintf(b, "\n*%d more steps are in the journal.*\n", left)
	}
}

func mark(status journal.Status) string {
	switch status {
	case journal.Done, journal.Skipped:
		return "done, "
	case journal.Failed:
		return "crit, "
	}
	return "active, "
}

// bars pairs starts with ends. What never ended lasts until the last event.
func bars(events []journal.Event) []bar {
	var all []bar
	open := map[string]int{}
	for _, e := range events {
		switch e.Type {
		case journal.StepStarted:
			open[e.Step] = len(all)
			all = append(all, bar{e.Phase, e.Step, e.Kind, e.Time, events[len(events)-1].Time, journal.Running})
		case journal.StepFinished:
			if i, ok := open[e.Step]; ok {
				all[i].to, all[i].status = e.Time, e.Status
			}
		}
	}
	return all
}

// inChart takes out what means something to Mermaid.
func inChart(text string) string {
	return strings.NewReplacer(":", " ", ";", " ", "#", " ", ",", " ", "\n", " ", "%", " ", "`", " ", "<", " ", ">", " ").Replace(text)
}
