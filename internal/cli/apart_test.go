package cli

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
)

// A database that answers and does not say which it is might be the journal's
// own: nothing is begun on it.
func TestDatabaseThatDoesNotSayWhichItIsIsKeptApartFromTheJournal(t *testing.T) {
	t.Parallel()
	app, place := postgrestest.Database(t), postgrestest.Database(t)
	conn, err := pg.Connect(t.Context(), app)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), `
		create role modest_app login password 'hunter22';
		revoke execute on function pg_control_system() from public`); err != nil {
		t.Fatal(err)
	}
	defer conn.Exec(context.Background(), `drop role modest_app`)
	modest, err := url.Parse(app.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	modest.User = url.UserPassword("modest_app", "hunter22")
	y := newToy(t, calm, calm, calm)
	y.edit("plan.yaml", "BACK: {} }", "BACK: {}, DATABASE_URL: { secret: true } }")
	y.environ = append(y.environ, "DATABASE_URL="+modest.String(), "PHASEGATE_JOURNAL="+place.Reveal())
	said := y.calls(ExitUsage, "run", "plan.yaml")
	for _, want := range []string{"cannot be known", "permission denied", "hint: grant execute on function pg_control_system()"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	if strings.Contains(said, "hunter22") {
		t.Errorf("it tells the password:\n%s", said)
	}
	if output := y.output("status"); !strings.Contains(output, "no runs yet") {
		t.Errorf("a run was begun:\n%s", output)
	}
}

// A step may put its connection string together from parts, of which none is one.
func TestJournalInADatabaseThatAStepNamesInPartsIsRefused(t *testing.T) {
	t.Parallel()
	place := postgrestest.Database(t)
	at, err := url.Parse(place.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	password, _ := at.User.Password()
	at.User = url.UserPassword(at.User.Username(), "PASSWORD")
	dsn := strings.Replace(at.String(), "PASSWORD", "${{ env.DB_PASSWORD }}", 1)
	y := newToy(t, calm, calm, calm)
	y.edit("plan.yaml", "BACK: {} }", "BACK: {}, DB_PASSWORD: { secret: true } }")
	y.edit("plan.yaml", "steps:\n", "steps:\n      - { id: ready, task: postgres/ready, with: { dsn: \""+dsn+"\" } }\n")
	y.environ = append(y.environ, "DB_PASSWORD="+password, "PHASEGATE_JOURNAL="+place.Reveal())
	said := y.calls(ExitUsage, "run", "plan.yaml")
	if !strings.Contains(said, "which the plan works on: a rollback would wipe it") {
		t.Errorf("it says:\n%s", said)
	}
}
