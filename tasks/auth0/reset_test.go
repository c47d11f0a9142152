package auth0

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	emulator "github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
)

const mailing = "POST /dbconnections/change_password"

func (s *scene) resetter() *ResetPasswords {
	id, _, _ := s.tenant.Client("MedLogistics Admin Frontend")
	return &ResetPasswords{Access: s.access(), Mapping: s.mapping(), Application: id}
}

func (s *scene) progress() *ResetProgress {
	return &ResetProgress{Access: s.access(), Mapping: s.mapping(), Listing: listing(), MinDone: 1}
}

// nobodyTwice fails the test if a user got two mails, and returns how many got one.
func (s *scene) nobodyTwice() int {
	s.t.Helper()
	seen := map[string]bool{}
	for _, mail := range s.tenant.Mails() {
		if mail.Template != "reset_email" || seen[mail.UserID] {
			s.t.Errorf("%s was sent to %s, who was mailed before: %v", mail.Template, mail.UserID, seen[mail.UserID])
		}
		seen[mail.UserID] = true
	}
	return len(seen)
}

func TestResetMailsWhoeverNeedsIt(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(60))
	s.move(tasktest.Env(t))
	account := func(n int) string { return "auth0|ml-" + s.nth(n) }
	must(t, s.tenant.SetPassword(account(1), "Somebody-chose-th1s"))
	moved, _ := s.tenant.User(account(2))
	moved.AppMetadata[markReset] = false // the hash came along
	must(t, s.tenant.PutUser(moved))
	blocked, _ := s.tenant.User(account(3))
	blocked.Blocked = true
	must(t, s.tenant.PutUser(blocked))
	s.tenant.DeleteUser(account(4))

	r := s.resetter()
	must(t, r.Validate())
	must(t, r.Check(t.Context(), tasktest.Env(t)))
	env := record(t)
	m, err := r.Run(t.Context(), env.Env)
	must(t, err)
	if m.Users != 60 || m.Mailed != 56 || m.HavePW != 2 || m.LeftOut != 2 || m.Unknown+m.Refused+m.Before != 0 {
		t.Errorf("the receipt says %+v", m)
	}
	if n := s.nobodyTwice(); n != 56 {
		t.Errorf("%d users were mailed", n)
	}
	if strings.Contains(env.everything(t), "@") {
		t.Error("an address was written")
	}
	// Another run of another plan mails nobody again.
	m, err = r.Run(t.Context(), tasktest.Env(t))
	if _, skipped := errors.AsType[*task.SkipError](err); !skipped || m.Before != 56 || m.Mailed != 0 {
		t.Errorf("the second run: %v, %+v", err, m)
	}
	s.nobodyTwice()
}

func TestResetIsSpreadOverTime(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(10))
	s.move(tasktest.Env(t))
	r := s.resetter()
	r.Over = 2 * time.Second
	began := time.Now()
	_, err := r.Run(t.Context(), tasktest.Env(t))
	must(t, err)
	mails := s.tenant.Mails()
	if len(mails) < 2 {
		t.Errorf("%d mails went out", len(mails))
	}
	for n, mail := range mails {
		if after := mail.At.Sub(began); after < time.Duration(n)*200*time.Millisecond {
			t.Errorf("mail %d went out after %s, one every 200 ms would have been later", n, after)
		}
	}
}

