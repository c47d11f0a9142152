package ci_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/ci"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/tasks"
)

// written is the workflow of a plan.
func written(t *testing.T, text string, change func(*ci.Workflow)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plan.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, findings, err := plan.Load(path, tasks.All())
	if err != nil || p == nil {
		t.Fatalf("%v %v", findings, err)
	}
	w := ci.Workflow{Plan: p, Path: "plan.yaml", Command: "phasegate workflow plan.yaml", State: ci.StatePostgres, Runner: "ubuntu-latest", Version: "v1.2.0"}
	if change != nil {
		change(&w)
	}
	workflow, err := w.Text()
	if err != nil {
		t.Fatal(err)
	}
	return workflow
}

// A workflow as far as the rules look at it.
type workflow struct {
	Permissions yaml.Node
	Concurrency map[string]any
	On          yaml.Node
	Jobs        map[string]workflowJob
}

type workflowJob struct {
	Name        string
	Needs       yaml.Node
	If          string
	Environment string
	Timeout     int `yaml:"timeout-minutes"`
	Permissions map[string]string
	Concurrency map[string]any
	Secrets     any
	Steps       []struct {
		ID, Name, Uses, Run, If string

		Timeout int `yaml:"timeout-minutes"`
		With    map[string]any
		Env     map[string]string
	}
}

func (j workflowJob) needs() []string {
	var all []string
	if j.Needs.Decode(&all) != nil {
		all = []string{j.Needs.Value}
	}
	return all
}

func parsed(t *testing.T, text string) workflow {
	t.Helper()
	var w workflow
	if err := yaml.Unmarshal([]byte(text), &w); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(w.Jobs) == 0 {
		t.Fatal("there are no jobs")
	}
	return w
}

var pinned = regexp.MustCompile(`^ *(- )?uses: (\./[\w./-]+|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$`)

// broken are the rules of zizmor's and ours that a workflow breaks.
func broken(t *testing.T, text string) []string {
	t.Helper()
	var found []string
	fault := func(rule, format string, args ...any) { found = append(found, rule+": "+fmt.Sprintf(format, args...)) }
	w := parsed(t, text)
	if w.Permissions.Kind != yaml.MappingNode || len(w.Permissions.Content) > 0 {
		fault("excessive-permissions", "at the top")
	}
	for _, trigger := range []string{"pull_request_target", "workflow_run"} {
		if strings.Contains(text, trigger) {
			fault("dangerous-triggers", "%s", trigger)
		}
	}
	for number, line := range strings.Split(text, "\n") {
		if strings.Contains(line, "uses: ") && !pinned.MatchString(line) {
			fault("unpinned-uses", "line %d: %s", number+1, line)
		}
		if strings.Contains(line, "GITHUB_ENV") {
			fault("github-env", "line %d: %s", number+1, line)
		}
		if strings.Contains(line, "queue:") || strings.Contains(line, "deployment:") || strings.Contains(line, "${{ env.") {
			fault("not-everywhere", "line %d: %s", number+1, line)
		}
		if strings.Contains(line, ": write") && !strings.Contains(line, "# ") {
			fault("undocumented-permissions", "line %d: %s", number+1, line)
		}
	}
	for id, job := range w.Jobs {
		found = append(found, job.broken(id)...)
	}
	return found
}

func (j workflowJob) broken(id string) []string {
	var found []string
	fault := func(rule, format string, args ...any) {
		found = append(found, rule+": job "+id+": "+fmt.Sprintf(format, args...))
	}
	switch {
	case j.Permissions == nil:
		fault("excessive-permissions", "none of its own")
	case j.Timeout == 0:
		fault("timeout", "none")
	case j.Secrets != nil:
		fault("secrets-inherit", "secrets")
	case j.Name == "":
		fault("anonymous-definition", "no name")
	}
	for _, step := range j.Steps {
		if step.Name == "" {
			fault("anonymous-definition", "a step has no name")
		}
		if strings.Contains(step.Run, "${{") {
			fault("template-injection", "%s", step.Name)
		}
		if strings.HasPrefix(step.Uses, "actions/checkout@") && step.With["persist-credentials"] != false {
			fault("artipacked", "%s", step.Name)
		}
		if strings.HasPrefix(step.Uses, "actions/upload-artifact@") {
			if name := fmt.Sprint(step.With["name"]); !strings.Contains(name, "${{ github.run_attempt }}") {
				fault("artifact-twice", "%s", name)
			}
			if path := fmt.Sprint(step.With["path"]); strings.HasPrefix(path, ".") || strings.Contains(path, "/.") {
				fault("hidden-artifact", "%s", path)
			}
		}
		for name, value := range step.Env {
			if strings.Contains(value, "secrets.") && j.Environment == "" {
				fault("secrets-outside-env", "%s", name)
			}
		}
	}
	return found
}

