package gate_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	said "github.com/medlogistics/phasegate/internal/approval"
	"github.com/medlogistics/phasegate/internal/sshtest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
	"github.com/medlogistics/phasegate/tasks/gate"
)

// A signing is a gate that bob may open with his key, in a run that goes on.
type signing struct {
	*testing.T
	key  sshtest.Key
	gate gate.Approval
	env  *task.Env
}

func newSigning(t *testing.T) *signing {
	t.Helper()
	key := sshtest.New(t)
	list := filepath.Join(t.TempDir(), "signers")
	if err := os.WriteFile(list, []byte("bob "+key.Public), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &signing{T: t, key: key, env: tasktest.Env(t)}
	s.gate = gate.Approval{Signers: task.Path(list), Word: "approve", Min: 1, Expires: time.Hour}
	s.env.Basis = task.Basis{Plan: "move", Digest: planDigest, Run: "run-1", Phase: "schema", Gate: "approve"}
	return s
}

// says has bob sign, by a clock that is ahead.
func (s *signing) says(approved bool, ahead time.Duration) {
	s.Helper()
	statement, err := said.Sign(said.Decision{Approved: approved, By: "bob", At: time.Now().Add(ahead), Covers: s.env.Basis}, s.key)
	if err != nil {
		s.Fatal(err)
	}
	s.env.Statements = append(s.env.Statements, statement)
}

// looks has the run look at the gate, and keeps its receipt.
func (s *signing) looks(ctx context.Context) error {
	s.Helper()
	receipt, err := s.gate.Run(ctx, s.env)
	raw, encoding := json.Marshal(receipt)
	if encoding != nil {
		s.Fatal(encoding)
	}
	s.env.Saved = raw
	return err
}

func (s *signing) isOpen(open bool, why string) {
	s.Helper()
	if err := s.looks(s.Context()); (err == nil) != open {
		s.Errorf("%s: open is %t: %v", why, !open, err)
	}
}

// A rejection that was signed by a clock that was ahead can be taken back at
// once, and the approval counts also when the rejection's date has come.
func TestARejectionIsTakenBackWhateverItsDate(t *testing.T) {
	t.Parallel()
	s := newSigning(t)
	s.says(false, 30*time.Minute)
	s.isOpen(false, "rejected")
	s.says(true, 0)
	s.isOpen(true, "taken back")
	s.isOpen(true, "looked at again")
}

// Whoever can write the journal, and has no key, cannot put bob's approval after
// his rejection.
func TestAnOldApprovalThatIsCopiedBehindARejectionCountsForNothing(t *testing.T) {
	t.Parallel()
	s := newSigning(t)
	s.says(true, -time.Minute)
	s.says(false, 0)
	s.env.Statements = append(s.env.Statements, s.env.Statements[0])
	err := s.looks(t.Context())
	if err == nil || !strings.Contains(err.Error(), "rejected by bob") {
		t.Errorf("the gate said %v", err)
	}
	if !strings.Contains(string(s.env.Saved), "the same statement was there before") {
		t.Errorf("the receipt does not tell: %s", s.env.Saved)
	}
}

// What was typed and what was signed keep their order when the run goes on.
func TestTheLastWordIsTheLastOneHeardTypedOrSigned(t *testing.T) {
	t.Parallel()
	s := newSigning(t)
	s.env.Account = "bob"
	s.says(false, 30*time.Minute)
	s.env.Ask = func(context.Context, task.Question) (task.Answer, error) {
		return task.Answer{Text: "approve", By: "bob"}, nil
	}
	s.isOpen(true, "typed after it was signed")
	s.env.Ask = nil
	s.isOpen(true, "looked at again")
	s.says(false, -30*time.Minute)
	s.isOpen(false, "signed after it was typed")
}

// A look at the gate that is cut short, or for which the forge does not answer,
// forgets nothing of what people typed before.
func TestWhatWasTypedIsKeptWhenALookIsCutShort(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(*signing) error{
		"interrupted at the question": func(s *signing) error {
			ctx, cancel := context.WithCancel(s.Context())
			s.env.Account = "bob"
			s.env.Ask = func(context.Context, task.Question) (task.Answer, error) { cancel(); return task.Answer{}, ctx.Err() }
			return s.looks(ctx)
		},
		"the forge does not answer": func(s *signing) error {
			s.gate.Environment = "prod"
			s.env.Reviews = func(context.Context) ([]task.Review, error) { return nil, errors.New("502") }
			return s.looks(s.Context())
		},
	} {
		s := newSigning(t)
		s.gate.Signers = ""
		s.env.Account = "bob"
		s.env.Ask = func(context.Context, task.Question) (task.Answer, error) {
			return task.Answer{Text: "reject", By: "bob"}, nil
		}
		s.isOpen(false, "rejected")
		if err := cut(s); err == nil {
			t.Fatalf("%s: the gate is open", name)
		}
		s.gate.Environment, s.env.Reviews, s.env.Account = "", nil, "carol"
		s.env.Ask = func(context.Context, task.Question) (task.Answer, error) {
			return task.Answer{Text: "approve", By: "carol"}, nil
		}
		if err := s.looks(t.Context()); err == nil || !strings.Contains(err.Error(), "rejected by bob") {
			t.Errorf("%s: bob's rejection was forgotten, and the gate said %v", name, err)
		}
	}
}
