package auth0

import (
	"testing"
	"time"

	emulator "github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/tasktest"
)

// wards gives every user a ward, which goes into app_metadata.
func (s *scene) wards() {
	s.exec("alter table users add ward text default 'A1'")
	s.exec("delete from medication_administrations; delete from medication_orders; delete from drug_transfers") // they hold users
}

// withWards returns a way to move users with their wards, and the check of it.
func (s *scene) withWards(method string) (*ImportUsers, *VerifyUsers) {
	i, v := s.methods()[method], s.verifier()
	i.Users.AppMetadata = map[string]string{"ward": "ward"}
	v.Users = i.Users
	return i, v
}

// change changes everything of one row that an account takes from it.
func (s *scene) change(row string) {
	s.exec(`update users set email = 'new.' || email, full_name = 'New Name', ward = 'B2',
		role = case role::text when 'doctor' then 'nurse' else 'doctor' end::userrole where id = $1`, row)
}

// isAsItsRow fails the test unless an account says what change has written.
func (s *scene) isAsItsRow(row string) {
	s.t.Helper()
	u, _ := s.tenant.User("auth0|ml-" + row)
	if u.Email != s.text("select lower(email) from users where id = $1", row) || u.Name != "New Name" || u.AppMetadata["ward"] != "B2" || !u.EmailVerified {
		s.t.Errorf("the account of a row that changed says %s, %s, %v", u.Email, u.Name, u.AppMetadata)
	}
}

// verified fails the test unless the check finds just as many accounts without a row.
func (s *scene) verified(v *VerifyUsers, extra int64) {
	s.t.Helper()
	r, err := v.Run(s.t.Context(), tasktest.Env(s.t))
	if (err == nil) != (extra == 0) || r.Differences != extra || r.Extra != extra || r.Linked != r.Users {
		s.t.Errorf("the check says %v, %+v", err, r)
	}
}

func TestRowsThatChangeBeforeTheyAreLinkedAreMended(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"create", "import"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			s := sceneOf(t, users(60), emulator.Config{Plan: emulator.Unlimited, Jobs: emulator.JobSpeed{Start: 400 * time.Millisecond}})
			s.wards()
			// Their accounts are made by now, and the roles not given yet.
			s.tenant.Fault(emulator.Fault{Endpoint: "POST /api/v2/roles/{id}/users", Count: 1, Do: emulator.HangAfter(time.Second)})
			changed := make(chan struct{})
			go func() {
				defer close(changed)
				eventually(t, "roles are given", func() bool { return s.tenant.Disturbed() > 0 })
				s.change(s.nth(3))
				s.change(s.nth(30))
			}()
			i, v := s.withWards(method)
			r, err := i.Run(t.Context(), tasktest.Env(t))
			must(t, err)
			<-changed
			if r.Created != 60 || r.Adopted != 0 || r.Failed != 0 || r.Mended == 0 {
				t.Errorf("the receipt says %+v", r)
			}
			s.isAsItsRow(s.nth(3))
			s.isAsItsRow(s.nth(30))
			s.verified(v, 0)
			s.exactlyOnce(0)
			if n := len(s.tenant.Mails()); n > 0 {
				t.Errorf("%d mails went out", n)
			}
		})
	}
}

func TestRowsThatChangeAfterTheyAreLinkedAreMendedAndThoseDeletedReported(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"create", "import"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, users(120))
			s.wards()
			first, second, gone := s.nth(3), s.nth(30), s.nth(7)
			env := tasktest.Env(t)
			done := false
			env.Progress = func(int64, int64, string) {
				if done || s.number("select count(auth0_user_id) from users where id = any($1::text[]::uuid[])", []string{first, second, gone}) < 3 {
					return
				}
				done = true
				s.change(first)
				s.change(second)
				s.exec("delete from users where id = $1", gone)
			}
			i, v := s.withWards(method)
			r, err := i.Run(t.Context(), env)
			must(t, err)
			if !done || r.Created != 120 || r.Mended != 2 || r.Permanent != 1 || r.Transient != 0 {
				t.Errorf("the receipt says %+v", r)
			}
			s.tableSays(r.Table, map[string]reason{gone: rowChanged})
			s.isAsItsRow(first)
			s.isAsItsRow(second)
			s.verified(v, 1)
			s.tenant.DeleteUser("auth0|ml-" + gone)
			s.verified(v, 0)
			s.exactlyOnce(0)
		})
	}
}

// The account of a row whose new address was somebody else's is mended by the next
// call, when the address is free.
func TestARowThatCouldNotBeMendedIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(120))
	s.wards()
	changed := s.nth(3)
	must(t, s.tenant.PutUser(emulator.User{ID: "auth0|else", Email: "new." + s.email(changed)}))
	env := tasktest.Env(t)
	done := false
	env.Progress = func(int64, int64, string) {
		if !done && s.number("select count(auth0_user_id) from users where id = $1", changed) > 0 {
			done = true
			s.change(changed)
		}
	}
	i, v := s.withWards("create")
	r, err := i.Run(t.Context(), env)
	must(t, err)
	if !done || r.Permanent != 1 || r.Mended != 0 {
		t.Errorf("the receipt says %+v", r)
	}
	s.tenant.DeleteUser("auth0|else")
	r, err = i.Run(t.Context(), env)
	must(t, ignoreSkip(r, err))
	if r.Mended != 1 || r.Failed != 0 {
		t.Errorf("the second receipt says %v, %+v", err, r)
	}
	s.isAsItsRow(changed)
	s.verified(v, 0)
	if l, err := openLedger(env.Dir); err != nil || l.old {
		t.Errorf("the ledger is still there: %v", err)
	}
}

