package cli

import (
	"archive/zip"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/evidence"
	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// The whole cut-over with its journal in PostgreSQL, its rollback, and what an
// audit says of both: here, and from the bundle on a machine with nothing else.
func TestCutOverIsProvenByItsEvidence(t *testing.T) {
	t.Parallel()
	s := newStage(t, 30, auth0.Unlimited)
	place := s.database("phasegate")
	s.environ = append(s.environ, "PHASEGATE_JOURNAL="+place)
	s.phasegate(ExitDone, "run", s.plan)
	s.phasegate(ExitDone, "rollback", s.plan)
	run := s.onlyRun(place)
	seen := s.audited(ExitDone, run)
	for _, file := range []string{"backup", "rehearse-schema", "users", "database-and-tenant"} {
		if len(of(seen, file)) == 0 {
			t.Errorf("nothing was said of the files of step %s: %+v", file, seen.Findings)
		}
	}
	if seen.Count(evidence.Missing, evidence.Differs, evidence.Unproven) > 0 || of(seen, "")["end"].Result != evidence.Fits {
		t.Errorf("%+v", seen.Findings)
	}

	bundle := filepath.Join(t.TempDir(), "evidence.zip")
	s.phasegate(ExitDone, "audit", run, "--export", bundle)
	s.bundleHoldsNoSecretsAndNoPeople(bundle)
	far := &stage{TB: t, box: s.box, dir: t.TempDir()}
	offline := far.audited(ExitDone, bundle)
	if offline.Last != seen.Last || offline.Count(evidence.Missing) != 5 { // the backup and the four files of the salvage
		t.Errorf("from the bundle: %+v", offline)
	}

	backup := s.backup()
	s.flip(backup)
	if first := s.audited(ExitFailed, run).First(); first.Step != "backup" {
		t.Errorf("the backup was altered: %+v", first)
	}
	if err := os.Remove(backup); err != nil {
		t.Fatal(err)
	}
	if without := s.audited(ExitDone, run); without.Count(evidence.Missing) != 1 {
		t.Errorf("the backup was removed: %+v", without.Findings)
	}
	s.inJournal(place, `delete from phasegate.events where seq = (select max(seq) from phasegate.events)`)
	if first := s.audited(ExitFailed, run).First(); first.Event != seen.Events {
		t.Errorf("the last event was deleted: %+v", first)
	}
	s.inJournal(place, `update phasegate.events set line = convert_to(replace(convert_from(line, 'UTF8'), '"attempt":1', '"attempt":2'), 'UTF8') where seq = 3`)
	if first := s.audited(ExitFailed, run).First(); first.Event != 4 {
		t.Errorf("event 3 was altered: %+v", first)
	}
}

// of returns the findings about a step's files by their names, and for no step
// those about the run by what they are about.
func of(r *evidence.Report, step string) map[string]evidence.Finding {
	found := map[string]evidence.Finding{}
	for _, f := range r.Findings {
		if f.Step == step && step != "" {
			found[filepath.Base(f.Path)] = f
		} else if f.Step == step {
			found[f.What] = f
		}
	}
	return found
}

func (s *stage) audited(code int, name string) *evidence.Report {
	s.Helper()
	cmd := s.command(s.Context(), "audit", name, "--json")
	output, err := cmd.Output()
	if got := cmd.ProcessState.ExitCode(); got != code {
		s.Fatalf("audit exited with %d, want %d: %v\n%s", got, code, err, output)
	}
	var report evidence.Report
	if err := json.Unmarshal(output, &report); err != nil {
		s.Fatal(err)
	}
	return &report
}

func (s *stage) onlyRun(place string) (run string) {
	s.Helper()
	conn := s.journalOf(place)
	defer conn.Close(context.Background())
	if err := conn.QueryRow(s.Context(), `select run from phasegate.runs`).Scan(&run); err != nil {
		s.Fatal(err)
	}
	return run
}

func (s *stage) inJournal(place, statement string) {
	s.Helper()
	conn := s.journalOf(place)
	defer conn.Close(context.Background())
	if tag, err := conn.Exec(s.Context(), statement); err != nil || tag.RowsAffected() != 1 {
		s.Fatal(tag, err)
	}
}

func (s *stage) journalOf(place string) *pgx.Conn {
	s.Helper()
	conn, err := pgx.Connect(s.Context(), place)
	if err != nil {
		s.Fatal(err)
	}
	return conn
}

// backup is the only backup's file.
func (s *stage) backup() string {
	s.Helper()
	found, err := filepath.Glob(filepath.Join(s.box.Env()["BACKUP_DIR"], "medlogistics-*.json"))
	if err != nil || len(found) != 1 {
		s.Fatal(found, err)
	}
	return strings.TrimSuffix(found[0], ".json")
}

func (s *stage) flip(path string) {
	s.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		s.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		s.Fatal(err)
	}
}

func (s *stage) bundleHoldsNoSecretsAndNoPeople(path string) {
	s.Helper()
	r, err := zip.OpenReader(path)
	if err != nil {
		s.Fatal(err)
	}
	defer r.Close()
	canaries := s.canaries()
	artifacts := 0
	for _, f := range r.File {
		entry, err := f.Open()
		if err != nil {
			s.Fatal(err)
		}
		text, err := io.ReadAll(entry)
		if err != nil {
			s.Fatal(err)
		}
		if strings.HasPrefix(f.Name, "artifacts/") {
			artifacts++
		}
		for what, canary := range canaries {
			if strings.Contains(strings.ToLower(string(text)), strings.ToLower(canary)) {
				s.Errorf("%s holds %s", f.Name, what)
			}
		}
	}
	if artifacts < 3 {
		s.Errorf("%d artifacts in the bundle", artifacts)
	}
}

func TestTheFirstThatDoesNotFitIsNamedByItsEvent(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"journal", "plan", "file", "approval"} {
		err := unfit(&evidence.Report{Run: "run-1"}, &evidence.Finding{What: what, Event: 7, Detail: "no"})
		if !strings.Contains(err.Error(), "the first event that does not fit is event 7: "+what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
