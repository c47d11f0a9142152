package journal

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/runner/task"
)

// edited is the DSN after a change.
func edited(t *testing.T, dsn string, change func(*url.URL)) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	change(u)
	return u.String()
}

// role makes a role for this test and returns the DSN with it.
func role(t *testing.T, dsn, settings string) (name, asRole string) {
	t.Helper()
	name = "role_" + query[string](t, dsn, `select current_database()`)
	execute(t, dsn, "create role "+name+" login password 'sesame-of-the-role'")
	t.Cleanup(func() {
		execute(t, dsn, "drop owned by "+name)
		execute(t, dsn, "drop role "+name)
	})
	if settings != "" {
		execute(t, dsn, strings.ReplaceAll(settings, "ROLE", name))
	}
	return name, edited(t, dsn, func(u *url.URL) { u.User = url.UserPassword(name, "sesame-of-the-role") })
}

func TestSchemaIsMadeOnceByManyAtOnce(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t).Reveal()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			p, err := OpenPostgres(t.Context(), dsn)
			if err != nil {
				t.Error(err)
				return
			}
			defer p.Close()
			w, err := p.Create(t.Context(), fmt.Sprintf("run-%d", i))
			if err != nil {
				t.Error(err)
				return
			}
			_ = w.Close()
		})
	}
	all.Wait()
	if n := query[int](t, dsn, `select count(*) from phasegate.versions`); n != len(versions()) {
		t.Errorf("%d steps recorded, want %d", n, len(versions()))
	}
	if runs, err := openStore(t, dsn).Runs(t.Context()); err != nil || len(runs) != 8 {
		t.Errorf("runs = %v, %v", runs, err)
	}
}

func TestPeekingMakesNothing(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t).Reveal()
	const schemas = `select count(*) from pg_namespace where nspname = 'phasegate'`
	if _, err := PeekPostgres(t.Context(), dsn); !errors.Is(err, ErrNeverUsed) {
		t.Errorf("a database without runs: %v", err)
	}
	if n := query[int](t, dsn, schemas); n != 0 {
		t.Fatal("the schema was made")
	}
	w, err := openStore(t, dsn).Create(t.Context(), "run-1")
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	_, reader := role(t, dsn, `grant usage on schema phasegate to ROLE; grant select on all tables in schema phasegate to ROLE`)
	p, err := PeekPostgres(t.Context(), reader)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if runs, err := p.Runs(t.Context()); err != nil || len(runs) != 1 {
		t.Errorf("runs = %v, %v", runs, err)
	}
	execute(t, dsn, `insert into phasegate.versions (version) values ($1)`, len(versions())+1)
	if _, err := PeekPostgres(t.Context(), dsn); err == nil || task.HintOf(err) == "" {
		t.Errorf("the schema of a later version: %v", err)
	}
}

// A later version's program takes the journal of this one over, whole, and whoever
// comes first upgrades it alone.
func TestSchemaIsUpgradedWithWhatItHolds(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t).Reveal()
	w := create(t, openStore(t, dsn), testRun)
	mustAppend(t, w, someEvents()...)
	_ = w.Close()
	later := append(versions(), `alter table phasegate.runs add column note text not null default ''`)
	look := func(ctx context.Context, conn *pgx.Conn) error { return readableAs(ctx, conn, later) }
	if _, err := openPostgres(t.Context(), dsn, look); err == nil || !strings.Contains(err.Error(), "the next run upgrades to 2") {
		t.Errorf("peek before the upgrade: %v", err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			p, err := openPostgres(t.Context(), dsn, func(ctx context.Context, conn *pgx.Conn) error {
				return upgradeTo(ctx, conn, later)
			})
			if err != nil {
				t.Error(err)
				return
			}
			defer p.Close()
			if events, err := p.Read(t.Context(), testRun); err != nil || len(events) != len(someEvents()) {
				t.Errorf("%d events, %v", len(events), err)
			}
		})
	}
	all.Wait()
	if n := query[int](t, dsn, `select count(note) from phasegate.runs`); n != 1 {
		t.Errorf("the new column has %d rows", n)
	}
	if _, err := openPostgres(t.Context(), dsn, look); err != nil {
		t.Errorf("peek after the upgrade: %v", err)
	}
}

func TestSchemaOfALaterVersionIsRefused(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t).Reveal()
	openStore(t, dsn)
	execute(t, dsn, `insert into phasegate.versions (version) values ($1)`, len(versions())+1)
	_, err := OpenPostgres(t.Context(), dsn)
	if err == nil || !strings.Contains(err.Error(), "the schema phasegate has version") || task.HintOf(err) == "" {
		t.Errorf("open: %v (%s)", err, task.HintOf(err))
	}
}

func TestRoleThatMayNotMakeTheSchemaCanUseIt(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t).Reveal()
	name, modest := role(t, dsn, "")
	_, err := OpenPostgres(t.Context(), modest)
	if err == nil || !strings.Contains(task.HintOf(err), "let a role that may create a schema open this journal once") {
		t.Errorf("without a schema: %v (%s)", err, task.HintOf(err))
	}
	owner := openStore(t, dsn)
	execute(t, dsn, "grant usage on schema phasegate to "+name)
	execute(t, dsn, "grant select, insert, update on all tables in schema phasegate to "+name)
	p := openStore(t, modest)
	unlock, err := p.Lock(t.Context(), "toy")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	w := create(t, p, testRun)
	mustAppend(t, w, someEvents()...)
	if held, err := owner.Held(t.Context(), testRun); err != nil || !held {
		t.Errorf("held = %v, %v", held, err)
	}
	if _, err := p.Identity(t.Context()); err != nil {
		t.Errorf("identity: %v", err)
	}
	_ = w.Close()
	if _, events := mustOpen(t, p, testRun); len(events) != 4 {
		t.Errorf("%d events", len(events))
	}
}

