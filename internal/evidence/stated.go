package evidence

import (
	"fmt"

	"golang.org/x/crypto/ssh"

	"github.com/medlogistics/phasegate/internal/approval"
	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/task"
)

// stated holds what people signed about gates against their signatures and the
// run. Whether a key was that of somebody who may sign is for the list of
// signers, which the plan's digest covers, and for the gate, whose receipt says.
func stated(events []journal.Event, state *journal.State) []Finding {
	var findings []Finding
	for _, e := range events {
		if e.Type != journal.Stated {
			continue
		}
		f := Finding{What: "approval", Result: Fits, Event: e.Seq, Step: e.Step}
		d, key, err := approval.Verify(task.Statement{Text: e.Statement, Signature: e.Signature})
		what := "an approval"
		if !d.Approved {
			what = "a rejection"
		}
		switch {
		case err != nil:
			f.Result, f.Detail = Differs, err.Error()
		case d.Covers.Run != e.Run || d.Covers.Gate != e.Step || d.Covers.Digest != state.Digest:
			f.Result, f.Detail = Differs, fmt.Sprintf("%s by %s is about gate %s of run %s with plan digest %.12s",
				what, d.By, d.Covers.Gate, d.Covers.Run, d.Covers.Digest)
		default:
			f.Detail = fmt.Sprintf("%s in the name of %s, with a valid signature of key %s; the gate's receipt says whether it counts",
				what, d.By, ssh.FingerprintSHA256(key))
		}
		findings = append(findings, f)
	}
	return findings
}
