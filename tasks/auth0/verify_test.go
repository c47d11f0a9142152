package auth0

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	emulator "github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/sandbox/medlogistics"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
)

func TestVerifyFindsNothingAfterAnImport(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(300))
	s.move(tasktest.Env(t))
	must(t, s.tenant.PutUser(emulator.User{Email: "somebody@else.example"}))
	must(t, s.tenant.PutUser(emulator.User{ID: "auth0|ml-not-ours", Email: "nobody@else.example"}))
	v := s.verifier()
	must(t, v.Validate())
	must(t, v.Check(t.Context(), tasktest.Env(t)))
	r, err := v.Run(t.Context(), tasktest.Env(t))
	must(t, err)
	if r.Users != 300 || r.Linked != 300 || r.Accounts != 302 || r.Unrelated != 2 || r.Differences != 0 {
		t.Errorf("the receipt says %+v", r)
	}
	tasktest.Conform(t, tasktest.Case{
		Spec:      task.Look("auth0/verify-users", &VerifyUsers{}),
		Configure: func(config any) { *config.(*VerifyUsers) = *v },
		Secrets:   []string{v.ClientSecret.Reveal()},
	})
}

func TestVerifyFindsEveryKindOfDifference(t *testing.T) {
	t.Parallel()
	for _, n := range []int{120, 1200} { // a listing has no more than 1,000
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, users(n))
			i := s.importer()
			i.Batch = 500
			_, err := i.Run(t.Context(), tasktest.Env(t))
			must(t, err)
			verifyFindsEveryKind(t, s)
		})
	}
}

// verifyFindsEveryKind makes the table and the tenant differ in every way, and
// fails the test unless each difference is found, and no other.
func verifyFindsEveryKind(t *testing.T, s *scene) {
	t.Helper()
	row := func(n int) string { return s.nth(n) }
	account := func(n int) string { return "auth0|ml-" + s.nth(n) }
	nurse := func(n int) string {
		return s.text("select auth0_user_id from users where role = 'nurse' order by id offset $1 limit 1", n+30)
	}
	want := map[string][]string{}
	note := func(kind string, ids ...string) { want[kind] = append(want[kind], ids...) }

	s.tenant.DeleteUser(account(1))
	note("missing", row(1))
	s.exec("update users set auth0_user_id = null where id in ($1, $2)", row(2), row(3))
	note("unlinked", row(2), row(3))
	note("extra", account(2), account(3))
	s.exec("update users set email = 'changed@medlog.example' where id = $1", row(4))
	note("wrong_email", account(4))

	unassigned, promoted, demoted := nurse(0), nurse(1), nurse(2)
	must(t, s.tenant.SetRoles(unassigned))
	must(t, s.tenant.SetRoles(promoted, "nurse", "doctor"))
	must(t, s.tenant.SetRoles(demoted, "pharmacist"))
	for _, id := range []string{unassigned, promoted, demoted} {
		note("wrong_roles", strings.TrimPrefix(id, "auth0|ml-"))
	}
	withRole := nurse(3)
	must(t, s.tenant.SetRoles(withRole, "nurse", "super_admin")) // not one of those that are mapped
	blocked := nurse(4)
	u, _ := s.tenant.User(blocked)
	u.Blocked = true
	must(t, s.tenant.PutUser(u))
	note("blocked", blocked)
	metadata := nurse(5)
	u, _ = s.tenant.User(metadata)
	u.AppMetadata[markRole] = "doctor"
	must(t, s.tenant.PutUser(u))
	note("wrong_role", metadata)
	alien := nurse(6)
	u, _ = s.tenant.User(alien)
	u.AppMetadata[markRow] = "somebody else's"
	must(t, s.tenant.PutUser(u))
	note("wrong_metadata", alien)
	// Without the constraint two rows can have one account.
	s.exec("alter table users drop constraint users_auth0_user_id_key")
	s.exec("update users set auth0_user_id = $1 where id = $2", account(6), row(5))
	note("duplicates", row(5), row(6))
	note("extra", account(5))

	v := s.verifier()
	env := tasktest.Env(t)
	r, err := v.Run(t.Context(), env)
	if err == nil || task.HintOf(err) == "" {
		t.Fatalf("the error is %v", err)
	}
	if r.Missing != 1 || r.Unlinked != 2 || r.Extra != 3 || r.WrongEmail != 1 || r.WrongRoles != 3 || r.Blocked != 1 || r.WrongRole != 1 || r.Duplicates != 2 || r.WrongMetadata != 1 || r.Unique || r.Differences != 15 {
		t.Errorf("the receipt says %+v", r)
	}
	if !strings.Contains(err.Error(), "no unique constraint") {
		t.Errorf("the error does not tell of the constraint: %v", err)
	}
	got := s.differences(r.Report)
	for kind, ids := range want {
		slices.Sort(ids)
		if !slices.Equal(got[kind], ids) {
			t.Errorf("%s: the report has %v, want %v", kind, got[kind], ids)
		}
	}
	info, err := os.Stat(r.Report)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the report has mode %o", info.Mode().Perm())
	}
	text, err := os.ReadFile(r.Report)
	must(t, err)
	if sum := fmt.Sprintf("%x", sha256.Sum256(text)); sum != r.ReportSHA256 {
		t.Errorf("the receipt has the report's SHA-256 as %q, and it is %s", r.ReportSHA256, sum)
	}
}

