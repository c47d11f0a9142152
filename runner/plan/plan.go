// Package plan reads plan files: file -> [Plan] and [Diagnostics].
//
// A plan is YAML, read strictly. Every mistake is reported in one go, at the
// line and column of the token that is wrong, with a hint; nothing is coerced
// and nothing is ignored. The keys of the language are the fields of this
// package's structs that carry a `with` tag, and the keys of a step's `with` are
// those of its task's struct, so that no key is written down twice.
//
// Values inside `with`, and the url of a probe, may hold references:
//
//	${{ env.NAME }}         a variable that the plan declares
//	${{ steps.ID.FIELD }}   a field of an earlier step's receipt
//	${{ run.id }}           the run's id
//	${{ plan.digest }}      the plan's digest
//	${{ steps.ID.FIELD || 'text' }}  in a rollback hook: the text if the step left no receipt
//
// A value that is one reference and nothing else keeps the reference's type.
// "$${{" stands for the characters "${{". References are checked without
// running anything; [Step.Instance] resolves them.
package plan

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/runner/task"
)

// Version is the version of the language that this package reads.
const Version = 1

// The tags of the structs below are the whole of the language's grammar, and
// hold for the configuration of tasks as well: `with` names a key, "required"
// behind it says that it must be there, `default` is its value if it is not,
// `min` and `max` are the bounds of a number or a duration, and `example` is what
// docs/plan.md shows. A string type with a method Words() []string takes those
// words only.

// A Plan is one cut-over: phases in order, and what they need from outside.
type Plan struct {
	place

	// Path is the file's path as it was given.
	Path string `with:"-"`

	// Dir is the absolute directory of the file; paths in the plan are relative
	// to it.
	Dir string `with:"-"`

	// Digest is SHA-256, in hexadecimal, over the plan's file and every file
	// that its steps name. Approvals and journals are bound to it.
	Digest string `with:"-"`

	// Version of the plan language: 1.
	Version int `with:"version,required" example:"1"`

	// Name of the plan: lower-case words joined by hyphens.
	Name string `with:"name,required" example:"auth0-migration"`

	// Summary is one line for people: what the plan does.
	Summary string `with:"summary" example:"Move MedLogistics to Auth0"`

	// Env declares the environment variables that the plan may read.
	Env Variables `with:"env" example:"{ DATABASE_URL: { secret: true } }"`

	// Contacts are the people to call, by role.
	Contacts []Contact `with:"contacts" example:"[{ role: Infrastructure team, reach: \"#on-call\" }]"`

	// Probes watch from outside, during the whole run, what users see.
	Probes []Probe `with:"probes" example:"[{ name: api, url: \"http://localhost:8000/health\" }]"`

	// Phases are carried out in their order.
	Phases []Phase `with:"phases,required" example:"[{ name: look, gates: [{ id: disk, task: host/disk, with: { path: \".\", min: 5GB } }] }]"`

	src   *source
	scope *scope
	files []string
	named map[string]string
	sums  map[string]string
}

// Variables are the plan's environment variables, in the order of the file.
type Variables []Variable

// A Variable is an environment variable that the plan may read. Without default
// it must be set, and not be empty.
type Variable struct {
	place
	doubtful bool           // a part of it could not be read
	unfit    []reflect.Type // the types of keys that it is reported not to fit

	// Name of the environment variable.
	Name string `with:"-"`

	// Summary is one line for people: what the variable is for.
	Summary string `with:"summary" example:"where backups are kept"`

	// Default is the value if the variable is not set or is empty.
	Default *string `with:"default" example:"backups"`

	// Equals is the value that the variable must have, such as "production".
	Equals *string `with:"equals" example:"production"`

	// Secret hides the value wherever it would be written. A secret has no
	// default, and goes only into keys that are made for secrets.
	Secret bool `with:"secret" example:"true"`
}

// A Contact says how to reach somebody.
type Contact struct {
	place

	// Role of the person or team, such as "Database administrator".
	Role string `with:"role,required" example:"Database administrator"`

	// Reach says how: a telephone number, a channel, a rota.
	Reach string `with:"reach,required" example:"\"+49 30 1234567\""`
}

// A Probe requests a URL again and again, as a user would. What it sees is the
// measure of a phase's downtime.
type Probe struct {
	place

	// Name of the probe: lower-case words joined by hyphens.
	Name string `with:"name,required" example:"api"`

	// URL that is requested, http or https. It may hold references to env, run
	// and plan.
	URL Template `with:"url,required" example:"\"${{ env.API_URL }}/health\""`

	// Every is the time between two requests.
	Every time.Duration `with:"every" default:"1s" min:"10ms" example:"200ms"`

	// Timeout is the time after which a request counts as failed.
	Timeout time.Duration `with:"timeout" default:"2s" min:"1ms" example:"5s"`

	plan *Plan
}

// A Template is a text as it stands in the file, its references unresolved.
type Template string

