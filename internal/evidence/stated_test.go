package evidence

import (
	"crypto/ed25519"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/medlogistics/phasegate/internal/approval"
	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/task"
)

func TestWhatPeopleSignedIsHeldAgainstItsSignatureAndTheRun(t *testing.T) {
	t.Parallel()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
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
		result Result
		detail string
	}{
		"as signed":      {good, Fits, "an approval in the name of bob, with a valid signature of key SHA256:"},
		"altered":        {altered, Differs, "verify the signature of bob"},
		"another run's":  {sign(task.Basis{Run: "run-0", Gate: "ask", Digest: "d1"}), Differs, "of run run-0"},
		"another gate's": {sign(task.Basis{Run: "run-1", Gate: "other", Digest: "d1"}), Differs, "about gate other"},
		"another plan's": {sign(task.Basis{Run: "run-1", Gate: "ask", Digest: "d2"}), Differs, "plan digest d2"},
	} {
		found := stated([]journal.Event{{Type: journal.Opened}, c.event}, &journal.State{Run: "run-1", Digest: "d1"})
		if len(found) != 1 || found[0].Result != c.result || !strings.Contains(found[0].Detail, c.detail) || found[0].Event != 7 {
			t.Errorf("%s: %+v", name, found)
		}
	}
}
