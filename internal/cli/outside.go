package cli

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// addresses are the keys under which tasks are told what they work on.
var addresses = []string{"service", "dsn", "database", "domain", "url"}

// places are the variables by which the sandbox says where its parts are.
var places = []string{
	"DATABASE_URL", "API_URL", "API_SERVICE", "API_URL_A", "API_SERVICE_A", "API_URL_B", "API_SERVICE_B", "AUTH0_DOMAIN",
	"METRICS_URL",
}

// inside refuses a plan that would work on something else than the sandbox: a
// rehearsal answers every gate itself, and must not stop a real service.
func inside(p *plan.Plan, environ plan.Environ, sandbox map[string]string) error {
	values := plan.Values{Env: environ, Run: "rehearsal", Digest: p.Digest, Receipts: standIns(p)}
	for _, phase := range p.Phases {
		for _, list := range [][]plan.Step{phase.Gates, phase.Steps, phase.Rollback} {
			for _, step := range list {
				if err := stepInside(step, values, sandbox); err != nil {
					return fail(ExitUsage, err)
				}
			}
		}
	}
	return nil
}

func stepInside(step plan.Step, values plan.Values, sandbox map[string]string) error {
	instance, err := step.Instance(values)
	if err != nil {
		return fmt.Errorf("step %s cannot be rehearsed: %w", step.ID, err)
	}
	config := reflect.ValueOf(instance.Config()).Elem()
	for _, key := range addresses {
		for _, field := range task.Fields(config.Type()) {
			if field.Key != key || config.FieldByIndex(field.Index).IsZero() {
				continue
			}
			if !fromSandbox(text(config.FieldByIndex(field.Index).Interface()), sandbox) {
				return task.Hint(fmt.Errorf("step %s: %s is not the sandbox's, so it is not rehearsed", step.ID, key),
					"take it from a variable that rehearse sets: "+strings.Join(places, ", "))
			}
		}
	}
	return nil
}

// fromSandbox tells whether an address is one of the sandbox's, or below it.
func fromSandbox(address string, sandbox map[string]string) bool {
	for _, name := range places {
		if own := sandbox[name]; own != "" && strings.HasPrefix(address, own) {
			return true
		}
	}
	return false
}

func text(value any) string {
	if secret, ok := value.(redact.Secret); ok {
		return secret.Reveal()
	}
	return fmt.Sprint(value)
}

// standIns are receipts for what the steps will return: an address never comes
// from one.
func standIns(p *plan.Plan) map[string]json.RawMessage {
	receipts := map[string]json.RawMessage{}
	for _, phase := range p.Phases {
		for _, list := range [][]plan.Step{phase.Gates, phase.Steps, phase.Rollback} {
			for _, step := range list {
				receipts[step.ID] = standIn(step.Task.Receipt)
			}
		}
	}
	return receipts
}

func standIn(receipt reflect.Type) json.RawMessage {
	fields := map[string]any{}
	for _, field := range task.ReceiptFields(receipt) {
		fields[field.Key] = reflect.Zero(field.Type).Interface()
		if field.Type.Kind() == reflect.String {
			fields[field.Key] = "rehearsal"
		}
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return nil // its references are then reported as missing
	}
	return raw
}
