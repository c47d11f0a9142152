package auth0

import (
	"errors"
	"strings"
	"testing"

	emulator "github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
)

func (s *scene) remover() *RemoveUsers {
	return &RemoveUsers{Access: s.access(), Mapping: s.mapping(), Listing: listing(), RunID: "run-1", Workers: 4}
}

// moveAs moves the users as a run of that name.
func (s *scene) moveAs(run string) {
	s.t.Helper()
	i := s.importer()
	i.RunID = run
	_, err := i.Run(s.t.Context(), tasktest.Env(s.t))
	must(s.t, err)
}

func TestRemoveDeletesJustWhatTheRunHasMade(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(60))
	stranger := emulator.User{ID: "auth0|x", Email: "somebody@else.example"}
	must(t, s.tenant.PutUser(stranger))
	must(t, s.tenant.PutUser(emulator.User{
		ID: "auth0|other-1", Email: "other@else.example", AppMetadata: map[string]any{markOurs: markValue, markRun: "run-1"},
	}))
	// An earlier run has made the first twenty; this one adopts them.
	s.exec("create table late as select * from users order by id offset 20")
	s.exec("delete from medication_administrations; delete from medication_orders; delete from drug_transfers")
	s.exec("delete from users where id in (select id from late)")
	s.moveAs("run-0")
	s.exec("update users set auth0_user_id = null; insert into users select * from late")
	s.moveAs("run-1")

	r := s.remover()
	must(t, r.Validate())
	if _, err := r.Run(t.Context(), tasktest.Env(t)); err == nil || !strings.Contains(err.Error(), "link 40 of them") || task.HintOf(err) == "" {
		t.Fatalf("accounts that rows link: %v", err)
	}
	if n := s.tenant.CountUsers(); n != 62 {
		t.Fatalf("%d accounts are left of 62", n)
	}
	s.exec("update users set auth0_user_id = null")
	must(t, r.Check(t.Context(), tasktest.Env(t)))
	env := tasktest.Env(t)
	removed, err := r.Run(t.Context(), env)
	must(t, err)
	if removed.Found != 40 || removed.Removed != 40 {
		t.Errorf("the receipt says %+v", removed)
	}
	for _, u := range s.tenant.Users() {
		if u.AppMetadata[markRun] == "run-1" && u.ID != "auth0|other-1" {
			t.Errorf("account %s is left", u.ID)
		}
	}
	if n := s.tenant.CountUsers(); n != 22 {
		t.Errorf("%d accounts are left, want the 20 of the earlier run and the 2 of others", n)
	}
	again, err := r.Run(t.Context(), env)
	if _, skipped := errors.AsType[*task.SkipError](err); !skipped || again.Removed != 40 {
		t.Errorf("the second call: %v, %+v", err, again)
	}
}

func TestRemoveGoesOnAfterTroubleAndWithoutTheColumn(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(50))
	s.moveAs("run-1")
	s.exec("alter table users drop column auth0_user_id") // as a rollback of the schema does
	s.tenant.Fault(emulator.Fault{Endpoint: "DELETE /api/v2/users/{id}", After: 20, Count: 1, Do: emulator.Status(403)})
	env, r := tasktest.Env(t), s.remover()
	part, err := r.Run(t.Context(), env)
	if err == nil || part.Removed < 20 || part.Removed == 50 {
		t.Fatalf("the error is %v, the receipt %+v", err, part)
	}
	s.tenant.Fault(emulator.Fault{Endpoint: "DELETE /api/v2/users/{id}", Count: 3, Do: emulator.ResetAfter})
	whole, err := r.Run(t.Context(), env)
	must(t, err)
	if whole.Found != 50 || whole.Removed != 50 || s.tenant.CountUsers() != 0 {
		t.Errorf("%d accounts are left, the receipt says %+v", s.tenant.CountUsers(), whole)
	}
}

func TestRemoveKeepsTheContract(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(10))
	s.moveAs("run-1")
	s.exec("update users set auth0_user_id = null")
	r := s.remover()
	tasktest.Conform(t, tasktest.Case{
		Spec:      task.Of("auth0/remove-users", &RemoveUsers{}),
		Configure: func(config any) { *config.(*RemoveUsers) = *r },
		Secrets:   []string{r.ClientSecret.Reveal()},
	})
}