// OnFailure says what follows when a phase fails.
type OnFailure string

// The policies of a phase.
const (
	Halt     OnFailure = "halt"     // stop, and leave the run resumable
	Rollback OnFailure = "rollback" // take back every phase that started
)

// Words returns the values that a plan may write.
func (OnFailure) Words() []string { return []string{string(Halt), string(Rollback)} }

// A Phase is a part of the plan that fails or succeeds as a whole.
type Phase struct {
	place

	// Name of the phase: lower-case words joined by hyphens.
	Name string `with:"name,required" example:"schema"`

	// Summary is one line for people: what the phase does.
	Summary string `with:"summary" example:"Apply the schema change"`

	// Downtime is the longest outage that the probes may see during the phase.
	// Without it no budget is declared.
	Downtime time.Duration `with:"downtime" min:"1ms" example:"5m"`

	// OnFailure is what follows a failed step: halt stops and leaves the run
	// resumable, rollback takes back every phase that started.
	OnFailure OnFailure `with:"on_failure" default:"halt" example:"rollback"`

	// KeepGoing runs the other steps when one has failed, and reports all
	// failures together. It is for phases of checks.
	KeepGoing bool `with:"keep_going" example:"true"`

	// Irreversible is the reason why the phase has no rollback.
	Irreversible string `with:"irreversible" example:"accounts in Auth0 stay there"`

	// Gates must be open before the steps start. They only look.
	Gates []Step `with:"gates" example:"[{ id: approve, task: gate/approval, with: { environment: production } }]"`

	// Steps do the phase's work, in their order.
	Steps []Step `with:"steps" example:"[{ id: disk, task: host/disk, with: { path: \".\", min: 5GB } }]"`

	// Rollback takes the phase back, in its order.
	Rollback []Step `with:"rollback" example:"[{ id: disk-again, task: host/disk, with: { path: \".\", min: 5GB } }]"`
}

// A Step is one task with its configuration. Gates and rollback hooks are steps
// too.
type Step struct {
	place

	// ID of the step, unique in the plan: lower-case words joined by hyphens.
	ID string `with:"id,required" example:"free-space"`

	// Task that the step carries out, by name.
	Task task.Spec `with:"task,required" example:"host/disk"`

	// Summary is one line for people: what the step does.
	Summary string `with:"summary" example:"Room for the backup"`

	// After makes a rollback hook depend on steps of its phase: it is passed over
	// unless each of them left a receipt. A hook that refers to one has to say so.
	After []string `with:"after" example:"[stage]"`

	// With is the task's configuration.
	With Config `with:"with" example:"{ path: \".\", min: 5GB }"`

	// Timeout is the time after which one attempt is ended.
	Timeout time.Duration `with:"timeout" min:"1ms" example:"10m"`

	// Retry has the step tried again after a failure.
	Retry Retry `with:"retry" example:"{ times: 3, wait: 10s }"`

	plan         *Plan
	needs        []string
	asksPeople   bool
	environments []string
}

// Config is the configuration of a step as it stands in the file. The keys that
// it may have are those of the step's task; [Step.Instance] decodes it.
type Config struct {
	node *yaml.Node
	via  []*yaml.Node // the aliases that led to it
}

// Retry says how often and when a step is tried again.
type Retry struct {
	place

	// Times that the step is tried again after its first failure, 1 to 10.
	Times int `with:"times,required" min:"1" max:"10" example:"3"`

	// Wait before the next attempt.
	Wait time.Duration `with:"wait" default:"1s" example:"10s"`
}

// Step returns the step of that id and its phase, or false if the plan has none.
func (p *Plan) Step(id string) (*Step, *Phase, bool) {
	entry, ok := p.scope.steps[id]
	if !ok {
		return nil, nil, false
	}
	return entry.step, &p.Phases[entry.phase], true
}

// Files returns the paths of the files that the steps read, sorted, each once.
// They belong to the digest.
func (p *Plan) Files() []string { return append([]string(nil), p.files...) }

// Named returns the same paths by the names under which the files are in the
// digest: relative to Dir, unless the plan gives an absolute path.
func (p *Plan) Named() map[string]string { return maps.Clone(p.named) }

// Reviewed tells whether the step is a gate that people open, and which
// environments of a forge they can do that by reviewing, as far as the plan alone
// tells.
func (s Step) Reviewed() (environments []string, asksPeople bool) {
	return slices.Clone(s.environments), s.asksPeople
}

func (s *Step) reviewed(instance task.Instance) {
	if instance == nil {
		return
	}
	gate, ok := instance.Config().(task.Reviewed)
	if !ok {
		return
	}
	s.asksPeople = true
	for _, environment := range gate.Environments() {
		if environment != "" {
			s.environments = append(s.environments, environment)
		}
	}
}

// Needs returns the ids of the steps whose receipts the step needs or refers to,
// each once, in the order of their first use.
func (s Step) Needs() []string { return append([]string(nil), s.needs...) }
