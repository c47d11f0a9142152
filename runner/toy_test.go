package runner

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/gate"
)

// A world is what the toy tasks work on: it remembers who was called, and does
// for each name what the test says.
type world struct {
	mu    sync.Mutex
	calls []string
	on    map[string]func(ctx context.Context, env *task.Env) error

	refused string // the name that no toy can have
	unready string // the name of the toy whose Check fails
}

func (w *world) call(ctx context.Context, name string, env *task.Env) error {
	w.mu.Lock()
	w.calls = append(w.calls, name)
	do := w.on[name]
	w.mu.Unlock()
	if do == nil {
		return nil
	}
	return do(ctx, env)
}

// called returns the calls so far and forgets them.
func (w *world) called() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := w.calls
	w.calls = nil
	return calls
}

func (w *world) when(name string, do func(ctx context.Context, env *task.Env) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.on == nil {
		w.on = map[string]func(context.Context, *task.Env) error{}
	}
	w.on[name] = do
}

func fails(err error) func(context.Context, *task.Env) error {
	return func(context.Context, *task.Env) error { return err }
}

// A toy is a task that calls its world.
type toy struct {
	Name  string `with:"name,required"`
	world *world
}

type toyReceipt struct {
	Name string `json:"name"`
}

func (t *toy) Validate() error {
	if t.Name == t.world.refused {
		return fmt.Errorf("%q is no name", t.Name)
	}
	return nil
}

func (t *toy) Check(context.Context, *task.Env) error {
	if t.Name == t.world.unready && t.Name != "" {
		return fmt.Errorf("%s is not ready: %w", t.Name, task.ErrClosed)
	}
	return nil
}

func (t *toy) Run(ctx context.Context, env *task.Env) (toyReceipt, error) {
	return toyReceipt{t.Name}, t.world.call(ctx, t.Name, env)
}

func (w *world) tasks() task.Set {
	return task.NewSet(
		task.Of("toy/do", &toy{world: w}, task.Retryable),
		task.Of("toy/stop", &toyStop{world: w}),
		task.Of("toy/start", &toyStart{world: w}),
		task.Look("toy/look", &toy{world: w}),
		task.Gate("toy/gate", &toy{world: w}),
		task.Gate("gate/approval", &gate.Approval{Word: "approve", Min: 1, Expires: 24 * time.Hour}, task.Asks),
	)
}

// A bench is a plan on a world, with a journal of its own.
type bench struct {
	t       *testing.T
	world   *world
	path    string
	plan    *plan.Plan
	options Options
	events  []journal.Event // observed so far
}

func newBench(t *testing.T, yaml string) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{t: t, world: &world{}, path: filepath.Join(dir, "plan.yaml")}
	b.edit(yaml)
	runs := filepath.Join(dir, "runs")
	b.options = Options{
		Store: journal.NewDir(runs), Dir: runs, Log: slog.New(slog.DiscardHandler),
		Observe: func(e journal.Event) { b.events = append(b.events, e) },
	}
	return b
}

// edit puts another text into the plan's file.
func (b *bench) edit(yaml string) {
	b.t.Helper()
	if err := os.WriteFile(b.path, []byte(yaml), 0o600); err != nil {
		b.t.Fatal(err)
	}
	p, findings, err := plan.Load(b.path, b.world.tasks())
	if err != nil || p == nil {
		b.t.Fatalf("load the plan: %v %v", findings, err)
	}
	b.plan = p
}

func (b *bench) env(values map[string]string) {
	b.t.Helper()
	environ, err := b.plan.Environ(b.t.Context(), envconfig.MapLookuper(values))
	if err != nil {
		b.t.Fatal(err)
	}
	b.options.Environ = environ
}

func (b *bench) run(ctx context.Context) *journal.State {
	b.t.Helper()
	state, err := Run(ctx, b.plan, b.options)
	if err != nil {
		b.t.Fatalf("run: %v", err)
	}
	return state
}

func (b *bench) rollback(ctx context.Context) *journal.State {
	b.t.Helper()
	state, err := Rollback(ctx, b.plan, b.options)
	if err != nil {
		b.t.Fatalf("rollback: %v", err)
	}
	return state
}

func (b *bench) expect(state *journal.State, status journal.Status, calls ...string) {
	b.t.Helper()
	if state.Status != status {
		b.t.Errorf("status = %s (%s), want %s", state.Status, state.Reason, status)
	}
	if got := b.world.called(); !slices.Equal(got, calls) {
		b.t.Errorf("called %v, want %v", got, calls)
	}
}

// twoPhases is a plan with everything in it: p1 is a, b and is taken back by
// r1; p2 has the gate g, the steps c, d and is taken back by r2, r3.
const twoPhases = `
version: 1
name: toy
phases:
  - name: p1
    steps:
      - { id: a, task: toy/do, with: { name: a } }
      - { id: b, task: toy/do, with: { name: "${{ steps.a.name }}b" } }
    rollback:
      - { id: r1, task: toy/do, with: { name: r1 } }
  - name: p2
    on_failure: %s
    gates:
      - { id: g, task: toy/gate, with: { name: g } }
    steps:
      - { id: c, task: toy/do, with: { name: c } }
      - { id: d, task: toy/do, with: { name: d } }
    rollback:
      - { id: r2, task: toy/do, with: { name: r2 } }
      - { id: r3, task: toy/do, after: [d], with: { name: "r3-${{ steps.d.name }}" } }
`

func halting() string     { return fmt.Sprintf(twoPhases, "halt") }
func rollingBack() string { return fmt.Sprintf(twoPhases, "rollback") }
