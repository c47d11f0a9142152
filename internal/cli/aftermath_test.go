package cli

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/runner"
	"github.com/medlogistics/phasegate/runner/journal"
)

// A sweep kills a plan again and again on one sandbox, each time at another
// point, and looks at what is left. Every point ends rolled back, with
// the database as it was, so that the next one can begin.
type sweep struct {
	*stage
	point  string // what is being tried, for the messages
	store  journal.Store
	before []pg.Table
	kept   int // databases that a run leaves beside the live one

	// What a run leads to that nobody disturbs.
	after    []pg.Table
	accounts []string
	run      []journal.Event
	rollback []journal.Event
}

func newSweep(t *testing.T, users int) *sweep {
	t.Helper()
	s := &sweep{stage: newStage(t, users, auth0.Unlimited), point: "not killed", kept: 1}
	s.before = s.contents()
	s.begin(s.directory())
	return s
}

// disturbNothing carries the plan out and takes it back, to compare with.
func (s *sweep) disturbNothing() *sweep {
	s.Helper()
	s.does(ExitDone, "run", s.plan)
	s.everyoneHasOneAccount()
	s.after, s.accounts, s.run = s.contents(), s.accountIDs(), s.journal()
	for i := range s.after {
		if s.after[i].Schema == "atlas_schema_revisions" {
			s.after[i].Hash = "" // it has the time at which the change was applied
		}
	}
	if changes := pg.Differences(s.before, s.after); len(changes) < 4 || len(s.accounts) < 3 {
		s.Fatalf("the run made %d accounts and changed only: %v", len(s.accounts), changes)
	}
	s.takeBack()
	s.rollback = s.journal()[len(s.run):]
	return s
}

// directory is a new place for journals.
func (s *sweep) directory() string {
	s.Helper()
	dir, err := os.MkdirTemp(s.TempDir(), "runs-")
	if err != nil {
		s.Fatal(err)
	}
	return dir
}

// begin has all calls from here on keep their journals at place.
func (s *sweep) begin(place string) {
	s.Helper()
	s.environ = []string{"PHASEGATE_JOURNAL=" + place}
	var err error
	if s.store, err = openJournal(s.Context(), place); err != nil {
		s.Fatal(err)
	}
}

// dies calls phasegate, which is killed there, and tells whether it was. A call
// that ended before must have ended with code.
func (s *sweep) dies(d death, code int, verb string) bool {
	s.Helper()
	s.point = fmt.Sprintf("%s killed %s", verb, d)
	cmd := s.command(s.Context(), verb, s.plan)
	cmd.Env = append(cmd.Env, deathVariable+"="+d.String())
	output, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		s.Fatal(err)
	}
	got := cmd.ProcessState.ExitCode()
	if got != -1 && got != code {
		s.Fatalf("%s: it exited with %d, want %d:\n%s%s", s.point, got, code, output, s.told())
	}
	return got == -1
}

// diesIn is dies with a moment of a step.
func (s *sweep) diesIn(step string, moment time.Duration, verb string) bool {
	s.Helper()
	s.point = fmt.Sprintf("%s killed %v after the start of %s", verb, moment, step)
	code := s.signalAt(syscall.SIGKILL, verb, started(step), func() bool {
		time.Sleep(moment)
		return true
	})
	if code != -1 && code != ExitDone {
		s.Fatalf("%s: it exited with %d:%s", s.point, code, s.told())
	}
	return code == -1
}

// does calls phasegate to its end, which must be with code.
func (s *sweep) does(code int, args ...string) {
	s.Helper()
	cmd := s.command(s.Context(), args...)
	output, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		s.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		s.Fatalf("%s, then %s: it exited with %d, want %d:\n%s%s", s.point, args[0], got, code, output, s.told())
	}
}

// told is the journal in short.
func (s *sweep) told() string {
	var b strings.Builder
	for _, e := range s.journal() {
		fmt.Fprintf(&b, "\n%3d %s %s %s %s %s", e.Seq, e.Type, e.Phase, e.Step, e.Status, e.Reason)
	}
	return b.String()
}

// journal returns the newest run's events. Those of all runs must fit together.
func (s *sweep) journal() []journal.Event {
	s.Helper()
	runs, err := s.store.Runs(s.Context())
	if err != nil {
		s.Fatalf("%s: %v", s.point, err)
	}
	var newest []journal.Event
	for _, run := range runs {
		events, err := s.store.Read(s.Context(), run)
		if err != nil {
			s.Fatalf("%s: %v", s.point, err)
		}
		if len(events) > 0 {
			newest = events
		}
	}
	return newest
}

// stands returns where the newest run stands once the dead process has let go
// of it; nil if there is none.
func (s *sweep) stands() *journal.State {
	s.Helper()
	events := s.journal()
	if len(events) == 0 {
		return nil
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		state, err := runner.Status(s.Context(), s.store, events[0].Run)
		if err != nil {
			s.Fatalf("%s: %v", s.point, err)
		}
		if !state.Held {
			return state
		}
		if time.Now().After(deadline) {
			s.Fatalf("%s: the dead process has the run still: %+v", s.point, state.Holder)
		}
	}
}

func (s *sweep) expect(want journal.Status) {
	s.Helper()
	if state := s.stands(); state == nil || state.Status != want {
		s.Fatalf("%s: the run does not stand %s:%s", s.point, want, s.told())
	}
}

