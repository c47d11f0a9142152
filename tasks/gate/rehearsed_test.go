package gate_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/gate"
)

func rehearsal(status string, ago time.Duration) task.Rehearsal {
	return task.Rehearsal{Run: status + "-run", Digest: "d1", Status: status, Ended: time.Now().Add(-ago), Worked: true}
}

func rehearsedEnv(t *testing.T, found ...task.Rehearsal) *task.Env {
	env := tasktest.Env(t)
	env.Basis.Digest, env.PlanFile = "d1", "plans/x.yaml"
	env.Rehearsals = func(context.Context) ([]task.Rehearsal, error) { return found, nil }
	return env
}

func TestRehearsedKeepsTheContract(t *testing.T) {
	t.Parallel()
	tasktest.Conform(t, tasktest.Case{
		Spec:      task.Gate("gate/rehearsed", &gate.Rehearsed{Within: task.Age(time.Hour)}),
		Configure: func(any) {},
		Env:       rehearsedEnv(t, rehearsal("rolled_back", time.Minute), rehearsal("done", time.Minute)),
	})
}

func TestPlanHasToBeRehearsedToItsEndAndBackOfLate(t *testing.T) {
	t.Parallel()
	const week = 7 * 24 * time.Hour
	other, damaged := rehearsal("done", time.Minute), rehearsal("done", time.Minute)
	short := rehearsal("rolled_back", time.Minute)
	short.Worked = false
	other.Digest, damaged.Damage = "d2", "journal of run x is damaged at event 3: it was altered"
	for name, c := range map[string]struct {
		found []task.Rehearsal
		why   string // "" is an open gate
	}{
		"both":             {[]task.Rehearsal{rehearsal("rolled_back", time.Minute), rehearsal("done", week-time.Minute)}, ""},
		"more than both":   {[]task.Rehearsal{other, rehearsal("done", 0), damaged, rehearsal("rolled_back", 0)}, ""},
		"none":             {nil, "plan digest d1 was not rehearsed within 7d: gate"},
		"another digest's": {[]task.Rehearsal{other}, "(1 had another digest: the plan or a file of it was changed since)"},
		"too old":          {[]task.Rehearsal{rehearsal("rolled_back", week+time.Minute), rehearsal("done", week+time.Minute)}, "(2 ended before that)"},
		"one too old":      {[]task.Rehearsal{rehearsal("done", time.Minute), rehearsal("rolled_back", week+time.Minute)}, "and no rehearsal within 7d was rolled back (1 ended before that)"},
		"a little ahead":   {[]task.Rehearsal{rehearsal("rolled_back", -time.Minute), rehearsal("done", -time.Minute)}, ""},
		"in the future":    {[]task.Rehearsal{rehearsal("rolled_back", -time.Hour), rehearsal("done", -time.Hour)}, "(2 ended in the future, by this clock)"},
		"failed at once":   {[]task.Rehearsal{short, rehearsal("done", time.Minute)}, "(1 was rolled back before a phase that changes something was done)"},
		"not rolled back":  {[]task.Rehearsal{rehearsal("done", time.Minute)}, "was rehearsed to its end at "},
		"only rolled back": {[]task.Rehearsal{rehearsal("rolled_back", time.Minute)}, "and none within 7d went to its end"},
		"half way":         {[]task.Rehearsal{rehearsal("failed", 0), rehearsal("rolling_back", 0), rehearsal("rollback_incomplete", 0)}, "was not rehearsed"},
		"tampered":         {[]task.Rehearsal{damaged, rehearsal("rolled_back", 0)}, "1 cannot be believed: journal of run x is damaged at event 3"},
	} {
		g := &gate.Rehearsed{Within: task.Age(week)}
		env := rehearsedEnv(t, c.found...)
		proof, err := g.Run(t.Context(), env)
		if checked := g.Check(t.Context(), env); (checked == nil) != (err == nil) {
			t.Errorf("%s: Check says %v, Run says %v", name, checked, err)
		}
		switch {
		case c.why == "" && (err != nil || proof.Done != "done-run" || proof.RolledBack != "rolled_back-run"):
			t.Errorf("%s: %+v, %v", name, proof, err)
		case c.why == "":
		case !errors.Is(err, task.ErrClosed) || !strings.Contains(err.Error(), c.why):
			t.Errorf("%s: %v", name, err)
		case !strings.HasPrefix(task.HintOf(err), "phasegate rehearse plans/x.yaml, "):
			t.Errorf("%s: hint %q", name, task.HintOf(err))
		}
	}
}

func TestRehearsalItselfPassesOverTheGate(t *testing.T) {
	t.Parallel()
	env := rehearsedEnv(t)
	env.Rehearsing = true
	g := &gate.Rehearsed{Within: task.Age(time.Hour)}
	if _, err := g.Run(t.Context(), env); task.HintOf(err) != "" || errors.Is(err, task.ErrClosed) || g.Check(t.Context(), env) != nil {
		t.Errorf("%v", err)
	}
}

func TestGateWithoutJournalsIsClosedAndOneThatCannotReadThemFails(t *testing.T) {
	t.Parallel()
	env, gone := tasktest.Env(t), errors.New("the database is gone")
	g := &gate.Rehearsed{Within: task.Age(time.Hour)}
	if _, err := g.Run(t.Context(), env); !errors.Is(err, task.ErrClosed) {
		t.Errorf("%v", err)
	}
	env.Rehearsals = func(context.Context) ([]task.Rehearsal, error) { return nil, gone }
	if _, err := g.Run(t.Context(), env); !errors.Is(err, gone) || errors.Is(err, task.ErrClosed) {
		t.Errorf("%v", err)
	}
	if err := (&gate.Rehearsed{}).Validate(); err == nil {
		t.Error("within of nothing is let through")
	}
}

func TestClosedGateLeavesWhatItSaw(t *testing.T) {
	t.Parallel()
	proof, _ := (&gate.Rehearsed{Within: task.Age(time.Hour)}).Run(t.Context(), rehearsedEnv(t, rehearsal("done", 0)))
	text, err := json.Marshal(proof)
	if err != nil || !strings.Contains(string(text), `"done":"done-run"`) || !strings.Contains(string(text), `"rolled_back":""`) {
		t.Errorf("%s, %v", text, err)
	}
}