// driven are the rules of a workflow that drives a plan.
func driven(t *testing.T, text string) []string {
	t.Helper()
	var found []string
	if writes := regexp.MustCompile(`(?m)^ +(\S+): write\b`).FindAllStringSubmatch(text, -1); slices.ContainsFunc(writes, func(m []string) bool { return m[1] != "id-token" }) {
		found = append(found, fmt.Sprintf("it may write more than it needs: %q", writes))
	}
	for id, job := range parsed(t, text).Jobs {
		works := strings.HasPrefix(id, "run-") || id == "rollback"
		if works && job.Concurrency["cancel-in-progress"] != false {
			found = append(found, id+" may be cancelled by another")
		}
		if group := job.Concurrency["group"]; works && group != "phasegate-moves-${{ inputs.environment }}" {
			found = append(found, fmt.Sprintf("%s may work beside another, in group %v", id, group))
		}
		// A job starts only when none before it failed and nobody cancelled, and
		// only behind a preview whose digest arrived.
		if strings.HasPrefix(id, "run-") || strings.HasPrefix(id, "approve-") {
			if !strings.HasPrefix(strings.TrimPrefix(job.If, "${{ "), "!cancelled() && !failure() && inputs.do == 'run' && needs.preview.outputs.digest != '' && ") {
				found = append(found, id+" starts if "+job.If)
			}
		}
		if strings.HasPrefix(id, "run-") && job.Permissions["actions"] != "read" {
			found = append(found, id+" may not read who approved")
		}
		if id != "preview" && !slices.Contains(job.needs(), "preview") {
			found = append(found, id+" does not wait for the preview")
		}
		for _, step := range job.Steps {
			// What takes back goes on while the workflow is being cancelled: the
			// runner asks its own condition again, and leaves it alone if it holds.
			if strings.Contains(step.Run, "--if-stopped") && !strings.HasPrefix(step.If, "${{ always() &&") {
				found = append(found, id+": step "+step.Name+" would itself be cancelled")
			}
			if strings.HasPrefix(id, "run-") && step.ID == "run" && (step.Timeout == 0 || step.Timeout+60 > job.Timeout) {
				found = append(found, id+": step "+step.Name+" leaves the job no time to take anything back")
			}
			script := strings.TrimSpace(step.Run)
			last := strings.TrimSpace(script[strings.LastIndex(script, "\n")+1:])
			if !strings.Contains(script, "phasegate run ") && !strings.Contains(script, "phasegate rollback ") && !strings.Contains(script, "phasegate rehearse ") {
				continue
			}
			if !strings.HasPrefix(last, "exec phasegate ") || !strings.Contains(last, `--expect-digest "$DIGEST"`) {
				found = append(found, fmt.Sprintf("%s: step %s does not end in exec with the digest: %s", id, step.Name, last))
			}
		}
	}
	return found
}

