package auth0

import (
	"encoding/csv"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"

	emulator "github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/sandbox/medlogistics"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
)

// reasonsOf returns the reasons in a report by row.
func reasonsOf(failures []failure) map[string]reason {
	out := map[string]reason{}
	for _, f := range failures {
		out[f.Row] = f.Reason
	}
	return out
}

// nth returns the id of a row, in the order in which they are moved.
func (s *scene) nth(n int) string {
	s.t.Helper()
	return s.text("select id::text from users order by id offset $1 limit 1", n)
}

func (s *scene) email(row string) string {
	s.t.Helper()
	return s.text("select email from users where id = $1", row)
}

func TestEveryKindOfPermanentFailureIsReportedWithItsReason(t *testing.T) {
	t.Parallel()
	s := newScene(t, medlogistics.Population{Users: 60, Unmigratable: true})
	mallory, taken, renamed := s.nth(20), s.nth(21), s.nth(22)
	want := map[string]reason{}
	for _, row := range []struct {
		sql string
		why reason
	}{
		{"select id::text from users where email like 'no address%'", invalidAddress},
		{"select min(id::text) from users group by lower(email) having count(*) > 1", twinAddress},
		{"select max(id::text) from users group by lower(email) having count(*) > 1", twinAddress},
	} {
		want[s.text(row.sql)] = row.why
	}
	// Somebody has the address of one row, and the user_id of another.
	must(t, s.tenant.PutUser(emulator.User{Email: s.email(mallory)}))
	must(t, s.tenant.PutUser(emulator.User{ID: "auth0|ml-" + taken, Email: "somebody@else.example"}))
	must(t, s.tenant.PutUser(emulator.User{
		ID: "auth0|ml-" + renamed, Email: "former@medlog.example",
		AppMetadata: mark(row{id: renamed, role: "nurse"}),
	}))
	want[mallory], want[taken], want[renamed] = foreignAccount, foreignAccount, otherAddress
	s.exec("update users set email = '' where id = $1", s.nth(23))
	want[s.nth(23)] = noAddress

	env := tasktest.Env(t)
	r := s.move(env)
	got := reasonsOf(s.report(r.Report))
	for row, why := range want {
		if got[row] != why {
			t.Errorf("row %s failed for %q, want %q", row, got[row], why)
		}
	}
	if len(got) != len(want) || r.Permanent != int64(len(want)) || r.Transient != 0 || r.Created != 60-int64(len(want)) {
		t.Errorf("%d rows failed, want %d; the receipt says %+v", len(got), len(want), r)
	}
	if r.ByReason["conflict"] != 2 || r.ByReason["duplicate-email"] != 2 || r.SuccessRate != float64(r.Created)/60 {
		t.Errorf("the receipt says %+v", r)
	}
	for _, f := range s.report(r.Report) {
		if f.Do == "" || f.User != "auth0|ml-"+f.Row || f.Kind != "permanent" {
			t.Errorf("the report says %+v", f)
		}
	}
	s.tableSays(r.Table, want)
	if u, _ := s.tenant.User("auth0|ml-" + taken); u.Email != "somebody@else.example" || len(u.AppMetadata) > 0 || len(u.Roles) > 0 {
		t.Errorf("somebody else's account was touched: %+v", u)
	}
}

// tableSays fails the test unless the report's table has just these rows.
func (s *scene) tableSays(path string, want map[string]reason) {
	s.t.Helper()
	file, err := os.Open(path)
	must(s.t, err)
	defer file.Close()
	info, err := file.Stat()
	must(s.t, err)
	rows, err := csv.NewReader(file).ReadAll()
	must(s.t, err)
	if info.Mode().Perm() != 0o600 || len(rows) != len(want)+1 {
		s.t.Errorf("the table has mode %o and %d rows, want %d beside the heading", info.Mode().Perm(), len(rows), len(want))
	}
	for _, row := range rows[1:] {
		if reason(row[3]) != want[row[0]] || row[1] != "auth0|ml-"+row[0] || row[5] == "" {
			s.t.Errorf("the table says %q, want the reason %q", row, want[row[0]])
		}
	}
}

// A misfit is a row that cannot be moved, and what the report has to say of it.
type misfit struct {
	why   reason
	spoil func(s *scene, row string)
	only  Method // "" for both
}

