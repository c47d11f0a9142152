package evidence

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/approval"
	"github.com/medlogistics/phasegate/internal/sshtest"
	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/task"
)

func TestWhatPeopleSignedIsHeldAgainstItsSignatureAndTheRun(t *testing.T) {
	t.Parallel()
	key := sshtest.New(t)
	lists := func(line string) Lists {
		l := Lists{}
		l.add("migration.sql", []byte("create table t ();"))
		l.add("approvers", []byte(line+key.Public))
		return l
	}
	sign := func(covers task.Basis) journal.Event {
		said, err := approval.Sign(approval.Decision{Approved: true, By: "bob", At: time.Now(), Covers: covers}, key)
		if err != nil {
			t.Fatal(err)
		}
		return journal.Event{Type: journal.Stated, Seq: 7, Run: "run-1", Step: "ask", Statement: said.Text, Signature: said.Signature}
	}
	good := sign(task.Basis{Run: "run-1", Gate: "ask", Digest: "d1"})
	altered := good
	altered.Statement = strings.Replace(good.Statement, `"approved":true`, `"approved":false`, 1)
	for name, c := range map[string]struct {
		event  journal.Event
		list   string
		result Result
		detail string
	}{
		"as signed":      {good, "bob,dba ", Fits, "an approval in the name of bob, with a valid signature of key SHA256:"},
		"by whom":        {good, "bob,dba ", Fits, ", which is that of bob in approvers;"},
		"another's key":  {good, "alice,dba ", Differs, "which is that of alice in approvers"},
		"an old key":     {good, `bob valid-before="20200101" `, Unproven, "the key of bob was not valid at"},
		"a strange key":  {good, "# bob ", Unproven, "on no list of signers"},
		"altered":        {altered, "bob ", Differs, "verify the signature of bob"},
		"another run's":  {sign(task.Basis{Run: "run-0", Gate: "ask", Digest: "d1"}), "bob ", Differs, "of run run-0"},
		"another gate's": {sign(task.Basis{Run: "run-1", Gate: "other", Digest: "d1"}), "bob ", Differs, "about gate other"},
		"another plan's": {sign(task.Basis{Run: "run-1", Gate: "ask", Digest: "d2"}), "bob ", Differs, "plan digest d2"},
	} {
		found := stated([]journal.Event{{Type: journal.Opened}, c.event}, &journal.State{Run: "run-1", Digest: "d1"}, lists(c.list))
		if len(found) != 1 || found[0].Result != c.result || !strings.Contains(found[0].Detail, c.detail) || found[0].Event != 7 {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

// What was signed holds for what the journal shows that the signer was shown.
func TestWhatPeopleSignedIsHeldAgainstTheReceipts(t *testing.T) {
	t.Parallel()
	key := sshtest.New(t)
	receipt := json.RawMessage(`{"bytes":1}`)
	decision := approval.Decision{Approved: true, By: "bob", At: time.Now().UTC(), Covers: task.Basis{
		Run: "run-1", Gate: "ask", Digest: "d1", Receipts: map[string]string{"backup": hexSum(receipt)},
	}}
	said, err := approval.Sign(decision, key)
	if err != nil {
		t.Fatal(err)
	}
	decision.Via = approval.ViaSSH
	opened, err := json.Marshal(map[string]any{"decisions": []approval.Decision{decision}})
	if err != nil {
		t.Fatal(err)
	}
	begun := journal.Event{Type: journal.Opened, Run: "run-1", Phases: []string{"before", "after"}}
	step := func(receipt json.RawMessage) []journal.Event {
		e := journal.Event{Type: journal.StepStarted, Phase: "before", Step: "backup", Kind: journal.KindStep}
		finished := e
		finished.Type, finished.Status, finished.Receipt = journal.StepFinished, journal.Done, receipt
		return []journal.Event{e, finished}
	}
	gate := func(status journal.Status, receipt json.RawMessage) []journal.Event {
		e := journal.Event{Type: journal.StepStarted, Phase: "after", Step: "ask", Kind: journal.KindGate}
		finished := e
		finished.Type, finished.Status, finished.Receipt = journal.StepFinished, status, receipt
		return []journal.Event{e, finished}
	}
	signed := []journal.Event{{Type: journal.Stated, Run: "run-1", Phase: "after", Step: "ask", Statement: said.Text, Signature: said.Signature}}
	waits, opens := gate(journal.Waiting, nil), gate(journal.Done, opened)
	for name, c := range map[string]struct {
		events [][]journal.Event
		want   string // of the finding that differs
	}{
		"as it was":       {[][]journal.Event{step(receipt), waits, signed, opens}, ""},
		"changed since":   {[][]journal.Event{step(receipt), waits, step(json.RawMessage(`{"bytes":2}`)), signed}, ""},
		"another receipt": {[][]journal.Event{step(json.RawMessage(`{"bytes":2}`)), waits, signed}, "rests on other receipts than the journal has"},
		"nobody signed":   {[][]journal.Event{step(receipt), waits, opens}, "no such signature is in the journal"},
	} {
		events := slices.Concat(append([][]journal.Event{{begun}}, c.events...)...)
		var differs string
		for _, f := range stated(events, &journal.State{Run: "run-1", Digest: "d1"}, Lists{}) {
			if f.Result == Differs {
				differs = f.Detail
			}
		}
		if (differs != "") != (c.want != "") || !strings.Contains(differs, c.want) {
			t.Errorf("%s: %q, want %q", name, differs, c.want)
		}
	}
}
