package plan_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/plan/plantest"
)

const withHooks = `version: 1
name: hooks
phases:
  - name: one
    steps:
      - { id: look, task: web/check, with: { url: "http://localhost/" } }
    rollback:
      - { id: or-else, task: web/check, with: { url: "${{ steps.look.was || 'http://localhost/none' }}" } }
      - { id: in-text, task: web/check, with: { url: "http://${{ steps.look.was || 'nobody' }}/" } }
      - { id: only-then, task: web/check, after: [look], with: { url: "http://localhost/" } }
`

func TestAHookTakesItsDefaultWhereTheStepLeftNothing(t *testing.T) {
	t.Parallel()
	p := parsed(t, withHooks)
	for receipt, want := range map[string][2]string{
		``:                 {"http://localhost/none", "http://nobody/"},
		`null`:             {"http://localhost/none", "http://nobody/"},
		`{}`:               {"http://localhost/none", "http://nobody/"},
		`{"was": "there"}`: {"there", "http://there/"},
	} {
		values := plan.Values{Receipts: map[string]json.RawMessage{"look": json.RawMessage(receipt)}}
		for i, id := range []string{"or-else", "in-text"} {
			step, _, _ := p.Step(id)
			instance, err := step.Instance(values)
			if err != nil {
				t.Fatalf("%s with %q: %v", id, receipt, err)
			}
			if got := instance.Config().(*plantest.Check).URL; got != want[i] {
				t.Errorf("%s with %q: got %q, want %q", id, receipt, got, want[i])
			}
		}
	}
}

func TestAHookWithoutWhatItComesAfterSaysSo(t *testing.T) {
	t.Parallel()
	step, _, _ := parsed(t, withHooks).Step("only-then")
	if needs := step.Needs(); len(needs) != 1 || needs[0] != "look" {
		t.Errorf("the hook needs %v", needs)
	}
	_, err := step.Instance(plan.Values{})
	missing, ok := errors.AsType[*plan.MissingReceiptError](err)
	if !ok || missing.Step != "look" || missing.Pos != (plan.Position{Line: 10, Column: 51}) {
		t.Errorf("got %v", err)
	}
	if _, err := step.Instance(plan.Values{Receipts: map[string]json.RawMessage{"look": json.RawMessage(`{}`)}}); err != nil {
		t.Error(err)
	}
}
