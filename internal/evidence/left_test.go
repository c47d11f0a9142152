package evidence

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/tasks"
)

const (
	testRun  = "20261122-215118-042-3f9a"
	planText = `version: 1
name: toy
env: { DATABASE_URL: { secret: true } }
phases:
  - name: schema
    irreversible: a test
    steps:
      - { id: apply, task: schema/apply, with: { dsn: "${{ env.DATABASE_URL }}", dir: ../schema } }
`
	backupText   = "what pg_dump wrote"
	reportText   = `{"user":"7d1e","outcome":"created"}` + "\n"
	rehearseText = `{"locks":[]}`
)

// left is what a run leaves: a journal that a real store wrote, a plan with its
// files, a backup outside of the run's directory, and reports in it.
type left struct {
	*testing.T
	dir  string
	plan *plan.Plan
}

func newLeft(t *testing.T) *left {
	t.Helper()
	l := &left{T: t, dir: t.TempDir()}
	l.write("plans/plan.yaml", planText)
	l.write("schema/1.sql", "create table a (id int);")
	l.write("schema/2.sql", "create table b (id int);")
	l.write("schema/atlas.sum", "h1:")
	l.write("backups/app.dump", backupText)
	l.write("backups/app.dump.json", `{"sha256":"`+hexSum([]byte(backupText))+`"}`)
	l.write("runs/"+testRun+"/report.ndjson", reportText)
	l.write("runs/"+testRun+"/rehearsal.json", rehearseText)
	l.plan = l.load()
	l.journal(l.events())
	return l
}

func (l *left) path(name string) string { return filepath.Join(l.dir, filepath.FromSlash(name)) }

func (l *left) write(name, content string) {
	l.Helper()
	if err := os.MkdirAll(filepath.Dir(l.path(name)), 0o700); err != nil {
		l.Fatal(err)
	}
	if err := os.WriteFile(l.path(name), []byte(content), 0o600); err != nil {
		l.Fatal(err)
	}
}

func (l *left) load() *plan.Plan {
	l.Helper()
	p, findings, err := plan.Load(l.path("plans/plan.yaml"), tasks.All())
	if err != nil || p == nil {
		l.Fatal(err, findings)
	}
	return p
}

func (l *left) events() []journal.Event {
	l.Helper()
	opened := journal.Event{
		Type: journal.Opened, Contract: journal.Contract, Command: "run", Plan: "toy",
		File: l.plan.Path, Digest: l.plan.Digest, Phases: []string{"schema"},
	}
	step := func(id string, receipt map[string]any) []journal.Event {
		text, err := json.Marshal(receipt)
		if err != nil {
			l.Fatal(err)
		}
		e := journal.Event{Phase: "schema", Step: id, Kind: journal.KindStep, Attempt: 1}
		start, finish := e, e
		start.Type = journal.StepStarted
		finish.Type, finish.Status, finish.Receipt = journal.StepFinished, journal.Done, text
		return []journal.Event{start, finish}
	}
	events := []journal.Event{opened, {Type: journal.PhaseStarted, Phase: "schema"}}
	events = append(events, step("backup", map[string]any{
		"file": l.path("backups/app.dump"), "metadata": l.path("backups/app.dump.json"),
		"sha256": hexSum([]byte(backupText)),
	})...)
	events = append(events, step("users", map[string]any{"report": "elsewhere/" + testRun + "/report.ndjson", "created": 1})...)
	events = append(events, step("rehearse", map[string]any{
		"report":        l.path("runs/" + testRun + "/rehearsal.json"),
		"report_sha256": hexSum([]byte(rehearseText)),
	})...)
	return append(events,
		journal.Event{Type: journal.PhaseFinished, Phase: "schema", Status: journal.Done},
		journal.Event{Type: journal.Closed, Status: journal.Done})
}

// journal has a store write the events as a run's.
func (l *left) journal(events []journal.Event) {
	l.Helper()
	if err := os.RemoveAll(l.path("runs/" + testRun + "/" + journal.FileName)); err != nil {
		l.Fatal(err)
	}
	w, err := journal.NewDir(l.path("runs")).Create(l.Context(), testRun)
	if err != nil {
		l.Fatal(err)
	}
	defer w.Close()
	for i := range events {
		events[i].Run = testRun
	}
	if _, err := w.Append(l.Context(), events...); err != nil {
		l.Fatal(err)
	}
}

func (l *left) record() Record {
	l.Helper()
	lines, err := journal.NewDir(l.path("runs")).Lines(l.Context(), testRun)
	if err != nil {
		l.Fatal(err)
	}
	return Record{
		Run: testRun, Lines: lines, Files: Disk{Run: testRun, Dir: l.path("runs/" + testRun)},
		Plan: Plan{Path: l.plan.Path, Digest: l.load().Digest},
	}
}

func (l *left) look() *Report {
	l.Helper()
	return l.lookAt(l.record())
}

func (l *left) lookAt(r Record) *Report {
	l.Helper()
	report, err := Look(l.Context(), r)
	if err != nil {
		l.Fatal(err)
	}
	return report
}

func (l *left) pack() string {
	l.Helper()
	to := filepath.Join(l.TempDir(), "evidence.zip")
	if _, err := Pack(l.Context(), to, l.record(), l.plan, "v1.2.3"); err != nil {
		l.Fatal(err)
	}
	return to
}

// of returns the finding about a thing, and of a step's file at a base name.
func (l *left) of(r *Report, what, step, base string) Finding {
	l.Helper()
	for _, f := range r.Findings {
		if f.What == what && f.Step == step && (base == "" || filepath.Base(f.Path) == base) {
			return f
		}
	}
	l.Fatalf("no finding about %s %s %s in %+v", what, step, base, r.Findings)
	return Finding{}
}
