package postgres_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/redact"
	cluster "github.com/medlogistics/phasegate/internal/sandbox/postgres"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

// ownServer starts a server with what replication needs, and a database in it.
func ownServer(t testing.TB, sql string) (server *cluster.Cluster, dsn redact.Secret) {
	t.Helper()
	server, err := cluster.Settings{Parameters: map[string]string{
		"wal_level": "logical", "max_wal_senders": "2", "max_replication_slots": "2", "max_prepared_transactions": "2",
	}}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	execute(t, server.DSN("postgres"), "create database app")
	execute(t, server.DSN("app"), sql)
	return server, server.DSN("app")
}

func TestStageRefusesWhatNoCopyWouldHave(t *testing.T) {
	t.Parallel()
	_, dsn := ownServer(t, "create table t (id int)")
	for _, c := range []struct{ make, undo, want, hint string }{
		{
			"select pg_create_logical_replication_slot('reader', 'pgoutput')", "select pg_drop_replication_slot('reader')",
			"1 logical replication slots, among them reader", "pg_drop_replication_slot",
		},
		{
			"create subscription follower connection 'host=127.0.0.1 port=1' publication p with (connect = false)",
			"alter subscription follower set (slot_name = none); drop subscription follower",
			"1 subscriptions, among them follower", "make them anew",
		},
		{
			"begin; insert into t values (1); prepare transaction 'half'", "rollback prepared 'half'",
			"1 prepared transactions, among them half", "ROLLBACK PREPARED",
		},
		{
			"alter role postgres in database postgres set cron.database_name = 'app'", "alter role postgres in database postgres reset cron.database_name",
			"1 schedulers of pg_cron", "in another database",
		},
	} {
		execute(t, dsn, c.make)
		for name, do := range map[string]func() error{
			"check": func() error { return stage(dsn).Check(t.Context(), tasktest.Env(t)) },
			"run":   func() error { _, err := stage(dsn).Run(t.Context(), tasktest.Env(t)); return err },
		} {
			err := do()
			if err == nil {
				t.Errorf("%s: %s lets it pass", c.make, name)
				continue
			}
			wantError(t, err, c.want, c.hint)
		}
		execute(t, dsn, c.undo)
	}
	if err := stage(dsn).Check(t.Context(), tasktest.Env(t)); err != nil {
		t.Errorf("with all of it gone: %v", err)
	}
}

func TestStageCarriesPublicationsAndStatisticsOver(t *testing.T) {
	t.Parallel()
	dsn, dir := database(t, smaller+"; create publication feed for table users; create statistics pairs on id, what from orders; analyze"), t.TempDir()
	made, err := backup(dsn, dir).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []postgres.Method{postgres.Template, postgres.Restore} {
		s := stage(dsn)
		s.Method, s.Backup, s.RunID = method, made.File, string(method)
		receipt := staged(t, s, tasktest.Env(t))
		copied := opened(t, receipt.Database)
		if n := value[int](t, copied, "select count(*) from pg_publication_tables where pubname = 'feed' and tablename = 'users'"); n != 1 {
			t.Errorf("%s: %d published tables", method, n)
		}
		if n := value[int](t, copied, "select count(*) from pg_stats where schemaname = 'public' and tablename = 'users'"); n == 0 {
			t.Errorf("%s: the planner has no statistics", method)
		}
		if n := value[int](t, copied, "select count(*) from pg_statistic_ext where stxname = 'pairs'"); n != 1 {
			t.Errorf("%s: %d extended statistics", method, n)
		}
	}
}

func TestStageListsWhatReachesTheDatabaseByItsName(t *testing.T) {
	t.Parallel()
	server, dsn := ownServer(t, "create table t (id int)")
	execute(t, server.DSN("postgres"), "create database reports")
	execute(t, server.DSN("postgres"), `
		create schema cron; create table cron.job (jobid bigint, database text);
		insert into cron.job values (7, 'app'), (8, 'other')`)
	execute(t, server.DSN("reports"), `
		create foreign data wrapper remote;
		create server wards foreign data wrapper remote options (dbname 'app');
		create server others foreign data wrapper remote options (dbname 'other')`)
	receipt, err := stage(dsn).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"cron job 7 in database postgres", "foreign server wards in database reports"}; !slices.Equal(receipt.Pointers, want) {
		t.Errorf("pointers = %q, want %q", receipt.Pointers, want)
	}
}

func TestStageDropsWhatAKilledRunHasLeftAndNothingElse(t *testing.T) {
	t.Parallel()
	server, dsn := ownServer(t, "create table t (id int)")
	// As a run leaves it that was killed while the server was making the copy;
	// others have such a name, or such a limit, alone, or are of another database.
	for name, limit := range map[string]int{
		"app_pre_killed_new": 1830257, "app_pre_mine_new": -1, "app_pre_full": 1830257, "app2_pre_killed_new": 1830257,
	} {
		execute(t, server.DSN("postgres"), fmt.Sprintf("create database %s template template0 connection limit %d", name, limit))
	}
	var log bytes.Buffer
	env := tasktest.Env(t)
	env.Log = slog.New(slog.NewTextHandler(&log, nil))
	receipt, err := stage(dsn).Run(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"app", "app2_pre_killed_new", "app_pre_full", "app_pre_mine_new", receipt.Database}
	slices.Sort(want)
	left := value[[]string](t, server.DSN("postgres"), "select array_agg(datname::text order by datname collate \"C\") from pg_database where datname like 'app%'")
	if !slices.Equal(left, want) {
		t.Errorf("databases: %q, want %q", left, want)
	}
	if limit := value[int](t, server.DSN("postgres"), "select datconnlimit from pg_database where datname = '"+receipt.Database+"'"); limit != -1 {
		t.Errorf("the copy's connection limit is %d", limit)
	}
	for _, want := range []string{"app_pre_killed_new", "method=template", "nobody is connected"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, log.String())
		}
	}
}

func TestStageRestoresAnEncryptedBackupWithItsIdentity(t *testing.T) {
	t.Parallel()
	dsn, key := database(t, smaller), ageKey(t)
	b := backup(dsn, t.TempDir())
	b.Recipients = []string{key.recipient}
	made, err := b.Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	s := stage(dsn)
	s.Method, s.Backup = postgres.Restore, made.File
	_, err = s.Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "there is no identity to read it with", "identity in a plan")
	s.Identity = key.file
	receipt, err := s.Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	dropLater(t, receipt.Database)
	if n := value[int](t, opened(t, receipt.Database), "select count(*) from users"); n != 40 {
		t.Errorf("the copy has %d users", n)
	}
}

func TestSwapDropsAnUnfinishedCopyToo(t *testing.T) {
	t.Parallel()
	dsn := database(t, "create table t (id int)")
	receipt := staged(t, stage(dsn), tasktest.Env(t))
	left := name(t, dsn) + "_pre_killed_new"
	execute(t, dsn, fmt.Sprintf("create database %s template template0 connection limit 1830257", left))
	swapped, err := swap(dsn, receipt.Database).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	dropLater(t, swapped.Replaced)
	if all := databases(t, dsn); slices.Contains(all, left) {
		t.Errorf("left: %q", all)
	}
}