func TestResetThatIsInterruptedMailsNobodyTwice(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]emulator.Fault{
		"before a mail":   {Endpoint: mailing, After: 12, Count: 1, Do: emulator.Hang(time.Minute)},
		"behind a mail":   {Endpoint: mailing, After: 12, Count: 1, Do: emulator.HangAfter(time.Minute)},
		"before its mark": {Endpoint: "PATCH /api/v2/users/{id}", After: 30, Count: 1, Do: emulator.Hang(time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, users(40))
			s.move(tasktest.Env(t))
			s.tenant.Fault(fault)
			env := tasktest.Env(t)
			atKill := env.Saved
			save := env.Save
			env.Save = func(receipt any) error {
				err := save(receipt)
				if s.tenant.Disturbed() == 0 {
					atKill = env.Saved // what a process that is killed leaves
				}
				return err
			}
			ctx, kill := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = s.resetter().Run(ctx, env)
			}()
			eventually(t, "the request hangs", func() bool { return s.tenant.Disturbed() == 1 })
			eventually(t, "its effect is there", func() bool {
				return fault.Do != emulator.HangAfter(time.Minute) || len(s.tenant.Mails()) == 13
			})
			kill()
			<-done
			s.tenant.ClearFaults()
			env.Saved = atKill
			m, err := s.resetter().Run(t.Context(), env)
			mailed := s.nobodyTwice()
			if err != nil && m.Unknown != 1 {
				t.Errorf("the second call: %v", err)
			}
			if m.Mailed+m.Unknown != 40 || m.Unknown > 1 || int64(mailed) < m.Mailed || mailed < 39 {
				t.Errorf("%d were mailed, the receipt says %+v", mailed, m)
			}
		})
	}
}

func TestResetTellsOfWhomItIsNotKnown(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(20))
	s.move(tasktest.Env(t))
	s.tenant.Fault(emulator.Fault{Endpoint: mailing, After: 3, Count: 1, Do: emulator.ResetAfter})
	s.tenant.Fault(emulator.Fault{Endpoint: mailing, After: 6, Count: 1, Do: emulator.Status(400)})
	env := tasktest.Env(t)
	m, err := s.resetter().Run(t.Context(), env)
	if err == nil || task.HintOf(err) == "" || m.Unknown != 1 || m.Refused != 1 || m.Mailed != 18 {
		t.Fatalf("the error is %v, the receipt %+v", err, m)
	}
	report, err := os.ReadFile(m.Report)
	must(t, err)
	if strings.Count(string(report), `"kind":"unknown"`) != 1 || strings.Count(string(report), `"kind":"refused"`) != 1 {
		t.Errorf("the report says\n%s", report)
	}
	// Whom the tenant refused is not marked, and a new run asks for that mail again.
	again, err := s.resetter().Run(t.Context(), tasktest.Env(t))
	must(t, err)
	if again.Mailed != 1 || again.Before != 19 || s.nobodyTwice() != 20 {
		t.Errorf("the next receipt says %+v", again)
	}
}

func TestResetStopsWhereNobodyAnswers(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(20))
	s.move(tasktest.Env(t))
	s.tenant.Fault(emulator.Fault{Endpoint: mailing, After: 5, Do: emulator.Status(503)})
	env := tasktest.Env(t)
	m, err := s.resetter().Run(t.Context(), env)
	if err == nil || m.Unknown != mostUnknown || m.Mailed != 5 {
		t.Fatalf("the error is %v, the receipt %+v", err, m)
	}
	s.tenant.ClearFaults()
	m, err = s.resetter().Run(t.Context(), env)
	if err == nil || m.Mailed != 17 || m.Unknown != mostUnknown || s.nobodyTwice() != 17 {
		t.Errorf("the error is %v, the receipt %+v", err, m)
	}
}

