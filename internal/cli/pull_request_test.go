package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// A pullRequest is this repository's plans in a job of validate.yml.
type pullRequest struct {
	*job
	steps map[string]string // scripts by name
}

func newPullRequest(t *testing.T) *pullRequest {
	t.Helper()
	text, err := os.ReadFile("../../.github/workflows/validate.yml")
	if err != nil {
		t.Fatal(err)
	}
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct{ Name, Run string }
		}
	}
	if err := yaml.Unmarshal(text, &workflow); err != nil {
		t.Fatal(err)
	}
	p := &pullRequest{job: newJob(t, "", history()), steps: map[string]string{}}
	for _, step := range workflow.Jobs["plans"].Steps {
		p.steps[step.Name] = step.Run
	}
	for _, folder := range []string{"plans", "schema", ".github/workflows"} {
		if err := os.CopyFS(p.path(folder), os.DirFS("../../"+folder)); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// carries out a step, which must end with code.
func (p *pullRequest) does(name string, code int) string {
	p.Helper()
	if p.steps[name] == "" {
		p.Fatalf("validate.yml has no step %q", name)
	}
	return p.step("exec 1>&2\n" + p.steps[name]).ends(code)
}

// A pull request is told on the lines of its plans what is wrong with them, shows
// what each would do, and fails where a workflow is older than its plan.
func TestAPullRequestIsHeldToItsPlans(t *testing.T) {
	t.Parallel()
	p := newPullRequest(t)
	p.does("Validate", ExitDone)
	p.does("Show what each would do", ExitDone)
	for _, name := range []string{"api-key-removal", "auth0-migration", "auth0-migration-online", "auth0-tenant", "password-resets"} {
		if !strings.Contains(p.page(), "## "+name+"\n") {
			t.Errorf("the page lacks plan %s", name)
		}
	}
	p.does("Hold the workflows to their plans", ExitDone)

	p.edit("plans/api-key-removal.yaml", "  - name: pre-check", "  - name: pre-check-now") // the first of the workflows
	if said := p.does("Hold the workflows to their plans", ExitFailed); !strings.Contains(said, "api-key-removal.yml is stale") {
		t.Errorf("of a stale workflow it says:\n%s", said)
	}
	p.edit("plans/auth0-migration.yaml", "    steps:", "    stepps:")
	if said := p.does("Validate", ExitInvalid); !strings.Contains(said, "\n::error file=plans/auth0-migration.yaml,line=") && !strings.HasPrefix(said, "::error file=plans/auth0-migration.yaml,line=") {
		t.Errorf("of a wrong plan it says:\n%s", said)
	}
	p.does("Write what code scanning reads", ExitDone)
	sarif, err := os.ReadFile(p.path("plans.sarif"))
	if err != nil || !strings.Contains(string(sarif), "stepps") {
		t.Errorf("code scanning reads %s, %v", fmt.Sprintf("%.300s", sarif), err)
	}
}
