package cli

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/ci"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/plans"
	"github.com/medlogistics/phasegate/schema"
)

// All paths of one workflow, in the order in which a cut-over would take them.
func TestActCarriesTheGeneratedWorkflowOut(t *testing.T) {
	t.Parallel()
	for _, state := range []string{ci.StateDirectory, ci.StateArtifact, ci.StatePostgres} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			r := repository(t, state, history(), history("approved bob prod"))
			if state == ci.StatePostgres {
				r.journal = postgrestest.Database(t).Reveal()
			}

			s := r.dispatch("do=preview")
			s.expect(t, map[string]string{"preview": "success"}, nil)
			digest := s.outputs["preview.digest"]
			if len(digest) != 64 || !strings.Contains(s.pages["preview"], "An approval covers digest `"+digest) {
				t.Errorf("digest %q, page:\n%s", digest, s.pages["preview"])
			}

			s = r.dispatch("do=run") // nobody has approved
			s.expect(t, map[string]string{"preview": "success", "run-look": "success", "approve-change-1": "success", "run-change": "failure"},
				map[string]string{"run-look.status": "open", "run-change.status": "waiting", "run-change.gate": "approve", "run-change.digest": digest})
			if !s.marked("change/approve waits") || !strings.Contains(s.pages["run-change"], "waits at a gate") {
				t.Errorf("marks %+v, page:\n%s", s.marks, s.pages["run-change"])
			}
			r.kept()
			if state != ci.StateDirectory { // which is one machine's
				r.moves()
			}

			inputs := []string{"do=run"}
			if state == ci.StateArtifact {
				inputs = append(inputs, "journal="+s.outputs["run-change.place"])
			}
			run := s.outputs["run-look.run"]
			s = r.dispatch(append(inputs, "from=change")...) // now bob has
			s.expect(t, map[string]string{"preview": "success", "approve-change-1": "success", "run-change": "success"},
				map[string]string{"run-change.status": "done", "run-change.run": run})
			if !strings.Contains(s.pages["run-change"], "gantt") || strings.Contains(fmt.Sprint(s.pages, s.outputs), "s3cret") {
				t.Errorf("page:\n%s", s.pages["run-change"])
			}
			r.kept()

			if state != ci.StateDirectory {
				r.moves()
			}
			inputs[0] = "do=rollback"
			if state == ci.StateArtifact {
				inputs[1] = "journal=" + s.outputs["run-change.place"]
			}
			s = r.dispatch(inputs...)
			s.expect(t, map[string]string{"preview": "success", "rollback": "success"}, map[string]string{"rollback.status": "rolled_back"})

			s = r.dispatch("do=preview")
			measured := strings.Contains(s.pages["preview"], "when each phase of it was last taken back")
			if measured == (state == ci.StateArtifact) || !strings.Contains(s.pages["preview"], "Started by alice") || !strings.Contains(s.pages["preview"], "- reason: `a test`\n") {
				t.Errorf("the last preview's page:\n%s", s.pages["preview"])
			}
			if kept, err := filepath.Glob(r.path("artifacts", fmt.Sprint(r.count), "preview-1", "preview.json")); err != nil || len(kept) != 1 {
				t.Errorf("the preview is not kept: %v %v", kept, err)
			}
		})
	}
}

// kept holds that the workflow left its events, and its journal only where that
// is how it is handed on.
func (r *acted) kept() {
	r.Helper()
	for name, want := range map[string]bool{"events-*": true, "journal-*": r.state == ci.StateArtifact} {
		found, err := filepath.Glob(r.path("artifacts", fmt.Sprint(r.count), name, "*"))
		if err != nil || (len(found) > 0) != want {
			r.Errorf("workflow %d kept %v", r.count, found)
		}
	}
}

func TestActTakesBackWhatFailsAndLeavesTheRest(t *testing.T) {
	t.Parallel()
	r := repository(t, ci.StateDirectory, history("approved bob prod"))
	r.service("second", `echo "::set-output name=status::done"; exit 1`)
	s := r.dispatch("do=run")
	s.expect(t, map[string]string{"preview": "success", "run-look": "success", "approve-change-1": "success", "run-change": "failure"},
		map[string]string{"run-change.status": "rolled_back"})
	if !s.marked("change/second failed") || !strings.Contains(s.log, "nothing is taken back: run ") {
		t.Errorf("marks %+v:\n%s", s.marks, s.log)
	}
	if _, err := os.Stat(r.path("back", "stopped")); err != nil {
		t.Errorf("it is not taken back: %v", err)
	}
}

// README's five steps, but for the release, which is the program at hand, and the
// settings, of which a rehearsal needs none.
func TestActRehearsesFromAnEmptyRepository(t *testing.T) {
	t.Parallel()
	if os.Getenv("PHASEGATE_SOAK") == "" {
		t.Skip("rehearses for a minute: set PHASEGATE_SOAK=1")
	}
	r := emptyRepository(t, ci.StatePostgres, history())
	for folder, files := range map[string]fs.FS{"plans": plans.FS, "schema": schema.FS} {
		if err := os.CopyFS(r.path("repo", folder), files); err != nil {
			t.Fatal(err)
		}
	}
	r.calledThere(
		[]string{"git", "init", "-q"},
		[]string{"phasegate", "workflow", "plans/auth0-migration.yaml", "--phasegate", "installed", "--out", ".github/workflows/toy.yml"},
		[]string{"git", "add", "."},
		[]string{"git", "-c", "user.name=Ops", "-c", "user.email=ops@example.org", "commit", "-q", "-m", "Drive the cut-over from GitHub Actions"})
	s := r.dispatch("do=rehearse", "from=pre-check", "to=verify")
	s.expect(t, map[string]string{"preview": "success", "rehearse": "success"}, nil)
	if !strings.Contains(s.log, "The rehearsal held") {
		t.Errorf("it says:\n%s", s.log)
	}
}