func TestTheRepositorysWorkflowsKeepTheRules(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../.github/workflows/*.yml")
	if err != nil || len(files) < 4 {
		t.Fatalf("%v %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range broken(t, string(text)) {
			t.Errorf("%s: %s", file, fault)
		}
	}
}

func TestEveryGeneratedWorkflowKeepsTheRules(t *testing.T) {
	t.Parallel()
	for _, state := range []string{ci.StatePostgres, ci.StateDirectory, ci.StateArtifact} {
		text := written(t, approvals, func(w *ci.Workflow) { w.State, w.Runner, w.OIDC = state, "[self-hosted, cutover]", true })
		for _, fault := range append(broken(t, text), driven(t, text)...) {
			t.Errorf("%s: %s", state, fault)
		}
		if hosts := strings.Contains(text, "phasegate-runs"); hosts != (state == ci.StateArtifact) {
			t.Errorf("%s: the journal is in the checkout: %t", state, hosts)
		}
	}
}

// What breaks a rule is found: the test can fail.
func TestTheRulesFindWhatBreaksThem(t *testing.T) {
	t.Parallel()
	good := written(t, approvals, nil)
	for _, c := range []struct{ old, replacement, rule string }{
		{"permissions: {}\n\ndefaults", "permissions: write-all\n\ndefaults", "excessive-permissions"},
		{"    permissions:\n      contents: read # to check the plan out\n    outputs", "    outputs", "excessive-permissions"},
		{`exec phasegate plan "$PLAN"`, `exec phasegate plan ${{ inputs.from }}`, "template-injection"},
		{"@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7", "unpinned-uses"},
		{"persist-credentials: false", "persist-credentials: true", "artipacked"},
		{"-${{ github.run_attempt }}", "", "artifact-twice"},
		{"    environment: ${{ inputs.environment }}\n    permissions", "    permissions", "secrets-outside-env"},
		{"timeout-minutes: 30", "# none", "timeout"},
		{"    name: Preview\n", "", "anonymous-definition"},
		{"cancel-in-progress: false", "cancel-in-progress: true", "may be cancelled"},
		{"exec phasegate run", "phasegate run", "does not end in exec"},
		{"${{ always() && steps.run", "${{ failure() && steps.run", "would itself be cancelled"},
		{"actions: read", "actions: write", "may write more than it needs"},
		{"actions: read", "checks: read", "may not read who approved"},
		{"!cancelled() && ", "", "starts if"},
		{"!failure() && ", "", "starts if"},
		{" && needs.preview.outputs.digest != ''", "", "starts if"},
		{"group: phasegate-moves-", "group: ${{ github.run_id }}-", "may work beside another"},
		{"path: ${{ runner.temp }}/events", "path: .phasegate/events", "hidden-artifact"},
		{"  workflow_dispatch:", "  pull_request_target:", "dangerous-triggers"},
		{"exec phasegate plan", "echo x=y >>$GITHUB_ENV; exec phasegate plan", "github-env"},
		{"      cancel-in-progress: false", "      queue: max\n      cancel-in-progress: false", "not-everywhere"},
		{"timeout-minutes: 270", "timeout-minutes: 350", "leaves the job no time"},
		{"          PLAN: plan.yaml", "          PLAN: ${{ env.PLAN }}", "not-everywhere"},
		{` --expect-digest "$DIGEST" --from`, " --from", "does not end in exec"},
	} {
		if !strings.Contains(good, c.old) {
			t.Fatalf("the workflow has no %q", c.old)
		}
		bad := strings.ReplaceAll(good, c.old, c.replacement)
		if found := strings.Join(append(broken(t, bad), driven(t, bad)...), "\n"); !strings.Contains(found, c.rule) {
			t.Errorf("%s is not found: %q", c.rule, found)
		}
	}
}

const approvals = `version: 1
name: moves
env: { TOKEN: { secret: true }, PLACE: { default: "." } }
phases:
  - name: look
    steps:
      - { id: disk, task: host/disk, with: { path: "${{ env.PLACE }}", min: 1kB } }
  - name: copy
    steps:
      - { id: disk-2, task: host/disk, with: { path: ".", min: 1kB } }
  - name: change
    gates:
      - { id: ready, task: gate/checklist, with: { items: [it is quiet], environment: prod-a } }
      - { id: go, task: gate/approval, with: { environment: prod-a, more_environments: ["prod b's"] } }
    steps:
      - { id: disk-3, task: host/disk, with: { path: ".", min: 1kB } }
  - name: verify
    steps:
      - { id: disk-4, task: host/disk, with: { path: ".", min: 1kB } }
`

// A variable that the form sets and no list knows would be there twice in a plan
// that has it too, which GitHub refuses.
func TestNoVariableOfAPlanIsOneOfTheWorkflowsOwn(t *testing.T) {
	t.Parallel()
	for _, state := range []string{ci.StatePostgres, ci.StateArtifact} {
		text := written(t, approvals, func(w *ci.Workflow) { w.State, w.After = state, "before.yaml" })
		for _, job := range parsed(t, text).Jobs {
			for _, step := range job.Steps {
				for name := range step.Env {
					if !strings.Contains(step.Run, "phasegate ") || name == "TOKEN" || name == "PLACE" {
						continue
					}
					p, _, err := plan.Load(planWith(t, name), tasks.All())
					if err != nil || p == nil {
						t.Fatal(name, err)
					}
					if _, err := (ci.Workflow{Plan: p, Path: "plan.yaml", State: state, Runner: "ubuntu-latest", Version: "source"}).Text(); err == nil {
						t.Errorf("a plan with variable %s is taken, which step %s has of its own", name, step.Name)
					}
				}
			}
		}
	}
}

// planWith is the file of a plan with a variable of that name.
func planWith(t *testing.T, variable string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plan.yaml")
	if err := os.WriteFile(path, []byte(strings.Replace(approvals, "env: { ", "env: { "+variable+": {}, ", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestJobsFollowApprovalsNotPhases(t *testing.T) {
	t.Parallel()
	w := parsed(t, written(t, approvals, nil))
	for id, want := range map[string][]string{ // what each waits for
		"preview": nil, "rehearse": {"preview"}, "rollback": {"preview"},
		"run-look":         {"preview"},
		"approve-change-1": {"preview", "run-look"},
		"approve-change-2": {"preview", "run-look", "approve-change-1"},
		"run-change":       {"preview", "run-look", "approve-change-1", "approve-change-2"},
	} {
		job, ok := w.Jobs[id]
		if !ok || !slices.Equal(job.needs(), want) {
			t.Errorf("job %s waits for %q, want %q", id, job.needs(), want)
		}
		delete(w.Jobs, id)
	}
	if len(w.Jobs) > 0 {
		t.Errorf("more jobs: %v", w.Jobs)
	}
	again := parsed(t, written(t, approvals, nil))
	if a, b := again.Jobs["approve-change-1"].Environment, again.Jobs["approve-change-2"].Environment; a != "prod-a" || b != "prod b's" {
		t.Errorf("environments %q and %q", a, b)
	}
}

// A job may ask for its identity token only where its workflow was written so, and
// only where it drives the plan.
func TestOnlyAJobThatDrivesThePlanMayAskForItsIdentity(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{true, false} {
		text := written(t, approvals, func(w *ci.Workflow) { w.OIDC = asked })
		for id, job := range parsed(t, text).Jobs {
			drives := strings.HasPrefix(id, "run-") || id == "rollback"
			if may := job.Permissions["id-token"] == "write"; may != (asked && drives) {
				t.Errorf("job %s may ask: %t", id, may)
			}
		}
	}
}

func TestAPlanThatAWorkflowCannotDriveIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "plan.yaml")
	twice := strings.Replace(approvals, "  - name: verify\n", "  - name: verify\n    gates: [{ id: go-2, task: gate/approval, with: { environment: Prod-A } }]\n", 1)
	if err := os.WriteFile(path, []byte(twice), 0o600); err != nil {
		t.Fatal(err)
	}
	p, findings, err := plan.Load(path, tasks.All())
	if err != nil || p == nil {
		t.Fatalf("%v %v", findings, err)
	}
	good := ci.Workflow{Plan: p, Path: "plan.yaml", State: ci.StatePostgres, Runner: "ubuntu-latest", Version: "source"}
	with := func(variable string) *plan.Plan {
		changed := *p
		changed.Env = plan.Variables{{Name: variable}}
		return &changed
	}
	for want, change := range map[string]func(*ci.Workflow){
		"same environment, Prod-A": func(*ci.Workflow) {},
		"--state is":               func(w *ci.Workflow) { w.State = "cache" },
		"--phasegate is":           func(w *ci.Workflow) { w.Version = "latest" },
		"gone with the job's":      func(w *ci.Workflow) { w.State = ci.StateDirectory },
		"--runner is":              func(w *ci.Workflow) { w.Runner = "x\npermissions: write-all" },
		"not in the repository":    func(w *ci.Workflow) { w.Path = "../plan.yaml" },
		"variable Run has the":     func(w *ci.Workflow) { w.Plan = with("Run") },
		"variable GITHUB_X has":    func(w *ci.Workflow) { w.Plan = with("GITHUB_X") },
	} {
		w := good
		change(&w)
		if _, err := w.Text(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