// differences returns the ids in a report by kind: the row's where it has one.
func (s *scene) differences(path string) map[string][]string {
	s.t.Helper()
	data, err := os.ReadFile(path)
	must(s.t, err)
	out := map[string][]string{}
	for line := range strings.Lines(string(data)) {
		var d difference
		must(s.t, json.Unmarshal([]byte(line), &d))
		if d.Kind == "" {
			continue
		}
		id := d.Row
		if id == "" {
			id = d.User
		}
		out[d.Kind] = append(out[d.Kind], id)
	}
	for _, ids := range out {
		slices.Sort(ids)
	}
	return out
}

func TestVerifyAllowsAsManyUnlinkedUsersAsItIsTold(t *testing.T) {
	t.Parallel()
	s := newScene(t, medlogistics.Population{Users: 40, Unmigratable: true})
	imported := s.move(tasktest.Env(t))
	v := s.verifier()
	if _, err := v.Run(t.Context(), tasktest.Env(t)); err == nil || !strings.Contains(err.Error(), "3 users without an Auth0 id") {
		t.Errorf("the error is %v", err)
	}
	v.AllowUnlinked = imported.Permanent
	r, err := v.Run(t.Context(), tasktest.Env(t))
	if err != nil || r.Unlinked != 3 {
		t.Errorf("the error is %v, the receipt %+v", err, r)
	}
}

func TestVerifyReadsTheWholeExportHoweverSlow(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(2500)) // more than any listing returns
	i := s.importer()
	i.Batch, i.Workers = 500, 16
	_, err := i.Run(t.Context(), tasktest.Env(t))
	must(t, err)
	s.tenant.Fault(emulator.Fault{Endpoint: "GET /api/v2/jobs/{id}", Count: 2, Do: emulator.Status(502)})
	r, err := s.verifier().Run(t.Context(), tasktest.Env(t))
	must(t, err)
	if r.Accounts != 2500 || r.Linked != 2500 {
		t.Errorf("the receipt says %+v", r)
	}
}

// A job of the tenant that hangs does not take everything that waits for it along.
func TestAnExportThatHangsIsGivenUpOn(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(5))
	s.move(tasktest.Env(t))
	s.tenant.Fault(emulator.Fault{Endpoint: "POST /api/v2/jobs/users-exports", Do: emulator.JobSlow(100 * time.Hour)})
	short := Listing{JobTimeout: 300 * time.Millisecond}
	v, r, p := s.verifier(), s.remover(), s.progress()
	v.Listing, r.Listing, p.Listing = short, short, short
	for name, run := range map[string]func() error{
		"verify": func() error { _, err := v.Run(t.Context(), tasktest.Env(t)); return err },
		"remove": func() error { _, err := r.Run(t.Context(), tasktest.Env(t)); return err },
		"reset":  func() error { _, err := p.Run(t.Context(), tasktest.Env(t)); return err },
	} {
		err := run()
		if err == nil || !strings.Contains(err.Error(), "still pending after 300ms") || !strings.Contains(task.HintOf(err), "job_timeout") {
			t.Errorf("%s: the error is %v", name, err)
		}
		if errors.Is(err, task.ErrClosed) {
			t.Errorf("%s: what is not known counts as a closed gate", name)
		}
	}
}

func TestVerifyFailsWhereTheExportDoes(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(10))
	s.move(tasktest.Env(t))
	s.tenant.Fault(emulator.Fault{Endpoint: "GET /_exports/{file}", Do: emulator.Status(403)})
	if _, err := s.verifier().Run(t.Context(), tasktest.Env(t)); err == nil || !strings.Contains(err.Error(), "read the export") {
		t.Errorf("the error is %v", err)
	}
}
