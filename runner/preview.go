package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// A Foreseen is what is known beforehand of one step. Without a Preview its task
// tells nothing; Err is why it could not.
type Foreseen struct {
	Phase, Step string
	Kind        journal.Kind
	Preview     *task.Preview
	Err         error
}

// Preview asks every step of the asked-for phases what it would do. It journals
// nothing and changes nothing.
func Preview(ctx context.Context, p *plan.Plan, o Options, report func(Foreseen)) error {
	phases, err := between(p, o.From, o.To)
	if err != nil {
		return err
	}
	values := plan.Values{Env: o.Environ, Run: "<run.id>", Digest: p.Digest, Receipts: placeholders(p)}
	return walk(ctx, phases, func(phase *plan.Phase, step *plan.Step, kind journal.Kind) {
		report(foresee(ctx, phase, step, kind, values, o))
	})
}

func foresee(
	ctx context.Context, phase *plan.Phase, step *plan.Step, kind journal.Kind, values plan.Values, o Options,
) (f Foreseen) {
	f = Foreseen{Phase: phase.Name, Step: step.ID, Kind: kind}
	defer func() {
		if panicked := recover(); panicked != nil {
			f.Err = fmt.Errorf("panic: %v", panicked)
		}
	}()
	instance, err := step.Instance(values)
	if err != nil {
		f.Err = err
		return f
	}
	previewer, ok := instance.Config().(task.Previewer)
	if !ok {
		return f
	}
	preview, err := previewer.Preview(ctx, &task.Env{
		Log: o.Log, Dir: o.Dir,
		Save:     func(any) error { return errors.New("a preview saves nothing") },
		Progress: func(int64, int64, string) {},
	})
	if err != nil {
		f.Err = err
		return f
	}
	f.Preview = &preview
	return f
}

// placeholders are receipts of steps that have not run: a text says where it
// will come from, anything else is zero.
func placeholders(p *plan.Plan) map[string]json.RawMessage {
	receipts := map[string]json.RawMessage{}
	_ = walk(context.Background(), p.Phases, func(_ *plan.Phase, step *plan.Step, _ journal.Kind) {
		fields := map[string]any{}
		for _, field := range task.ReceiptFields(step.Task.Receipt) {
			fields[field.Key] = reflect.Zero(field.Type).Interface()
			if field.Type.Kind() == reflect.String {
				fields[field.Key] = "<" + step.ID + "." + field.Key + ">"
			}
		}
		if raw, err := json.Marshal(fields); err == nil {
			receipts[step.ID] = raw
		}
	})
	return receipts
}
