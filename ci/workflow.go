package ci

import (
	_ "embed" // the workflow's form
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/medlogistics/phasegate/internal/pattern"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// The ways to keep a run's state between jobs. docs/github-actions.md says which
// to choose.
const (
	StatePostgres  = "postgres"  // the journal is in PostgreSQL, which every runner reaches
	StateDirectory = "directory" // the journal is in a directory of the one self-hosted runner
	StateArtifact  = "artifact"  // each job hands the journal on as an artifact
)

// A Workflow is what a workflow of GitHub Actions that drives a plan is made of.
type Workflow struct {
	Plan    *plan.Plan
	Path    string // of the plan, from the repository's root, with slashes
	Command string // that writes it, for its first line
	State   string // one of the ways above
	Runner  string // label of the runners, or a list of labels in brackets
	Version string // of phasegate that the jobs install: source, installed, or a release such as v1.2.0
	After   string // the plan that a rehearsal carries out first, "" if none
	OIDC    bool   // whether jobs may ask for their identity token
}

// The actions that a workflow uses, each pinned to a commit.
const (
	checkoutAction = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1"
	uploadAction   = "actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f # v7.0.0"
)

//go:embed workflow.yml.tmpl
var workflowForm string

// Text writes the workflow. Its jobs follow approvals, not phases: what lies
// between two approvals is one job.
func (w Workflow) Text() (string, error) {
	if err := w.valid(); err != nil {
		return "", err
	}
	parts, err := w.parts()
	if err != nil {
		return "", err
	}
	form, err := template.New("workflow").Delims("<<", ">>").Funcs(template.FuncMap{
		"join": func(list []string) string { return strings.Join(list, ", ") }, "quote": inYAML,
	}).Parse(workflowForm)
	if err != nil {
		return "", fmt.Errorf("read the workflow's form: %w", err)
	}
	var b strings.Builder
	if err := form.Execute(&b, w.form(parts)); err != nil {
		return "", fmt.Errorf("write the workflow: %w", err)
	}
	return b.String(), nil
}

// labels are those that YAML and GitHub take without quotes.
var labels = pattern.Lazy(`^([\w.-]+|\[[\w.-]+(, ?[\w.-]+)*\])$`)

// versions are those that the action installs.
var versions = pattern.Lazy(`^(source|installed|v\d+\.\d+\.\d+[\w.-]*)$`)

func (w Workflow) valid() error {
	switch {
	case !versions().MatchString(w.Version):
		return task.Hint(fmt.Errorf("--phasegate is %q", w.Version), "name a release, such as v1.2.0, or write source or installed")
	case !slices.Contains([]string{StatePostgres, StateDirectory, StateArtifact}, w.State):
		return task.Hint(fmt.Errorf("--state is %q", w.State), "write postgres, directory or artifact")
	case !labels().MatchString(w.Runner):
		return task.Hint(fmt.Errorf("--runner is %q", w.Runner), `name a label, such as ubuntu-latest, or several, such as "[self-hosted, linux]"`)
	case w.State == StateDirectory && strings.HasPrefix(w.Runner, "ubuntu-"):
		return task.Hint(fmt.Errorf("--state directory with --runner %s: the directory is gone with the job's machine", w.Runner),
			"name the label of one self-hosted runner, or keep the state in postgres")
	}
	for _, path := range []string{w.Path, w.After} {
		if path != "" && !filepath.IsLocal(path) || strings.ContainsAny(path, "\n\r") || strings.Contains(path, "${{") {
			return task.Hint(fmt.Errorf("plan %q is not in the repository", path), "call it at the repository's root")
		}
	}
	return w.variables()
}

// ours are the variables that the workflow's own steps set.
var ours = []string{"AFTER", "DIGEST", "EVENTS", "FROM", "IF_STOPPED", "PHASEGATE_JOURNAL", "PLAN", "PREVIEW", "RUN", "TO"}

// variables holds that each of the plan's can be given to a step. GitHub takes a
// name once, in whatever case, and none of its own for what a repository keeps:
// https://docs.github.com/actions/reference/workflows-and-actions/variables.
func (w Workflow) variables() error {
	for _, v := range w.Plan.Env {
		name := strings.ToUpper(v.Name)
		if slices.Contains(ours, name) || strings.HasPrefix(name, "GITHUB_") {
			return task.Hint(fmt.Errorf("the plan's variable %s has the name of one that the workflow or GitHub sets", v.Name), "give it another name in the plan")
		}
	}
	return nil
}

// A form is what the template writes.
type form struct {
	Workflow
	Name, First, Last string
	Phases            []string
	Artifact          bool
	Identity          bool
	Checkout, Upload  string
	Variables         plan.Variables
	Jobs              []part
}

func (w Workflow) form(parts []part) form {
	f := form{
		Workflow: w, Name: w.Plan.Name, Artifact: w.State == StateArtifact, Identity: w.OIDC,
		Checkout: checkoutAction, Upload: uploadAction, Variables: w.Plan.Env, Jobs: parts,
	}
	for _, phase := range w.Plan.Phases {
		f.Phases = append(f.Phases, phase.Name)
	}
	f.First, f.Last = f.Phases[0], f.Phases[len(f.Phases)-1]
	return f
}

// A part of a run is one job: the phases from one approval to the next, and the
// small jobs in front of it that wait for the approval, one an environment.
type part struct {
	ID, Title, If string
	Needs         []string
	Gates         []gateJob
	From, To      string // expressions: the first and the last phase of the part that were asked for
	Run, Before   string // expressions: the run to go on with, and where its journal is

	phases []string
}

// A gateJob waits for the reviewers of one environment. A person has to click
// for each, so that several environments are several people.
type gateJob struct {
	ID, Title, If, Environment string
	Needs                      []string
}

// parts cuts the plan where people have to approve.
func (w Workflow) parts() ([]part, error) {
	var parts []part
	seen := map[string]string{} // phase by environment
	for _, phase := range w.Plan.Phases {
		environments, err := environmentsOf(phase, seen)
		if err != nil {
			return nil, err
		}
		if len(parts) == 0 || len(environments) > 0 {
			parts = append(parts, part{})
		}
		at := &parts[len(parts)-1]
		at.phases = append(at.phases, phase.Name)
		for _, environment := range environments {
			at.Gates = append(at.Gates, gateJob{Title: inYAML("Approve " + phase.Name + ": " + environment), Environment: environment})
		}
	}
	w.connect(parts)
	return parts, nil
}

// environmentsOf returns those that have to be reviewed before a phase, each
// once. None may serve two phases: a review does not say for which it was.
func environmentsOf(phase plan.Phase, seen map[string]string) ([]string, error) {
	var environments []string
	for _, gate := range phase.Gates {
		reviewed, _ := gate.Reviewed()
		for _, name := range reviewed {
			folded := strings.ToLower(name) // GitHub does not tell capitals from small letters
			if before, taken := seen[folded]; taken && before != phase.Name {
				return nil, task.Hint(fmt.Errorf("phases %s and %s ask for reviews of the same environment, %s", before, phase.Name, name),
					"give each its own: GitHub does not tell for which phase a review was")
			}
			if strings.ContainsAny(name, "\n\r") || strings.Contains(name, "${{") {
				return nil, fmt.Errorf("phase %s asks for reviews of %q, which cannot be an environment's name", phase.Name, name)
			}
			if seen[folded] == "" {
				environments = append(environments, name)
			}
			seen[folded] = phase.Name
		}
	}
	return environments, nil
}

// connect says of each part when it runs, and behind what.
func (w Workflow) connect(parts []part) {
	before, done := "", []string{}
	for i := range parts {
		at := &parts[i]
		at.ID, at.Title = "run-"+at.phases[0], "Run "+strings.Join(at.phases, " and ")
		done = append(done, at.phases...)
		at.If = fmt.Sprintf("!cancelled() && !failure() && inputs.do == 'run' && needs.preview.outputs.digest != '' && "+
			"contains(fromJSON('%s'), inputs.from) && contains(fromJSON('%s'), inputs.to)", list(done), list(w.rest(at.phases[0])))
		at.From = clamped("inputs.from", at.phases, at.phases[0])
		at.To = clamped("inputs.to", at.phases, at.phases[len(at.phases)-1])
		at.Needs, at.Run, at.Before = []string{"preview"}, "inputs.run", "inputs.journal"
		if before != "" {
			at.Needs = append(at.Needs, before)
			at.Run, at.Before = handedOn(before, "run"), handedOn(before, "journal")
		}
		for j := range at.Gates {
			gate := &at.Gates[j]
			gate.ID, gate.If, gate.Needs = fmt.Sprintf("approve-%s-%d", at.phases[0], j+1), at.If, slices.Clone(at.Needs)
			at.Needs = append(at.Needs, gate.ID)
		}
		before = at.ID
	}
}

// handedOn is an expression: an output of the job before, or else the input of
// that name. Of a job that was skipped, or was lost, nothing is known.
func handedOn(job, output string) string {
	return fmt.Sprintf("needs.%s.result == 'success' && needs.%s.outputs.%s || inputs.%s", job, job, output, output)
}

// rest are the phases from one on.
func (w Workflow) rest(first string) []string {
	var names []string
	for _, phase := range w.Plan.Phases {
		if phase.Name == first || len(names) > 0 {
			names = append(names, phase.Name)
		}
	}
	return names
}

// clamped is an expression: the input if it is one of the phases, or else.
func clamped(input string, phases []string, otherwise string) string {
	return fmt.Sprintf("contains(fromJSON('%s'), %s) && %s || '%s'", list(phases), input, input, otherwise)
}

// list writes names of phases, which need no escaping, as JSON.
func list(names []string) string { return `["` + strings.Join(names, `", "`) + `"]` }

// inYAML quotes a text where that is needed.
func inYAML(text string) string {
	if plain().MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}

var plain = pattern.Lazy(`^[A-Za-z][\w./-]*$`)

// Unattended names the gates of a plan that only a person at a terminal, or one
// who signs, can open: in a job a run ends waiting there.
func Unattended(p *plan.Plan) error {
	var all []error
	for _, phase := range p.Phases {
		for _, gate := range phase.Gates {
			if environments, asks := gate.Reviewed(); asks && len(environments) == 0 {
				all = append(all, fmt.Errorf("%s:%d: gate %s names no environment: where nobody signs it, a run in GitHub Actions ends waiting there",
					p.Path, gate.Pos.Line, gate.ID))
			}
		}
	}
	return errors.Join(all...)
}
