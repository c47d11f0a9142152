package plan_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/plan/plantest"
	"github.com/medlogistics/phasegate/runner/task"
)

// parsed returns the plan of a text, and fails on any finding.
func parsed(t *testing.T, src string) *plan.Plan {
	t.Helper()
	p, diagnostics := plan.Parse(filepath.Join("testdata", "good", "test.yaml"), []byte(src), plantest.Tasks())
	for _, d := range diagnostics {
		t.Fatal(d.Render())
	}
	return p
}

func loaded(t *testing.T, name string) *plan.Plan {
	t.Helper()
	p, diagnostics, err := plan.Load(filepath.Join("testdata", "good", name), plantest.Tasks())
	if err != nil || len(diagnostics) > 0 {
		t.Fatal(err, diagnostics)
	}
	return p
}

var variables = map[string]string{"APP_ENV": "production", "DATABASE_URL": "postgres://u:hunter22@db/x", "API_SERVICE": "compose://api"}

func environ(t *testing.T, p *plan.Plan, vars map[string]string) plan.Environ {
	t.Helper()
	e, err := p.Environ(t.Context(), envconfig.MapLookuper(vars))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func instance(t *testing.T, p *plan.Plan, id string, v plan.Values) task.Instance {
	t.Helper()
	step, _, ok := p.Step(id)
	if !ok {
		t.Fatalf("no step %s", id)
	}
	i, err := step.Instance(v)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestAPlanIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	p := loaded(t, "full.yaml")
	if p.Name != "auth0-migration" || p.Version != 1 || len(p.Phases) != 2 || len(p.Contacts) != 1 || len(p.Env) != 5 {
		t.Errorf("got %+v", p)
	}
	probe := p.Probes[0]
	if probe.Every != 200*time.Millisecond || probe.Timeout != 2*time.Second {
		t.Errorf("the probe is %+v, want the default timeout", probe)
	}
	one, two := p.Phases[0], p.Phases[1]
	if one.OnFailure != plan.Halt || !one.KeepGoing || two.OnFailure != plan.Rollback || two.Downtime != 5*time.Minute {
		t.Errorf("got %+v and %+v", one, two)
	}
	dump, phase, _ := p.Step("dump")
	if phase.Name != "backup" || dump.Timeout != 90*time.Minute || dump.Retry.Times != 3 || dump.Retry.Wait != 10*time.Second {
		t.Errorf("got %+v", dump)
	}
	if dump.Task.Name != "postgres/backup" || dump.Pos != (plan.Position{Line: 29, Column: 9}) {
		t.Errorf("got %s at %v", dump.Task.Name, dump.Pos)
	}
	more, _, _ := p.Step("more")
	if got := more.Needs(); !slices.Equal(got, []string{"dump", "ready"}) {
		t.Errorf("more needs %q", got)
	}
	asserted, _, _ := p.Step("assert-ready")
	if got := asserted.Needs(); !slices.Equal(got, []string{"ready"}) {
		t.Errorf("assert-ready needs %q", got)
	}
}

func TestAnInstanceHoldsDefaultsLiteralsAndReferences(t *testing.T) {
	t.Parallel()
	p := loaded(t, "full.yaml")
	v := plan.Values{Env: environ(t, p, variables), Run: "r1", Digest: "d1"}
	got := *instance(t, p, "dump", v).Config().(*plantest.Backup)
	plain := "${{ no reference }}"
	want := plantest.Backup{
		DSN: redact.NewSecret(variables["DATABASE_URL"]), To: "backups/r1-d1.dump", Jobs: 4, Rate: 0.5, Full: true,
		Level: "full", Wait: 5 * time.Second, Largest: 5 << 30, Share: 0.8, Config: task.Path(filepath.Join(p.Dir, "full.yaml")),
		Tables: []string{"users", "drug_transfers"}, Labels: map[string]int{"a": 1, "b": 2},
		Compare: &plantest.Comparison{Column: "id", Rows: 3}, Columns: []plantest.Comparison{{Column: "a"}, {Column: "b", Rows: 1}}, Optional: &plain,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got.DSN.Reveal() != variables["DATABASE_URL"] {
		t.Error("the secret is not the variable's")
	}
}

func TestAReferenceToAReceiptKeepsItsType(t *testing.T) {
	t.Parallel()
	p := loaded(t, "full.yaml")
	note := "fine"
	receipt, err := json.Marshal(plantest.BackupReceipt{
		SizeBytes: 1 << 40, Rate: 0.25, Proven: true, Tables: []string{"a"}, Ports: []int{1, 2}, Took: 3 * time.Second,
		Finished: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Note: &note,
	})
	if err != nil {
		t.Fatal(err)
	}
	v := plan.Values{Env: environ(t, p, variables), Receipts: map[string]json.RawMessage{
		"dump": receipt, "ready": json.RawMessage(`{"version": 15}`),
	}}
	got := *instance(t, p, "more", v).Config().(*plantest.Backup)
	want := plantest.Backup{
		DSN: redact.NewSecret(variables["DATABASE_URL"]), To: "1099511627776 bytes by 2026-01-02T03:04:05Z", Jobs: 15,
		Rate: 0.25, Full: true, Tables: []string{"a"}, Ports: []int{1, 2}, Wait: 3 * time.Second, Optional: &note,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAConditionIsEvaluatedWhenItsTurnComes(t *testing.T) {
	t.Parallel()
	p := loaded(t, "full.yaml")
	for receipt, want := range map[string]bool{
		`{"success_rate": 1, "failed": 0}`:    true,
		`{"success_rate": 0.99, "failed": 0}`: false,
		`{"success_rate": 1}`:                 false,
	} {
		v := plan.Values{Receipts: map[string]json.RawMessage{"ready": json.RawMessage(receipt)}}
		got := instance(t, p, "assert-ready", v).Config().(*plantest.Assert).That
		if got.Holds != want || got.Source != "steps.ready.success_rate == 1 && steps.ready.failed == 0" {
			t.Errorf("%s: got %+v", receipt, got)
		}
	}
}

const chain = `version: 1
name: chain
env: { JOBS: { default: "2" }, DSN: { secret: true } }
phases:
  - name: one
    irreversible: a test
    steps:
      - { id: dump, task: postgres/backup, with: { dsn: "${{ env.DSN }}", jobs: "${{ env.JOBS }}" } }
      - id: web
        task: web/check
        with:
          url: http://localhost/${{ steps.dump.file }}
          status: ${{ steps.dump.size_bytes }}
`

func TestAReferenceThatCannotBeResolvedNamesItsPlace(t *testing.T) {
	t.Parallel()
	p := parsed(t, chain)
	env := environ(t, p, map[string]string{"DSN": "postgres://x"})
	for _, c := range []struct{ receipt, want string }{
		{`{"file": "f", "size_bytes": 7}`, "test.yaml:11:9: status 7 is none of HTTP's"},
		{`{"file": "f", "size_bytes": "x"}`, "test.yaml:13:29: steps.dump.size_bytes is not a number"},
		{`{"file": "f"}`, "test.yaml:13:29: steps.dump.size_bytes is not in the receipt"},
		{`[]`, "test.yaml:12:43: steps.dump.file cannot be read: the receipt is not an object"},
	} {
		step, _, _ := p.Step("web")
		_, err := step.Instance(plan.Values{Env: env, Receipts: map[string]json.RawMessage{"dump": json.RawMessage(c.receipt)}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.receipt, err, c.want)
		}
	}
}

func TestAStepThatLeftNoReceiptIsNamed(t *testing.T) {
	t.Parallel()
	p := parsed(t, chain)
	step, _, _ := p.Step("web")
	for _, receipts := range []map[string]json.RawMessage{nil, {"dump": nil}, {"dump": json.RawMessage("null")}} {
		_, err := step.Instance(plan.Values{Env: environ(t, p, map[string]string{"DSN": "x"}), Receipts: receipts})
		var missing *plan.MissingReceiptError
		if !errors.As(err, &missing) || missing.Step != "dump" || !strings.Contains(err.Error(), "test.yaml:12:43: ") {
			t.Errorf("got %v", err)
		}
	}
}

func TestAVariableOfTheWrongKindIsAnErrorAtItsUse(t *testing.T) {
	t.Parallel()
	p := parsed(t, chain)
	step, _, _ := p.Step("dump")
	for value, want := range map[string]string{
		"many": `test.yaml:8:81: "jobs" wants a whole number, not "many"`,
		"17":   `test.yaml:8:81: "jobs" must be from 1 to 16`,
	} {
		_, err := step.Instance(plan.Values{Env: environ(t, p, map[string]string{"DSN": "x", "JOBS": value})})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestInstancesShareNothing(t *testing.T) {
	t.Parallel()
	p := loaded(t, "full.yaml")
	v := plan.Values{Env: environ(t, p, variables), Receipts: map[string]json.RawMessage{
		"dump": json.RawMessage(`{}`), "ready": json.RawMessage(`{"version": 1, "failed": 0, "success_rate": 1}`),
	}}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, id := range []string{"dump", "again", "assert-ready", "stop-api"} {
				step, _, _ := p.Step(id)
				i, err := step.Instance(v)
				if err != nil {
					t.Error(err)
					return
				}
				if b, ok := i.Config().(*plantest.Backup); ok {
					b.Tables[0], b.Labels["a"] = "changed", 7
				}
			}
		})
	}
	wg.Wait()
	if got := instance(t, p, "dump", v).Config().(*plantest.Backup); got.Tables[0] != "users" || got.Labels["a"] != 1 {
		t.Errorf("an instance sees another's changes: %+v", got)
	}
}

func TestAProbesTargetIsResolved(t *testing.T) {
	t.Parallel()
	p := loaded(t, "full.yaml")
	got, err := p.Probes[0].Target(plan.Values{Env: environ(t, p, variables)})
	if err != nil || got != "http://localhost:8000/health" {
		t.Errorf("got %q, %v", got, err)
	}
	vars := map[string]string{"APP_ENV": "production", "DATABASE_URL": "x", "API_SERVICE": "x", "API_URL": "localhost"}
	if got, err := p.Probes[0].Target(plan.Values{Env: environ(t, p, vars)}); err == nil || !strings.Contains(err.Error(), "full.yaml:14:23: ") {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestEveryVariableThatIsMissingIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	p := loaded(t, "full.yaml")
	_, err := p.Environ(t.Context(), envconfig.MapLookuper(map[string]string{"APP_ENV": "staging", "API_SERVICE": ""}))
	want := "APP_ENV is not \"production\"\nDATABASE_URL is not set (The database)\nAPI_SERVICE is empty"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	hint := task.HintOf(err)
	for _, name := range []string{"APP_ENV='production'", "DATABASE_URL=", "API_SERVICE="} {
		if !strings.Contains(hint, "export "+name) {
			t.Errorf("the hint %q does not say how to set %s", hint, name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Environ(ctx, envconfig.MapLookuper(variables)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestADefaultStandsInForAnUnsetOrEmptyVariable(t *testing.T) {
	t.Parallel()
	p := loaded(t, "full.yaml")
	for set, want := range map[string]string{"": "4", "8": "8"} {
		vars := map[string]string{"JOBS": set}
		maps.Copy(vars, variables)
		if got, ok := environ(t, p, vars).Lookup("JOBS"); !ok || got != want {
			t.Errorf("JOBS=%q: got %q, want %q", set, got, want)
		}
	}
}

func TestAnEnvironHidesItsValues(t *testing.T) {
	t.Parallel()
	p := loaded(t, "full.yaml")
	e := environ(t, p, variables)
	secrets := e.Secrets()
	if len(secrets) != 1 || secrets[0].Reveal() != variables["DATABASE_URL"] {
		t.Errorf("got %d secrets", len(secrets))
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "env", e, "values", plan.Values{Env: e})
	encoded, err := json.Marshal(plan.Values{Env: e})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", e, e, e, plan.Values{Env: e}), log.String(), string(encoded)} {
		if strings.Contains(text, "hunter22") {
			t.Errorf("%s", text)
		}
	}
}
