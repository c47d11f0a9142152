package cli

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// With the journal in PostgreSQL, another machine goes on where one died: here
// another directory, which shares nothing with the first but the plan.
func TestAnotherMachineGoesOnWithTheRun(t *testing.T) {
	t.Parallel()
	s := newStage(t, 30, auth0.Enterprise)
	before := s.contents()
	place := s.database("phasegate")
	s.environ = append(s.environ, "PHASEGATE_JOURNAL="+place)
	s.killAt("run", started("users"), func() bool { return s.box.Accounts() >= 10 })
	s.move()
	s.phasegate(ExitDone, "run", s.plan)
	s.everyoneHasOneAccount()
	if output := s.phasegate(ExitDone, "status"); !strings.Contains(output, "done") || strings.Count(output, "auth0-migration") != 1 {
		t.Errorf("status of the one run:\n%s", output)
	}
	s.killAt("rollback", started("put-back"), always)
	s.move()
	s.phasegate(ExitDone, "rollback", s.plan)
	if differences := pg.Differences(before, s.contents()); len(differences) > 0 {
		t.Errorf("the rollback did not restore:\n%s", strings.Join(differences, "\n"))
	}
}

func TestJournalInTheDatabaseOfThePlanIsRefused(t *testing.T) {
	t.Parallel()
	s := newStage(t, 5, auth0.Unlimited)
	s.environ = append(s.environ, "PHASEGATE_JOURNAL="+s.box.DatabaseURL().Reveal())
	for _, database := range []string{s.box.DatabaseURL().Reveal(), keywords(t, s.box.DatabaseURL().Reveal())} {
		s.environ = append(s.environ, "DATABASE_URL="+database)
		output := s.phasegate(ExitUsage, "run", s.plan)
		if !strings.Contains(output, "a rollback would wipe it") || !strings.Contains(output, "hint: ") {
			t.Errorf("the refusal does not say why:\n%s", output)
		}
	}
}

// keywords is a database's URL in libpq's other form.
func keywords(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	settings := []string{"dbname=" + strings.TrimPrefix(u.Path, "/"), "user=" + u.User.Username()}
	if password, ok := u.User.Password(); ok {
		settings = append(settings, "password="+password)
	}
	if u.Host != "" {
		settings = append(settings, "host="+u.Hostname(), "port="+u.Port())
	}
	for name := range u.Query() {
		settings = append(settings, name+"="+u.Query().Get(name))
	}
	return strings.Join(settings, " ")
}

// database makes one on the sandbox's server and returns its address.
func (s *stage) database(name string) string {
	s.Helper()
	conn, err := pg.Connect(s.Context(), s.box.Cluster().DSN(pg.Maintenance))
	if err != nil {
		s.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(s.Context(), "create database "+name); err != nil {
		s.Fatal(err)
	}
	return s.box.Cluster().DSN(name).Reveal()
}

// move takes the plan, and nothing else, to a new directory. Its files keep
// their places relative to it, and so its digest.
func (s *stage) move() {
	s.Helper()
	dir := s.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "schema"), os.DirFS(filepath.Join(s.dir, "schema"))); err != nil {
		s.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "plans"), os.DirFS(filepath.Join(s.dir, "plans"))); err != nil {
		s.Fatal(err)
	}
	s.dir, s.plan = dir, filepath.Join(dir, "plans", "plan.yaml")
}