// No account can be given another hash: who has the former password is reported,
// whether the row was linked by then or not, and gets everything else.
func TestPasswordsThatChangeWhileUsersMoveAreReported(t *testing.T) {
	t.Parallel()
	for name, linked := range map[string]bool{"before it is linked": false, "after it is linked": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sceneOf(t, users(120), emulator.Config{Plan: emulator.Unlimited, Jobs: emulator.JobSpeed{Start: 200 * time.Millisecond}})
			s.wards()
			secret, both := s.nth(3), s.nth(30)
			env, done := tasktest.Env(t), false
			change := func() {
				done = true
				s.exec("update users set hashed_password = $1 where id = any($2::text[]::uuid[])", s.text("select hashed_password from users where id = $1", s.nth(9)), []string{secret, both})
				s.change(both)
			}
			env.Progress = func(int64, int64, string) {
				if linked && !done && s.number("select count(auth0_user_id) from users where id = any($1::text[]::uuid[])", []string{secret, both}) == 2 {
					change()
				}
			}
			changed := make(chan struct{})
			if !linked {
				s.tenant.Fault(emulator.Fault{Endpoint: "POST /api/v2/roles/{id}/users", Count: 1, Do: emulator.HangAfter(time.Second)})
				go func() {
					defer close(changed)
					eventually(t, "roles are given", func() bool { return s.tenant.Disturbed() > 0 })
					change()
				}()
			} else {
				close(changed)
			}
			i, v := s.withWards("import")
			i.Users.PasswordHash = "hashed_password"
			r, err := i.Run(t.Context(), env)
			must(t, err)
			<-changed
			if !done || r.Created != 120 || r.Permanent != 2 || r.Transient != 0 || r.ByReason[string(passwordChanged)] != 2 {
				t.Errorf("the receipt says %+v", r)
			}
			s.tableSays(r.Table, map[string]reason{secret: passwordChanged, both: passwordChanged})
			s.isAsItsRow(both)
			s.verified(v, 0)
			s.exactlyOnce(0)
		})
	}
}

// What an interrupted call has begun is compared by the next one, however long
// after.
func TestRowsThatChangeBetweenAKillAndTheNextCallAreMended(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"create", "import"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, users(150))
			s.wards()
			dir := t.TempDir()
			s.tenant.Fault(emulator.Fault{Endpoint: "POST /api/v2/roles/{id}/users", After: map[string]int{"create": 4, "import": 2}[method], Do: emulator.Hang(60e9)})
			i, v := s.withWards(method)
			cmd := s.start(i, dir)
			eventually(t, "accounts lack their roles", func() bool { return s.tenant.Disturbed() > 0 })
			s.kill(cmd)
			s.tenant.ClearFaults()
			rows := s.begun()
			s.change(rows[1])
			s.exec("update users set email = 'only.' || email where id = $1", rows[2])
			s.exec("delete from users where id = any($1::text[]::uuid[])", []string{rows[0], rows[3]})
			env := tasktest.Env(t)
			env.Dir = dir
			r, err := i.Run(t.Context(), env)
			must(t, ignoreSkip(r, err))
			s.tableSays(r.Table, map[string]reason{rows[0]: rowChanged, rows[3]: rowChanged})
			s.isAsItsRow(rows[1])
			s.verified(v, 2)
		})
	}
}

// begun returns ids of rows that have accounts: the first two rows, and two of the
// last that have one.
func (s *scene) begun() []string {
	s.t.Helper()
	var made []string
	for n := range s.number("select count(*) from users") {
		if _, ok := s.tenant.User("auth0|ml-" + s.nth(n)); ok {
			made = append(made, s.nth(n))
		}
	}
	return []string{made[0], made[1], made[len(made)-2], made[len(made)-1]}
}

func TestTheLedgerHoldsNothingOfAnyPersonAndGoesWhenAllIsDone(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(30))
	env := tasktest.Env(t)
	s.tenant.Fault(emulator.Fault{Endpoint: creating, After: 10, Do: emulator.Status(403)})
	_, err := s.importer().Run(t.Context(), env)
	if err == nil {
		t.Fatal("it did not end early")
	}
	l, err := openLedger(env.Dir)
	must(t, err)
	info, err := l.file.Stat()
	must(t, err)
	if info.Mode().Perm() != 0o600 || !l.old || l.salt == 0 {
		t.Errorf("the ledger has mode %o and salt %d", info.Mode().Perm(), l.salt)
	}
	seen := 0
	must(t, l.each(7, func(some []link) error {
		seen += len(some)
		return nil
	}))
	must(t, l.close(false))
	if seen != 30 {
		t.Errorf("the ledger has %d rows", seen)
	}
	s.tenant.ClearFaults()
	s.move(env)
	if l, err = openLedger(env.Dir); err != nil || l.old {
		t.Errorf("the ledger is still there: %v", err)
	}
}