func TestSettingsOfARoleDoNotEndAHoldOrWeakenACommit(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t).Reveal()
	openStore(t, dsn)
	_, hasty := role(t, dsn, `
		alter role ROLE superuser;
		alter role ROLE set idle_session_timeout = '500ms';
		alter role ROLE set statement_timeout = '500ms';
		alter role ROLE set lock_timeout = '500ms';
		alter role ROLE set default_transaction_read_only = on;
		alter role ROLE set default_transaction_isolation = serializable;
		alter role ROLE set synchronous_commit = off`)
	p := openStore(t, hasty)
	p.beat = time.Hour
	w := create(t, p, testRun)
	before := session(p)
	blocker := dial(t, dsn)
	defer blocker.Close(context.Background())
	tx, err := blocker.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `lock table phasegate.runs`); err != nil {
		t.Fatal(err)
	}
	free := make(chan error)
	go func() {
		time.Sleep(time.Second) // longer than each of the limits
		free <- tx.Rollback(context.Background())
	}()
	mustAppend(t, w, someEvents()...)
	if err := <-free; err != nil {
		t.Error(err)
	}
	if session(p) != before {
		t.Error("the session was ended by a time limit")
	}
	for name, want := range map[string]string{
		"synchronous_commit": "on", "default_transaction_isolation": "read committed", "tcp_keepalives_idle": "10",
	} {
		var got string
		if err := p.conn.QueryRow(t.Context(), "show "+name).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %s, %v, want %s", name, got, err, want)
		}
	}
}

func TestNoErrorHoldsTheConnectionString(t *testing.T) {
	t.Parallel()
	const secret = "correct-horse-battery"
	dsn := postgrestest.Database(t).Reveal()
	withSecret := func(change func(*url.URL)) string {
		return edited(t, dsn, func(u *url.URL) {
			u.User = url.UserPassword("postgres", secret)
			change(u)
		})
	}
	for name, bad := range map[string]string{
		"wrong password":   withSecret(func(*url.URL) {}),
		"nobody listens":   withSecret(func(u *url.URL) { u.Host = "127.0.0.1:1" }),
		"no such host":     withSecret(func(u *url.URL) { u.Host = "nowhere.invalid:5432" }),
		"no such socket":   withSecret(func(u *url.URL) { u.Host = ""; u.RawQuery = "host=/nowhere" }),
		"no such database": edited(t, dsn, func(u *url.URL) { u.Path = "/nowhere" }),
		"not a port":       strings.Replace(withSecret(func(*url.URL) {}), "127.0.0.1:", "127.0.0.1:port", 1),
		"not a URL":        "postgres://u:" + secret + "@[",
		"not words":        "host=x password='" + secret,
		"no such file":     withSecret(func(u *url.URL) { u.RawQuery = "sslmode=verify-full&sslrootcert=/nowhere.pem" }),
		"TLS is refused":   withSecret(func(u *url.URL) { u.RawQuery = "sslmode=require" }),
	} {
		for how, open := range map[string]func(context.Context, string) error{
			"open":     func(ctx context.Context, dsn string) error { _, err := OpenPostgres(ctx, dsn); return err },
			"identify": func(ctx context.Context, dsn string) error { _, err := Identify(ctx, dsn); return err },
		} {
			err := open(t.Context(), bad)
			if err == nil {
				t.Errorf("%s: %s succeeded", name, how)
				continue
			}
			password, _ := mustURL(t, dsn).User.Password()
			if text := err.Error(); strings.Contains(text, secret) || strings.Contains(text, password) || strings.Contains(text, "postgres://") {
				t.Errorf("%s: %s", name, text)
			}
			if task.HintOf(err) == "" {
				t.Errorf("%s: no hint with %v", name, err)
			}
		}
	}
}

func mustURL(t *testing.T, dsn string) *url.URL {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestOpeningDoesNotWaitForADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	wire := newCable(t, postgrestest.Database(t).Reveal())
	wire.pull()
	began := time.Now()
	if _, err := OpenPostgres(t.Context(), wire.dsn); err == nil {
		t.Error("opened a database that is away")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s to say so", took)
	}
}

func TestDatabaseIsKnownByWhateverNameItIsCalled(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t).Reveal()
	ours, err := openStore(t, dsn).Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cluster := postgrestest.ForTest(t)
	for name, other := range map[string]struct {
		dsn  string
		same bool
	}{
		"itself": {dsn, true},
		"through its socket": {edited(t, dsn, func(u *url.URL) {
			u.RawQuery = "host=" + url.QueryEscape(cluster.SocketDir()) + fmt.Sprintf("&port=%d", cluster.Port())
		}), true},
		"through a forwarder": {newCable(t, dsn).dsn, true},
		"another database":    {cluster.DSN("postgres").Reveal(), false},
	} {
		theirs, err := Identify(t.Context(), other.dsn)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if ours.Same(theirs) != other.same {
			t.Errorf("%s: %+v and %+v: the same is %v", name, ours, theirs, ours.Same(theirs))
		}
	}
	renamed := ours
	renamed.Name = "app_old"
	if !ours.Same(renamed) {
		t.Error("a renamed database is another one")
	}
	elsewhere := ours
	elsewhere.System++
	if ours.Same(elsewhere) {
		t.Error("a database of the same name in another cluster is the same")
	}
}
