package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner"
	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// A preview is what a run would do. Its JSON is a contract: readers ignore
// fields that they do not know.
type preview struct {
	Version   int              `json:"phasegate_preview"` // 1
	Plan      string           `json:"plan"`
	File      string           `json:"file"`
	Summary   string           `json:"summary"`
	Digest    string           `json:"digest"` // that an approval covers
	Files     []string         `json:"files"`  // that the digest covers beside the plan, from the plan's directory
	Variables []variable       `json:"variables"`
	Contacts  []contact        `json:"contacts"`
	DiskBytes int64            `json:"disk_bytes"` // that is needed, as far as is known
	Phases    []phasePreview   `json:"phases"`
	Rollbacks []rollbackSketch `json:"rollbacks"`                // what taking back does, by the phase that has begun
	Unread    string           `json:"journal_unread,omitempty"` // why nothing is known of earlier runs
	asked     string           // who started the job's workflow and with what, in Markdown; "" in none
}

type variable struct {
	Name   string `json:"name"`
	Set    bool   `json:"set"` // or has a default
	Secret bool   `json:"secret"`
}

type contact struct {
	Role  string `json:"role"`
	Reach string `json:"reach"`
}

type phasePreview struct {
	Name         string        `json:"name"`
	Summary      string        `json:"summary"`
	OnFailure    string        `json:"on_failure"`
	BudgetMS     int64         `json:"downtime_budget_ms"`
	Irreversible string        `json:"irreversible,omitempty"`
	Gates        []stepPreview `json:"gates"`
	Steps        []stepPreview `json:"steps"`
	Rollback     []stepPreview `json:"rollback"`

	Measured     *runner.Measurement `json:"measured"`          // when this plan's phase was last carried out; null if it never was
	MeasuredBack *runner.Measurement `json:"measured_rollback"` // when it was last taken back
	Watched      bool                `json:"watched"`           // by a probe, without which a downtime is always 0
	unread       bool                // nothing is known of earlier runs
}

type stepPreview struct {
	ID      string `json:"id"`
	Task    string `json:"task"`
	Summary string `json:"summary,omitempty"`
	Changes bool   `json:"changes"`
	task.Preview
	Unknown string `json:"unknown,omitempty"` // why nobody can tell what it would do
}

// A rollbackSketch is what a rollback does from one point.
type rollbackSketch struct {
	After string   `json:"after"` // the last phase that has begun
	Hooks []string `json:"hooks"` // phase/step, in their order
	Stays []string `json:"stays"` // what is not taken back, and why
	Loses []string `json:"loses"` // what is lost by it

	MeasuredMS *int64 `json:"measured_ms"` // what it took the last time, in milliseconds; null if a phase of it was never taken back
	unread     bool   // nothing is known of earlier runs
}

const planDoes = `Plan prints what a run would do: phases and steps, the commands and the SQL that
would run, how many users would be created and how long that takes, the disk that
is needed, what a rollback would do from each point, and the digest that an
approval covers. How long users are without the service, and how long a rollback
takes, is what the journals prove of the last run or rehearsal of this very plan;
without one it says that nobody measured it, and of a journal that cannot be read,
why. It reads, it changes nothing. Where a variable is not set, what depends on it
stays unknown. In a job of GitHub Actions it is on the job's page too,
and the job's output digest is the plan's.

Exit codes: 0 done; 2 wrong call; 3 the plan has errors.`