// One disabled application does not use up the whole list: the step stops, and
// once that is mended the same run mails everybody.
func TestResetStopsWhereEveryMailIsRefused(t *testing.T) {
	t.Parallel()
	for _, passed := range []int{0, 24, 30} { // in a lot, at its end, in the next
		t.Run(fmt.Sprint(passed), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, users(60))
			s.move(tasktest.Env(t))
			must(t, s.tenant.SetPassword("auth0|ml-"+s.nth(25), "Somebody-chose-th1s")) // among the refused
			s.tenant.Fault(emulator.Fault{Endpoint: mailing, After: passed, Do: emulator.Status(403)})
			env := tasktest.Env(t)
			m, err := s.resetter().Run(t.Context(), env)
			if err == nil || !strings.Contains(task.HintOf(err), "application") || m.Refused != 0 || m.Mailed != int64(passed) {
				t.Fatalf("the error is %v, the receipt %+v", err, m)
			}
			if asked := s.tenant.Requests()[mailing]; asked[200]+asked[403] != passed+mostRefused {
				t.Errorf("the mails that were asked for, by status: %v", asked)
			}
			s.tenant.ClearFaults()
			m, err = s.resetter().Run(t.Context(), env)
			must(t, err)
			if m.Mailed != 59 || m.HavePW != 1 || m.Refused+m.Unknown+m.Before+m.LeftOut != 0 || s.nobodyTwice() != 59 {
				t.Errorf("the receipt says %+v", m)
			}
		})
	}
}

// Single refusals do not stop the others' mails, and are asked for again by the
// next call of the same run.
func TestResetAsksAgainForTheMailsThatWereRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(30))
	s.move(tasktest.Env(t))
	for _, after := range []int{4, 13, 26} { // each counts what the ones before let through
		s.tenant.Fault(emulator.Fault{Endpoint: mailing, After: after, Count: 1, Do: emulator.Status(403)})
	}
	env := tasktest.Env(t)
	m, err := s.resetter().Run(t.Context(), env)
	if err == nil || m.Refused != 3 || m.Mailed != 27 {
		t.Fatalf("the error is %v, the receipt %+v", err, m)
	}
	m, err = s.resetter().Run(t.Context(), env)
	must(t, err)
	if m.Mailed != 3 || m.Before != 27 || m.Refused != 0 || s.nobodyTwice() != 30 {
		t.Errorf("the receipt says %+v", m)
	}
}

func TestProgressIsOpenWhenEverybodyCanLogIn(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(30))
	s.move(tasktest.Env(t))
	g, env := s.progress(), tasktest.Env(t)
	must(t, g.Validate())
	must(t, g.Check(t.Context(), env))
	p, err := g.Run(t.Context(), env)
	if !errors.Is(err, task.ErrClosed) || p.Users != 30 || p.Waiting != 30 || p.Mailed != 0 || p.Share != 0 {
		t.Fatalf("the error is %v, the receipt %+v", err, p)
	}
	_, err = s.resetter().Run(t.Context(), env)
	must(t, err)
	for n := range 15 {
		must(t, s.tenant.SetPassword("auth0|ml-"+s.nth(n), "Somebody-chose-th1s"))
	}
	env.Saved = nil
	p, err = g.Run(t.Context(), env)
	if !errors.Is(err, task.ErrClosed) || p.Done != 15 || p.Mailed != 15 || p.Share != 0.5 {
		t.Errorf("the error is %v, the receipt %+v", err, p)
	}
	list, err := os.ReadFile(p.List)
	must(t, err)
	if got := strings.Count(string(list), "auth0|ml-"); got != 15 || strings.Contains(string(list), "@") {
		t.Errorf("the list names %d users", got)
	}
	g.MinDone = 0.5
	_, err = g.Run(t.Context(), env)
	must(t, err)
}

func TestResetTasksKeepTheContract(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(8))
	s.move(tasktest.Env(t))
	r, g := s.resetter(), s.progress()
	g.MinDone = 0
	tasktest.Conform(t, tasktest.Case{
		Spec:      task.Of("auth0/reset-passwords", &ResetPasswords{}),
		Configure: func(config any) { *config.(*ResetPasswords) = *r },
		Secrets:   []string{r.ClientSecret.Reveal()},
	})
	tasktest.Conform(t, tasktest.Case{
		Spec:      task.Gate("auth0/reset-progress", &ResetProgress{}),
		Configure: func(config any) { *config.(*ResetProgress) = *g },
		Secrets:   []string{r.ClientSecret.Reveal()},
	})
}