// goOn types what status says, which must take the run to its end.
func (s *sweep) goOn() {
	s.Helper()
	state := s.stands()
	switch {
	case state == nil:
		s.does(ExitDone, "run", s.plan)
	case state.Status != journal.Done:
		s.does(ExitDone, strings.Fields(next(state))[1:]...)
	}
}

// goBackOn does so with a run that was being rolled back.
func (s *sweep) goBackOn() {
	s.Helper()
	state, events := s.stands(), s.journal()
	if state.Status == journal.RolledBack {
		return
	}
	begun := slices.ContainsFunc(events, func(e journal.Event) bool { return e.Type == journal.RollbackStarted })
	if command := next(state); begun && !strings.HasPrefix(command, "phasegate rollback ") {
		s.Errorf("%s: it stands %s, and the next command is %q:%s", s.point, state.Status, command, s.told())
	}
	s.does(ExitDone, "rollback", s.plan)
}

// takeBack rolls the newest run back, or is told that there is nothing to take
// back, and holds that the database is what it was before.
func (s *sweep) takeBack() {
	s.Helper()
	if state := s.stands(); state == nil || !state.Changed() {
		s.does(ExitUsage, "rollback", s.plan)
		s.isBefore()
		return
	}
	s.does(ExitDone, "rollback", s.plan)
	s.isRolledBack()
}

func (s *sweep) isRolledBack() {
	s.Helper()
	s.expect(journal.RolledBack)
	for _, name := range s.aside() {
		if strings.HasSuffix(name, "_new") || strings.Contains(name, "_phasegate_") {
			s.Errorf("%s, then rolled back: the unfinished copy %s is left", s.point, name)
		}
	}
	s.isBefore()
}

// isBefore holds that nothing is left of the run but accounts of its users. It
// drops what was put aside, so that the next point begins as the first did.
func (s *sweep) isBefore() {
	s.Helper()
	if differences := pg.Differences(s.before, s.contents()); len(differences) > 0 {
		s.Fatalf("%s, then taken back: the database is not what it was:\n%s%s",
			s.point, strings.Join(differences, "\n"), s.told())
	}
	for _, id := range s.accountIDs() {
		if s.accounts != nil && !slices.Contains(s.accounts, id) {
			s.Fatalf("%s, then taken back: account %s belongs to no user", s.point, id)
		}
	}
	s.isHealthy()
	aside := s.aside() // the database that was replaced, or a copy whose making was cut short
	if len(aside) > 1 {
		s.Errorf("%s, then taken back: more than one database was put aside: %v", s.point, aside)
	}
	s.drop(aside...)
}

// isAfter holds that all is as a run leaves it that nobody disturbed.
func (s *sweep) isAfter() {
	s.Helper()
	s.expect(journal.Done)
	if differences := pg.Differences(s.after, s.contents()); len(differences) > 0 {
		s.Fatalf("%s, then resumed: the database is not as a run leaves it:\n%s%s",
			s.point, strings.Join(differences, "\n"), s.told())
	}
	if accounts := s.accountIDs(); !slices.Equal(accounts, s.accounts) {
		s.Fatalf("%s, then resumed: there are %d accounts, want %d: %v", s.point, len(accounts), len(s.accounts), accounts)
	}
	if mails := s.box.Tenant().Mails(); len(mails) > 0 {
		s.Fatalf("%s: %d mails went out to users", s.point, len(mails))
	}
	if aside := s.aside(); len(aside) != s.kept {
		s.Fatalf("%s, then resumed: the run should have left %d copies to go back to and no other database: %v", s.point, s.kept, aside)
	}
	s.isHealthy()
}

func (s *sweep) isHealthy() {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, s.box.Env()["API_URL"]+"/health", nil)
	if err != nil {
		s.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.Fatalf("%s: the API does not answer: %v%s", s.point, err, s.told())
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		s.Fatalf("%s: the API answers %s%s", s.point, response.Status, s.told())
	}
}

// accountIDs are those of the tenant, sorted.
func (s *sweep) accountIDs() []string {
	var ids []string
	for _, user := range s.box.Tenant().Users() {
		ids = append(ids, user.ID)
	}
	slices.Sort(ids)
	return ids
}

// forget empties the tenant, so that the next run makes the accounts again.
func (s *sweep) forget() {
	for _, id := range s.accountIDs() {
		s.box.Tenant().DeleteUser(id)
	}
}

// aside are the databases beside the live one that phasegate made of it.
func (s *sweep) aside() (names []string) {
	s.Helper()
	s.administer(func(conn *pgx.Conn) error {
		rows, err := conn.Query(s.Context(), "select datname from pg_database where starts_with(datname, 'medlogistics_')")
		if err == nil {
			names, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		return err
	})
	return names
}

// drop drops databases. The session of a process that was killed may be dropping
// one of them too.
func (s *sweep) drop(names ...string) {
	s.Helper()
	s.administer(func(conn *pgx.Conn) error {
		for _, name := range names {
			if _, err := conn.Exec(s.Context(), "drop database if exists "+pgx.Identifier{name}.Sanitize()+" with (force)"); err != nil {
				return err
			}
		}
		return nil
	})
}

// administer works as the cluster's superuser.
func (s *sweep) administer(do func(*pgx.Conn) error) {
	s.Helper()
	conn, err := pg.Connect(s.Context(), s.box.Cluster().DSN(pg.Maintenance))
	if err != nil {
		s.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := do(conn); err != nil {
		s.Fatal(err)
	}
}
