package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/approval"
	"github.com/medlogistics/phasegate/internal/sshtest"
	"github.com/medlogistics/phasegate/runner/journal"
)

// approvedPlan is a phase of a and b, and one that bob's signature opens.
const approvedPlan = `
version: 1
name: toy
phases:
  - name: before
    steps:
      - { id: a, task: toy/look, with: { name: a } }
      - { id: b, task: toy/look, with: { name: b } }
  - name: change
    irreversible: it is a toy
    gates:
      - { id: g, task: gate/approval, with: { signers: signers } }
    steps:
      - { id: c, task: toy/do, with: { name: c } }
      - { id: d, task: toy/do, with: { name: d } }
`

// waitingForBob is the bench of a run that waits for the signature of bob, whose
// key comes with it.
func waitingForBob(t *testing.T) (*bench, sshtest.Key, *journal.State) {
	t.Helper()
	key := sshtest.New(t)
	b := newBench(t, halting())
	if err := os.WriteFile(filepath.Join(filepath.Dir(b.path), "signers"), []byte("bob "+key.Public), 0o600); err != nil {
		t.Fatal(err)
	}
	b.edit(approvedPlan)
	state := b.run(t.Context())
	b.expect(state, journal.Waiting, "a", "b")
	b.options.Run = state.Run
	return b, key, state
}

// approves has bob sign for what the gate rests on now.
func (b *bench) approves(key sshtest.Key) *Waiting {
	b.t.Helper()
	at, err := WaitingAt(b.t.Context(), b.plan, b.options, "g")
	if err != nil {
		b.t.Fatal(err)
	}
	said, err := approval.Sign(approval.Decision{Approved: true, By: "bob", At: time.Now().UTC(), Covers: at.Env.Basis}, key)
	if err == nil {
		err = Attest(b.t.Context(), b.plan, b.options, "g", said)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return at
}

func TestAnApprovalRestsOnTheReceiptsThatTheJournalHas(t *testing.T) {
	b, key, _ := waitingForBob(t)
	want := map[string]string{}
	for _, e := range b.events {
		if e.Type == journal.StepFinished && e.Kind == journal.KindStep {
			sum := sha256.Sum256(e.Receipt)
			want[e.Step] = hex.EncodeToString(sum[:])
		}
	}
	if at := b.approves(key); len(want) != 2 || !maps.Equal(at.Env.Basis.Receipts, want) {
		t.Errorf("it rests on %v, and the journal has %v", at.Env.Basis.Receipts, want)
	}
}

// What the gate let happen does not take its approval away.
func TestAnApprovalStillCountsWhenItsPhaseFailedHalfWay(t *testing.T) {
	b, key, _ := waitingForBob(t)
	b.approves(key)
	b.world.when("d", fails(errors.New("no luck")))
	b.expect(b.run(t.Context()), journal.Failed, "c", "d")
	b.world.when("d", nil)
	b.expect(b.run(t.Context()), journal.Done, "d")
}

func TestAnotherReceiptThanWasApprovedClosesTheGateAndIsNamed(t *testing.T) {
	b, key, state := waitingForBob(t)
	b.approves(key)
	events, err := b.options.Store.Read(t.Context(), state.Run)
	if err != nil {
		t.Fatal(err)
	}
	b.options.Dir = t.TempDir()
	b.options.Store = journal.NewDir(b.options.Dir)
	writer, err := b.options.Store.Create(t.Context(), state.Run)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Step == "b" && e.Type == journal.StepFinished {
			e.Receipt = json.RawMessage(`{"name":"other"}`)
		}
		if _, err := writer.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	writer.Close()
	closed := b.run(t.Context())
	b.expect(closed, journal.Waiting)
	if !strings.Contains(closed.Reason, "step b has another receipt than the approver saw") {
		t.Errorf("reason %q", closed.Reason)
	}
}
