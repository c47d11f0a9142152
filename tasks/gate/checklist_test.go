package gate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/gate"
)

func items() []string {
	return []string{"Users know of the maintenance window", "The status page says so", "Monitoring is on"}
}

func checklist() *gate.Checklist { return &gate.Checklist{Items: items(), Word: "yes"} }

func TestEveryItemIsSignedOffByAnAccountAtATime(t *testing.T) {
	t.Parallel()
	p := &person{answers: []string{"yes", "yes", "yes"}}
	receipt, err := checklist().Run(t.Context(), p.env(t))
	if err != nil || receipt.Signed != 3 || receipt.Open != 0 {
		t.Fatalf("receipt %+v, error %v", receipt, err)
	}
	for i, signature := range receipt.Items {
		if signature.Item != items()[i] || signature.By != "ops-7" || signature.At == "" {
			t.Errorf("signature %+v", signature)
		}
	}
}

func TestAfterAnInterruptionOnlyTheItemsLeftAreAsked(t *testing.T) {
	t.Parallel()
	first := &person{answers: []string{"yes"}} // signs one and leaves
	env := first.env(t)
	receipt, err := checklist().Run(t.Context(), env)
	if !errors.Is(err, task.ErrClosed) || receipt.Signed != 1 || receipt.Open != 2 {
		t.Fatalf("receipt %+v, error %v", receipt, err)
	}
	second := &person{answers: []string{"yes", "yes"}}
	next := second.env(t)
	next.Saved = env.Saved
	receipt, err = checklist().Run(t.Context(), next)
	if err != nil || receipt.Signed != 3 || receipt.Items[0].Item != items()[0] {
		t.Fatalf("receipt %+v, error %v", receipt, err)
	}
	if len(second.asked) != 2 || !strings.HasPrefix(second.asked[0].Text, "2 of 3: The status page") {
		t.Errorf("asked %+v", second.asked)
	}
}

func TestWhereNobodyCanBeAskedTheOpenItemsAreNamed(t *testing.T) {
	t.Parallel()
	signed := &person{answers: []string{"yes"}}
	env := signed.env(t)
	_, _ = checklist().Run(t.Context(), env)
	env.Ask = nil
	_, err := checklist().Run(t.Context(), env)
	if !errors.Is(err, task.ErrClosed) || !strings.Contains(err.Error(), "2 of 3 items are not signed off (The status page says so; Monitoring is on)") {
		t.Errorf("error %v", err)
	}
	if task.HintOf(err) == "" {
		t.Error("no hint")
	}
}

func TestAnItemThatIsNotSignedOffLeavesTheGateClosed(t *testing.T) {
	t.Parallel()
	p := &person{answers: []string{"yes", "no", "yes"}}
	receipt, err := checklist().Run(t.Context(), p.env(t))
	if !errors.Is(err, task.ErrClosed) || receipt.Signed != 1 || len(p.asked) != 2 {
		t.Errorf("receipt %+v, error %v, asked %d", receipt, err, len(p.asked))
	}
}

func TestASignatureThatCannotBeRecordedDoesNotCount(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left on device")
	p := &person{answers: []string{"yes", "yes", "yes"}}
	env := p.env(t)
	env.Save = func(any) error { return full }
	if _, err := checklist().Run(t.Context(), env); !errors.Is(err, full) || len(p.asked) != 1 {
		t.Errorf("error %v, asked %d", err, len(p.asked))
	}
}

func TestASavedReceiptThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	env := tasktest.Env(t)
	env.Saved = []byte(`{"items": 3}`)
	if _, err := checklist().Run(t.Context(), env); err == nil || errors.Is(err, task.ErrClosed) {
		t.Errorf("error %v", err)
	}
}