// A runner that is lost carries out no later step, and has told nobody how far it
// came. Another machine goes on with the run by the journal in PostgreSQL, and
// does nothing twice.
func TestActGoesOnOnAnotherMachineWhereARunnerWasLost(t *testing.T) {
	t.Parallel()
	r := repository(t, ci.StatePostgres, history("approved bob prod"))
	all := map[string]string{"preview": "success", "run-look": "success", "approve-change-1": "success", "run-change": "success"}

	r.journal = ""
	s := r.dispatch("do=run")
	s.expect(t, map[string]string{"preview": "success", "run-look": "failure"}, nil)
	if !strings.Contains(s.log, "PHASEGATE_JOURNAL: is not set: give the environment a secret of that name") {
		t.Errorf("without a journal it says:\n%s", s.log)
	}
	r.journal = "postgres://phasegate:pw@127.0.0.1:1/journal?connect_timeout=2"
	s = r.dispatch("do=run")
	s.expect(t, map[string]string{"preview": "success", "run-look": "failure"}, nil)
	if !s.marked("check PHASEGATE_JOURNAL") {
		t.Errorf("with a journal out of reach the marks are %+v", s.marks)
	}

	r.journal = postgrestest.Database(t).Reveal()
	r.service("first", `echo once >>times; touch stopped`)
	r.service("second", `kill -KILL $PPID; exit 1`)
	s = r.dispatch("do=run", "if_stopped=never")
	lost := map[string]string{"preview": "success", "run-look": "success", "approve-change-1": "success", "run-change": "failure"}
	s.expect(t, lost, map[string]string{"run-look.status": "open", "run-change.status": ""})
	run := s.outputs["run-look.run"]

	r.moves()
	r.service("second", calm)
	s = r.dispatch("do=run", "run="+run)
	s.expect(t, all, map[string]string{"run-change.status": "done", "run-change.run": run})
	if times, err := os.ReadFile(r.path("first", "times")); err != nil || string(times) != "once\n" {
		t.Errorf("the first step was carried out %q, %v", times, err)
	}
}

// A journal that is not the one that was kept is not gone on with, nor is one that
// is missing; and an attempt that would forget what the first one did is refused.
func TestActRefusesAJournalThatIsNotTheOneThatWasKept(t *testing.T) {
	t.Parallel()
	r := repository(t, ci.StateArtifact, history("approved bob prod"))
	s := r.dispatch("do=run", "to=look")
	s.expect(t, map[string]string{"preview": "success", "run-look": "success"}, map[string]string{"run-look.status": "open"})
	place := "journal=" + s.outputs["run-look.place"]
	kept := r.path("artifacts", "1", "journal-run-look-1")
	refused := map[string]string{"preview": "success", "approve-change-1": "success", "run-change": "failure"}

	r.attempt = 2
	s = r.dispatch("do=run", "from=change", place)
	s.expect(t, refused, map[string]string{"run-change.status": ""})
	if !s.marked("cannot be run again: it would forget what its first attempt did") {
		t.Errorf("the second attempt's marks: %+v", s.marks)
	}
	r.attempt = 0

	tar, err := os.ReadFile(filepath.Join(kept, "journal.tar"))
	if err != nil {
		t.Fatal(err)
	}
	r.write("tampered", string(tar)+"x")
	if err := os.Rename(r.path("tampered"), filepath.Join(kept, "journal.tar")); err != nil {
		t.Fatal(err)
	}
	s = r.dispatch("do=run", "from=change", place)
	s.expect(t, refused, map[string]string{"run-change.status": ""})
	if !s.marked("is not the one that was kept") {
		t.Errorf("marks of a journal that was changed: %+v", s.marks)
	}

	if err := os.RemoveAll(kept); err != nil {
		t.Fatal(err)
	}
	s = r.dispatch("do=run", "from=change", place)
	s.expect(t, refused, map[string]string{"run-change.status": ""})
	if _, err := os.Stat(r.path("first", "stopped")); err == nil {
		t.Error("it went on without the journal")
	}
}

// A workflow that is older than the plan lets nothing through that the plan holds
// back: an approval that the workflow does not ask for was given by nobody.
func TestActWaitsWhereAStaleWorkflowLacksAnApproval(t *testing.T) {
	t.Parallel()
	r := repository(t, ci.StateDirectory, history("approved bob prod"))
	r.edit("repo/plan.yaml", "  - name: change\n", `  - name: between
    irreversible: it is a toy
    gates:
      - { id: new, task: gate/approval, with: { environment: new } }
    steps:
      - { id: early, task: service/stop, with: { service: "${{ env.FIRST }}" } }
  - name: change
`)
	s := r.dispatch("do=run")
	s.expect(t, map[string]string{"preview": "success", "run-look": "success", "approve-change-1": "success", "run-change": "failure"}, nil)
	if !s.marked("between") {
		t.Errorf("marks %+v", s.marks)
	}
	if _, err := os.Stat(r.path("first", "stopped")); err == nil {
		t.Error("the new phase was carried out without its approval")
	}
}
