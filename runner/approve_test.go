package runner

import (
	"testing"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/task"
)

// A gate at which the process died can be decided on: nobody has to go on with the
// run first, only to have it wait.
func TestGateAtWhichTheProcessDiedCanBeDecidedOn(t *testing.T) {
	b := newBench(t, halting())
	b.diesAt("g")
	b.options.Run = b.events[0].Run
	if at, err := WaitingAt(t.Context(), b.plan, b.options, "g"); err != nil || at.Step.ID != "g" {
		t.Fatalf("the gate: %v", err)
	}
	if err := Attest(t.Context(), b.plan, b.options, "g", task.Statement{Text: "{}"}); err != nil {
		t.Fatal(err)
	}
	b.expect(b.run(t.Context()), journal.Done, "g", "c", "d")
	if _, err := WaitingAt(t.Context(), b.plan, b.options, "g"); !isRefused(err) {
		t.Errorf("a gate that is open: %v, want a refusal", err)
	}
}

// The process may have died between making the journal and its first event.
func TestRunWithoutAnEventCannotBeDecidedOn(t *testing.T) {
	b := newBench(t, halting())
	w, err := b.options.Store.Create(t.Context(), "20260101-000000-000-abcd")
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	b.options.Run = "20260101-000000-000-abcd"
	if _, err := WaitingAt(t.Context(), b.plan, b.options, "g"); !isRefused(err) {
		t.Errorf("%v, want a refusal", err)
	}
}