func (a *app) previewPlan() *cobra.Command {
	format := "text"
	var from, to, keep string
	command := &cobra.Command{
		Use:   "plan PLAN",
		Short: "Say what a run would do, for whoever approves it",
		Long:  planDoes,
		Example: `  phasegate plan plans/auth0-migration.yaml
  phasegate plan plans/auth0-migration.yaml --format markdown > preview.md
  phasegate plan plans/auth0-migration.yaml --keep preview.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			write, ok := previewFormats()[format]
			if !ok {
				return fail(ExitUsage, task.Hint(fmt.Errorf("--format is %q", format), "write text, json or markdown"))
			}
			remove, err := a.unpackAside()
			if err != nil {
				return err
			}
			defer remove()
			p, err := a.load(args[0])
			if err != nil {
				return err
			}
			ctx, stop := a.untilSignal(cmd.Context())
			defer stop()
			shown, err := a.foresee(ctx, p, from, to)
			if err != nil {
				return err
			}
			if err := shown.keep(keep); err != nil {
				return err
			}
			if err := a.previewInJob(shown); err != nil {
				return err
			}
			return write(a, shown)
		},
	}
	set := command.Flags()
	set.StringVar(&format, "format", format, "text, json or markdown")
	set.StringVar(&from, "from", "", "from this phase on")
	set.StringVar(&to, "to", "", "up to this phase")
	set.StringVar(&keep, "keep", "", "file to write the preview to as JSON, beside what is printed")
	for _, flag := range []string{"from", "to"} {
		_ = command.RegisterFlagCompletionFunc(flag, a.completePhases)
	}
	return command
}

// previewFormats are the ways to write a preview.
func previewFormats() map[string]func(*app, *preview) error {
	return map[string]func(*app, *preview) error{
		"text": (*app).previewText, "json": (*app).previewJSON, "markdown": (*app).previewMarkdown,
	}
}

func (a *app) previewJSON(shown *preview) error {
	if err := shown.encode(a.Out); err != nil {
		return fail(ExitFailed, fmt.Errorf("print the preview: %w", err))
	}
	return nil
}

func (shown *preview) encode(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(shown)
}

// keep writes the preview to a file too, if one is named.
func (shown *preview) keep(file string) error {
	if file == "" {
		return nil
	}
	var b strings.Builder
	err := shown.encode(&b)
	if err == nil {
		err = writeFile(file, b.String())
	}
	if err != nil {
		return fail(ExitFailed, fmt.Errorf("keep the preview: %w", err))
	}
	return nil
}

// foresee asks the plan's steps what they would do.
func (a *app) foresee(ctx context.Context, p *plan.Plan, from, to string) (*preview, error) {
	environ, err := p.Environ(ctx, a.Lookup)
	missing := err
	if missing != nil {
		environ = p.Known(a.Lookup)
	}
	a.maskInJob(given(p, a.Lookup))
	mask := redact.NewMasker(environ.Secrets()...)
	o := runner.Options{Environ: environ, From: from, To: to, Dir: a.dir(), Log: a.logger(mask)}
	shown := sketch(p, a.Lookup)
	phases := map[string]*phasePreview{}
	err = runner.Preview(ctx, p, o, func(f runner.Foreseen) {
		at := phases[f.Phase]
		if at == nil {
			at = shown.addPhase(p, f.Phase)
			phases[f.Phase] = at
		}
		at.add(p, f, missing, mask.String)
	})
	if err != nil {
		return nil, told(nil, err)
	}
	shown.total(p)
	a.measure(ctx, p, shown)
	if ctx.Err() != nil {
		return nil, fail(ExitFailed, context.Cause(ctx))
	}
	return shown, nil
}

// given are the secrets that have a value.
func given(p *plan.Plan, lookup interface{ Lookup(string) (string, bool) }) []redact.Secret {
	var secrets []redact.Secret
	for _, v := range p.Env {
		if value, _ := lookup.Lookup(v.Name); v.Secret && value != "" {
			secrets = append(secrets, redact.NewSecret(value))
		}
	}
	return secrets
}

// sketch is what the plan alone tells.
func sketch(p *plan.Plan, lookup interface{ Lookup(string) (string, bool) }) *preview {
	shown := &preview{
		Version: 1, Plan: p.Name, File: p.Path, Summary: p.Summary, Digest: p.Digest, Files: []string{},
		Variables: []variable{}, Contacts: []contact{},
	}
	for _, file := range p.Files() {
		if relative, err := filepath.Rel(p.Dir, file); err == nil {
			file = relative
		}
		shown.Files = append(shown.Files, file)
	}
	for _, v := range p.Env {
		value, _ := lookup.Lookup(v.Name)
		shown.Variables = append(shown.Variables, variable{v.Name, value != "" || v.Default != nil, v.Secret})
	}
	for _, c := range p.Contacts {
		shown.Contacts = append(shown.Contacts, contact{c.Role, c.Reach})
	}
	// A phase's place must not move once it is known.
	shown.Phases = make([]phasePreview, 0, len(p.Phases))
	return shown
}

func (shown *preview) addPhase(p *plan.Plan, name string) *phasePreview {
	for _, phase := range p.Phases {
		if phase.Name == name {
			shown.Phases = append(shown.Phases, phasePreview{
				Name: name, Summary: phase.Summary, OnFailure: string(phase.OnFailure),
				BudgetMS: phase.Downtime.Milliseconds(), Irreversible: phase.Irreversible,
				Gates: []stepPreview{}, Steps: []stepPreview{}, Rollback: []stepPreview{},
			})
		}
	}
	return &shown.Phases[len(shown.Phases)-1]
}

func (at *phasePreview) add(p *plan.Plan, f runner.Foreseen, missing error, mask func(string) string) {
	step, _, _ := p.Step(f.Step)
	s := stepPreview{ID: f.Step, Task: step.Task.Name, Summary: step.Summary, Changes: step.Task.Kind == task.Changes}
	s.Does = []string{}
	switch {
	case f.Preview != nil:
		s.Preview = *f.Preview
		for i, line := range s.Does {
			s.Does[i] = mask(line)
		}
	case f.Err != nil && missing != nil:
		s.Unknown = "a variable that it needs is not set"
	case f.Err != nil:
		s.Unknown = mask(f.Err.Error())
	}
	switch f.Kind {
	case journal.KindGate:
		if environments, _ := step.Reviewed(); len(environments) > 0 {
			s.Does = append(s.Does, "in GitHub Actions, waits for a review of environment "+strings.Join(environments, ", and for another person's of "))
		}
		at.Gates = append(at.Gates, s)
	case journal.KindStep:
		at.Steps = append(at.Steps, s)
	case journal.KindRollback:
		at.Rollback = append(at.Rollback, s)
	}
}

// total adds up what is needed, and says what a rollback does from each phase.
func (shown *preview) total(p *plan.Plan) {
	for _, phase := range shown.Phases {
		for _, step := range phase.Steps {
			shown.DiskBytes += step.DiskBytes
		}
	}
	shown.Rollbacks = []rollbackSketch{}
	for last := range shown.Phases {
		sketch := rollbackSketch{After: shown.Phases[last].Name, Hooks: []string{}, Stays: []string{}, Loses: []string{}}
		for i := last; i >= 0; i-- {
			sketch.takeBack(shown.Phases[i])
		}
		shown.Rollbacks = append(shown.Rollbacks, sketch)
	}
}

func (r *rollbackSketch) takeBack(phase phasePreview) {
	if phase.Irreversible != "" {
		r.Stays = append(r.Stays, phase.Name+": "+phase.Irreversible)
	}
	for _, hook := range phase.Rollback {
		r.Hooks = append(r.Hooks, phase.Name+"/"+hook.ID)
		if hook.Loses != "" {
			r.Loses = append(r.Loses, hook.ID+": "+hook.Loses)
		}
	}
}
