package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// places are the two stores, each opened anew for every operator.
func places(t *testing.T) map[string]func() journal.Store {
	dir, dsn := filepath.Join(t.TempDir(), "runs"), postgrestest.Database(t).Reveal()
	return map[string]func() journal.Store{
		"directory": func() journal.Store { return journal.NewDir(dir) },
		"postgres": func() journal.Store {
			store, err := journal.OpenPostgres(t.Context(), dsn)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = store.Close() })
			return store
		},
	}
}

// Several operators type the same command at once: exactly one of them goes on,
// and the others are told who it is and what they can do.
func TestOneOfManyOperatorsGoesOn(t *testing.T) {
	for name, open := range places(t) {
		for _, what := range []struct {
			verb  string
			do    operation
			first string // step that the one who goes on comes to
			stops string // step at which a run has to stop first; "" if there is none
			want  journal.Status
		}{
			{"start", Run, "a", "", journal.Done},
			{"resume", Run, "c", "c", journal.Done},
			{"roll back", Rollback, "r1", "c", journal.RolledBack},
			{"complete a rollback", Rollback, "r1", "r1", journal.RolledBack},
		} {
			t.Run(name+"/"+what.verb, func(t *testing.T) {
				b := newBench(t, strings.Replace(halting(), "name: toy", "name: "+strings.ReplaceAll("toy "+what.verb, " ", "-"), 1))
				b.options.Store = open()
				if what.stops != "" {
					b.stopAt(what.stops)
				}
				if state := b.together(open, what.do, what.first); state.Status != what.want {
					t.Errorf("the one who went on ended %s: %s", state.Status, state.Reason)
				}
			})
		}
	}
}

// stopAt has a run of the bench end in the middle of a step or a hook.
func (b *bench) stopAt(step string) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	b.world.when(step, func(ctx context.Context, _ *task.Env) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	})
	b.run(ctx)
	if strings.HasPrefix(step, "r") {
		if _, err := Rollback(ctx, b.plan, b.options); err != nil {
			b.t.Fatal(err)
		}
	}
	b.world.when(step, nil)
	b.world.called()
}

type operation = func(context.Context, *plan.Plan, Options) (*journal.State, error)

// together has eight operators do the same at once. The one who comes to the
// step waits there until the others have been refused.
func (b *bench) together(open func() journal.Store, do operation, step string) *journal.State {
	b.t.Helper()
	const operators = 8
	var refused sync.WaitGroup
	refused.Add(operators - 1)
	b.world.when(step, func(context.Context, *task.Env) error { refused.Wait(); return nil })
	ended := make(chan *journal.State, operators)
	var all sync.WaitGroup
	for range operators {
		o := b.options
		o.Store, o.Observe = open(), nil
		all.Go(func() {
			state, err := do(b.t.Context(), b.plan, o)
			if err == nil {
				ended <- state
				return
			}
			b.saysWho(err)
			refused.Done()
		})
	}
	all.Wait()
	if len(ended) != 1 {
		b.t.Fatalf("%d of them went on", len(ended))
	}
	if calls := b.world.called(); slices.Index(calls, step) != len(calls)-1-slices.Index(reversed(calls), step) {
		b.t.Errorf("%s was called more than once: %v", step, calls)
	}
	return <-ended
}

func reversed(list []string) []string {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

// saysWho holds that a refusal names who is at work, and what to do. Before the
// other one has told anybody who it is, it can only be said that there is one.
func (b *bench) saysWho(err error) {
	b.t.Helper()
	if _, ok := errors.AsType[*RefusedError](err); !ok {
		b.t.Errorf("not a refusal: %v", err)
		return
	}
	host, _ := os.Hostname()
	who := fmt.Sprintf("process %d on %s has run ", os.Getpid(), host)
	hint := fmt.Sprintf("on %s: kill -INT %d", host, os.Getpid())
	named := strings.Contains(err.Error(), who) && strings.Contains(task.HintOf(err), hint)
	if !named && !strings.Contains(task.HintOf(err), "call again") || !strings.Contains(err.Error(), "another phasegate is at work on plan ") {
		b.t.Errorf("it says: %v\nhint: %s", err, task.HintOf(err))
	}
}

// Whoever comes while the other one is in the middle of a step is told all of it.
func TestWhoIsAtWorkIsTold(t *testing.T) {
	for name, open := range places(t) {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, halting())
			b.options.Store = open()
			b.world.when("a", func(ctx context.Context, _ *task.Env) error {
				o := b.options
				o.Store = open()
				for _, do := range []operation{Run, Rollback} {
					_, err := do(ctx, b.plan, o)
					b.saysWho(err)
					if err != nil && !strings.Contains(err.Error(), b.events[0].Run+" since "+b.events[0].Time.Format("2006-01-02T15:04:05Z")) {
						t.Errorf("it says: %v", err)
					}
				}
				return nil
			})
			b.expect(b.run(t.Context()), journal.Done, "a", "ab", "g", "c", "d")
		})
	}
}

// Another plan or other variables begin another run, but not while somebody is at
// work on the one before, who may be about to change something.
func TestNobodyBeginsBesideARunThatChangedNothingYet(t *testing.T) {
	const looks = `
version: 1
name: toy
env: { WHERE: {} }
phases:
  - name: p1
    steps: [{ id: a, task: toy/look, with: { name: a } }, { id: b, task: toy/look, with: { name: "${{ env.WHERE }}" } }]
`
	for what, other := range map[string]func(b *bench){
		"plan":      func(b *bench) { b.edit(looks + "# edited\n") },
		"variables": func(b *bench) { b.env(map[string]string{"WHERE": "there"}) },
	} {
		for name, open := range places(t) {
			t.Run(name+"/"+what, func(t *testing.T) {
				b := newBench(t, looks)
				b.options.Store = open()
				b.env(map[string]string{"WHERE": "here"})
				b.world.when("a", func(ctx context.Context, _ *task.Env) error {
					rival := *b
					rival.options.Store = open()
					other(&rival)
					_, err := Run(ctx, rival.plan, rival.options)
					b.saysWho(err)
					return errors.New("no luck")
				})
				first := b.run(t.Context())
				b.world.when("a", nil)
				other(b)
				if second := b.run(t.Context()); second.Status != journal.Done || second.Run == first.Run {
					t.Errorf("run %s after %s is %s: %s", second.Run, first.Run, second.Status, second.Reason)
				}
			})
		}
	}
}