// misfits are one of every lasting kind but those that concern everybody.
func misfits() []misfit {
	set := func(sql string) func(*scene, string) {
		return func(s *scene, row string) { s.exec("update users set "+sql+" where id = $1", row) }
	}
	return []misfit{
		{noAddress, set("email = ''"), ""},
		{invalidAddress, set("email = 'nothing at all'"), ""},
		{twinAddress, set("email = 'Twin@medlog.example'"), ""},
		{twinAddress, set("email = 'twin@medlog.example'"), ""},
		{badID, set("code = 'a b'"), ""},
		{foreignAccount, func(s *scene, row string) { must(s.t, s.tenant.PutUser(emulator.User{Email: s.email(row)})) }, ""},
		{otherAddress, (*scene).renamed, ""},
		{refused, set("full_name = repeat('x', 301)"), Create},
		{badHash, set(`hashed_password = '{"algorithm":"rot13","hash":{"value":"x"}}'`), Import},
	}
}

// renamed makes the account of a row, with another address.
func (s *scene) renamed(id string) {
	code := s.text("select code from users where id = $1", id)
	must(s.t, s.tenant.PutUser(emulator.User{
		ID: "auth0|ml-" + code, Email: "former@medlog.example", AppMetadata: mark(row{id: code, role: "nurse"}),
	}))
}

// TestEveryFailureIsInAllThreePlaces provokes all kinds at once, with both methods,
// and holds the lines, the table and the counts against each other.
func TestEveryFailureIsInAllThreePlaces(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"create", "import"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, users(40))
			s.exec("delete from medication_administrations; delete from medication_orders; delete from drug_transfers")
			s.exec("alter table users add code text")
			s.exec("update users set code = 'c' || n from (select id as key, row_number() over (order by id) as n from users) o where id = key")
			s.exec("alter table users alter code set not null, add unique (code)")
			want, counts := map[string]reason{}, map[string]int64{}
			for n, m := range misfits() {
				if m.only != "" && string(m.only) != method {
					continue
				}
				row := s.nth(n)
				m.spoil(s, row)
				want[s.text("select code from users where id = $1", row)] = m.why
				counts[string(m.why)]++
			}
			unmapped, gone := s.nth(20), s.nth(21)
			for row, why := range map[string]reason{unmapped: unmappedRole, gone: rowChanged} {
				want[s.text("select code from users where id = $1", row)] = why
				counts[string(why)]++
			}
			env, once := tasktest.Env(t), sync.Once{}
			env.Progress = func(int64, int64, string) { // a role that is not mapped at the start ends the run
				once.Do(func() {
					s.exec("update users set role = 'super_admin' where id = $1", unmapped)
					s.exec("delete from users where id = $1", gone)
				})
			}
			i := s.methods()[method]
			i.Users.ID = "code"
			s.holds(i, env, want, counts)
		})
	}
}

// A tenant may ask more of passwords than any that we make, which concerns everybody.
func TestPasswordsThatThePolicyRefusesAreReported(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(5))
	api, _, err := open(s.access())
	must(t, err)
	conn, err := api.Connection(t.Context(), directory)
	must(t, err)
	strict := document{"options": document{"passwordPolicy": "good", "password_complexity_options": document{"min_length": 100}}}
	must(t, api.Mend(t.Context(), strict, "connections", conn.id))
	want := map[string]reason{}
	for n := range 5 {
		want[s.nth(n)] = weakPassword
	}
	s.holds(s.importer(), tasktest.Env(t), want, map[string]int64{string(weakPassword): 5})
	s.exactlyOnce(5)
}

// holds runs an import, and fails the test unless it reports just these rows.
func (s *scene) holds(i *ImportUsers, env *task.Env, want map[string]reason, counts map[string]int64) {
	s.t.Helper()
	r, err := i.Run(s.t.Context(), env)
	must(s.t, err)
	s.tableSays(r.Table, want)
	info, err := os.Stat(r.Report)
	must(s.t, err)
	if info.Mode().Perm() != 0o600 {
		s.t.Errorf("the report has mode %o", info.Mode().Perm())
	}
	lines := s.report(r.Report)
	for _, f := range lines {
		if want[f.Row] != f.Reason || f.Kind != "permanent" || f.Do != f.Reason.advice() || f.User != "auth0|ml-"+f.Row {
			s.t.Errorf("the report says %+v, want the reason %q", f, want[f.Row])
		}
	}
	if len(lines) != len(want) || !maps.Equal(r.ByReason, counts) || r.Permanent != int64(len(want)) || r.Failed != r.Permanent {
		s.t.Errorf("%d lines, the receipt says %+v, want %v", len(lines), r, counts)
	}
}

