package cli

import (
	"os/exec"
	"path/filepath"
	"testing"
)

func TestTheShippedPlansWorkflowsAreFresh(t *testing.T) {
	t.Parallel()
	plans, err := filepath.Glob("../../plans/*.yaml")
	if err != nil || len(plans) == 0 {
		t.Fatalf("plans: %v, %v", plans, err)
	}
	for _, plan := range plans {
		flags := []string{"workflow", "plans/" + filepath.Base(plan), "--check", "--phasegate", "source"}
		if name := filepath.Base(plan); name == "api-key-removal.yaml" || name == "password-resets.yaml" {
			flags = append(flags, "--after", "plans/auth0-migration.yaml")
		}
		cmd := exec.CommandContext(t.Context(), "phasegate", flags...)
		cmd.Dir = "../.."
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, said)
		}
	}
}
