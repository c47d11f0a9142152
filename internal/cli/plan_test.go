package cli

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/runner/journal"
)

func TestThePreviewOfTheCutOverSaysWhatItWouldDoAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t, 40, auth0.Enterprise)
	before := s.contents()
	place := s.database("phasegate")
	s.environ = append(s.environ, "PHASEGATE_JOURNAL="+place)
	output := s.phasegate(0, "plan", s.plan, "--format", "json")
	if _, err := journal.PeekPostgres(t.Context(), place); !errors.Is(err, journal.ErrNeverUsed) {
		t.Errorf("the preview touched the journal's database: %v", err)
	}
	var shown preview
	if err := json.Unmarshal([]byte(output), &shown); err != nil {
		t.Fatalf("%v in %s", err, output)
	}
	if shown.Unread != "" {
		t.Errorf("a database without runs cannot be read: %s", shown.Unread)
	}
	steps := map[string]stepPreview{}
	for _, phase := range shown.Phases {
		for _, step := range slices.Concat(phase.Gates, phase.Steps, phase.Rollback) {
			if step.Unknown != "" {
				t.Errorf("step %s: %s", step.ID, step.Unknown)
			}
			steps[step.ID] = step
		}
	}
	for id, want := range map[string]string{
		"backup":         "dump database",
		"stage":          "copy database",
		"stop-api":       "control stop",
		"migrate-schema": "create table public.hospitals",
		"users":          "make 38 accounts in connection Username-Password-Authentication; 0 of 38 users have one",
		"put-back":       "in one transaction rename it, and rename <stage.database> to",
		"salvage":        "<put-back.replaced>",
		"column-added":   "from information_schema.columns",
	} {
		if does := strings.Join(steps[id].Does, "\n"); !strings.Contains(does, want) {
			t.Errorf("step %s would %q, want %q", id, does, want)
		}
	}
	if shown.DiskBytes < 1<<20 || steps["users"].DurationMS < 1000 {
		t.Errorf("%d bytes are needed, the users take %d ms", shown.DiskBytes, steps["users"].DurationMS)
	}
	if last := shown.Rollbacks[len(shown.Rollbacks)-1]; len(last.Loses) == 0 || len(last.Stays) == 0 || len(last.Hooks) == 0 {
		t.Errorf("rollback %+v", last)
	}
	if differences := pg.Differences(before, s.contents()); len(differences) > 0 || s.box.Accounts() > 0 {
		t.Errorf("the preview changed the database: %v, or made accounts: %d", differences, s.box.Accounts())
	}
	for what, canary := range s.canaries() {
		if strings.Contains(output, canary) {
			t.Errorf("the preview holds %s", what)
		}
	}
}