func TestRunAgainTakesUpOnlyTheFailed(t *testing.T) {
	t.Parallel()
	s := newScene(t, medlogistics.Population{Users: 40, Unmigratable: true})
	env := tasktest.Env(t)
	first := s.move(env)
	if first.Created != 37 || first.Permanent != 3 {
		t.Fatalf("the first receipt says %+v", first)
	}
	s.exec("update users set email = 'mended.' || id || '@medlog.example' where auth0_user_id is null")
	s.tenant.ResetRequests()
	second := s.move(env)
	s.tableSays(second.Table, nil)
	if second.Already != 37 || second.Created != 3 || second.SuccessRate != 1 {
		t.Errorf("the second receipt says %+v", second)
	}
	if n := s.tenant.Requests().Total(creating); n != 3 {
		t.Errorf("%d users were sent, not the three that had failed", n)
	}
	s.exactlyOnce(0)
}

func TestMinSuccessFailsTheStep(t *testing.T) {
	t.Parallel()
	s := newScene(t, medlogistics.Population{Users: 40, Unmigratable: true})
	i := s.importer()
	i.MinSuccess = 1
	r, err := i.Run(t.Context(), tasktest.Env(t))
	if err == nil || task.HintOf(err) == "" || r.Created != 37 || r.SuccessRate != 37.0/40 {
		t.Errorf("the error is %v, the receipt %+v", err, r)
	}
}

func TestAfterARollbackTheAccountsAreAdoptedWithTheRolesOfToday(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(120))
	s.move(tasktest.Env(t))
	s.exec("update users set auth0_user_id = null")
	changed := s.text("select id::text from users where role = 'nurse' order by id limit 1")
	s.exec("update users set role = 'doctor' where id = $1", changed)
	reset := s.text("select 'auth0|ml-' || id from users where role = 'pharmacist' order by id limit 1")
	must(t, s.tenant.SetPassword(reset, "Somebody-chose-th1s"))
	r := s.move(tasktest.Env(t))
	if r.Created != 0 || r.Adopted != 120 || r.SuccessRate != 1 {
		t.Errorf("the receipt says %+v", r)
	}
	if r.MustReset != 119 {
		t.Errorf("%d must reset their password, want all but the one who has", r.MustReset)
	}
	s.exactlyOnce(0)
}

func TestAdoptedAccountsGetTheMetadataOfToday(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]int{"create": 20, "import": 20, "import by an export": mostReads + 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, users(n))
			s.exec("alter table users add ward text default 'A1', add pager int default 7")
			method, _, _ := strings.Cut(name, " ")
			i, v := s.methods()[method], s.verifier()
			i.Users.AppMetadata, i.Users.UserMetadata = map[string]string{"ward": "ward"}, map[string]string{"pager": "pager"}
			v.Users = i.Users
			must(t, ignoreSkip(i.Run(t.Context(), tasktest.Env(t))))
			s.exec("update users set auth0_user_id = null, ward = 'B2', pager = null")
			r, err := i.Run(t.Context(), tasktest.Env(t))
			must(t, err)
			if r.Adopted != int64(n) || r.Mended != int64(n) {
				t.Errorf("the receipt says %+v", r)
			}
			_, err = v.Run(t.Context(), tasktest.Env(t))
			must(t, err)
		})
	}
}

func TestARowThatIsDeletedWhileItsAccountIsMadeIsReported(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(30))
	s.exec("delete from medication_administrations; delete from medication_orders; delete from drug_transfers")
	gone := s.nth(10)
	env := tasktest.Env(t)
	env.Progress = func(done, _ int64, _ string) {
		if done == 29 {
			s.exec("delete from users where id = $1", gone)
		}
	}
	r := s.move(env)
	if got := reasonsOf(s.report(r.Report)); len(got) != 1 || got[gone] != rowChanged || r.Created != 29 {
		t.Errorf("the report says %v, the receipt %+v", got, r)
	}
}

func TestAnAccountThatVanishesBeforeItGetsItsRoleIsMadeAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t, users(30))
	env := tasktest.Env(t)
	vanished := 0
	env.Progress = func(done, _ int64, _ string) {
		if done == 30 {
			for _, n := range []int{3, 4, 17} {
				if s.tenant.DeleteUser("auth0|ml-" + s.nth(n)) {
					vanished++
				}
			}
		}
	}
	r := s.move(env)
	if vanished != 3 || r.Created != 30 || r.Failed != 0 {
		t.Errorf("%d vanished, the receipt says %+v", vanished, r)
	}
	s.exactlyOnce(0)
}
