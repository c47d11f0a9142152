package postgres_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/tasks/postgres"
)

// awkward is a database of everything that a backup has to keep.
const awkward = `
	create type userrole as enum ('doctor', 'nurse');
	create table users (id uuid primary key default gen_random_uuid(), email text unique not null, role userrole not null,
	                    note text, at timestamptz default '2026-03-29 01:30+01', took interval, ratio float8, data bytea);
	insert into users (email, role, note, took, ratio, data)
	select 'user' || i || '@example.org', 'nurse', E'tab\t newline\n backslash \\. ' || i, i * interval '1 hour', i / 7.0, decode(md5(i::text), 'hex')
	  from generate_series(1, 2000) i;
	create table orders (id bigserial primary key, user_id uuid references users, what text);
	insert into orders (user_id, what) select id, repeat('x', 100) from users;
	create table no_rows (id int); create table no_columns (); insert into no_columns default values;
	create table "Odd ""Name"" (a)" ("a, ""b""" int, "from" text, made int generated always as ("a, ""b""" * 2) stored);
	insert into "Odd ""Name"" (a)" values (1, E'\\.'), (2, null);
	create table parted (id int) partition by list (id); create table parted_1 partition of parted for values in (1);
	insert into parted values (1);
	create schema other; create table other.users (id int); insert into other.users values (1);
	create table far (id int primary key) partition by range (id); create table far_3 partition of far for values from (30) to (40);
	create table far_1 partition of far for values from (1) to (10); create table near (id int references far);
	create table far_2 partition of far for values from (10) to (20); create table far_0 partition of far for values from (50) to (60);
	create table badges (no int generated always as identity primary key, at timestamptz); insert into badges (at) values (null);
	create materialized view counted as select count(*) from users;
	select lo_from_bytea(0, 'a large object');
	alter table orders enable row level security;
	create function pg_table_size(oid) returns bigint language plpgsql as 'begin raise ''not the one of the server''; end';
	create function format(text, name, name) returns text language plpgsql as 'begin raise ''not the one of the server''; end';
	create function array_to_string(text[], text) returns text language plpgsql as 'begin raise ''not the one of the server''; end'`

func backup(dsn redact.Secret, dir string) *postgres.Backup {
	b := backupSpec.New().Config().(*postgres.Backup)
	b.DSN, b.Directory, b.Reserve, b.RunID, b.PlanDigest, b.Commit = dsn, dir, 0, "run-7", "digest", "c0ffee"
	return b
}

func TestBackupKeepsTheContract(t *testing.T) {
	t.Parallel()
	dsn, dir := database(t, awkward), t.TempDir()
	tasktest.Conform(t, tasktest.Case{
		Spec: backupSpec,
		Configure: func(config any) {
			*config.(*postgres.Backup) = *backup(dsn, dir)
		},
		Secrets: []string{password(t, dsn)},
	})
}

func TestBackupIsProvenAndDescribed(t *testing.T) {
	t.Parallel()
	for _, level := range []postgres.Level{postgres.Full, postgres.Counts} {
		t.Run(string(level), func(t *testing.T) {
			t.Parallel()
			dsn, dir := database(t, awkward), filepath.Join(t.TempDir(), "made", "for it")
			b := backup(dsn, dir)
			b.Level = level
			receipt, err := b.Run(t.Context(), tasktest.Env(t))
			if err != nil {
				t.Fatal(err)
			}
			if !receipt.Proven || receipt.Rows != 4006 || receipt.Tables != 13 || receipt.Database != name(t, dsn) {
				t.Errorf("receipt = %+v", receipt)
			}
			m, err := postgres.ReadMetadata(receipt.File)
			if err != nil {
				t.Fatal(err)
			}
			if d := pg.Differences(contents(t, dsn), m.Tables); len(d) > 0 {
				t.Errorf("the metadata differs from the database: %q", d)
			}
			if m.PlanDigest != "digest" || m.Run != "run-7" || m.Commit != "c0ffee" || m.Tools["pg_dump"] == "" || m.Snapshot == "" ||
				m.ServerVersion == "" || m.SHA256 != receipt.SHA256 || m.Level != level {
				t.Errorf("metadata = %+v", m)
			}
			for _, file := range []string{receipt.File, receipt.Metadata} {
				info, err := os.Stat(file)
				if err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("mode of %s = %v, %v", file, info.Mode(), err)
				}
			}
			raw, err := os.ReadFile(receipt.Metadata)
			if sum := fmt.Sprintf("%x", sha256.Sum256(raw)); sum != receipt.MetadataSHA256 {
				t.Errorf("the receipt has the metadata's SHA-256 as %q, and it is %s", receipt.MetadataSHA256, sum)
			}
			if err != nil || strings.Contains(string(raw), password(t, dsn)) {
				t.Errorf("the metadata holds the password, or %v", err)
			}
		})
	}
}

func TestBackupTakesOneMomentWhileTheApplicationWrites(t *testing.T) {
	t.Parallel()
	dsn, dir := database(t, awkward), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	written := make(chan int)
	go func() {
		conn := connect(t, dsn)
		defer pg.Close(conn)
		n := 0
		for ctx.Err() == nil {
			if _, err := conn.Exec(context.Background(), "insert into no_rows values (1); update users set note = 'changed' where ctid = (select max(ctid) from users)"); err != nil {
				t.Error(err)
				break
			}
			n++
		}
		written <- n
	}()
	_, err := backup(dsn, dir).Run(t.Context(), tasktest.Env(t))
	cancel()
	if n := <-written; n == 0 {
		t.Error("nothing was written meanwhile")
	}
	if err != nil {
		t.Error(err)
	}
}

// TestByHandFailure02BackupIsReadBackBeforeItIsNeeded is the by-hand procedure's second
// failure: its backup is never read before the day it is needed. Here a backup
// counts only once every row of it was read and compared, and the same look
// finds later damage, wherever it is.
func TestByHandFailure02BackupIsReadBackBeforeItIsNeeded(t *testing.T) {
	t.Parallel()
	dsn := database(t, awkward)
	good, err := backup(dsn, t.TempDir()).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := verify(t, good.File); err != nil || !m.Proven {
		t.Fatalf("an undamaged backup: proven %v, %v", m.Proven, err)
	}
	cases := map[string]func(t *testing.T, file string){
		"the first byte":  func(t *testing.T, file string) { flip(t, file, 0) },
		"the last byte":   func(t *testing.T, file string) { flip(t, file, good.Bytes-1) },
		"the end missing": func(t *testing.T, file string) { truncate(t, file, good.Bytes-1) },
		"half of it":      func(t *testing.T, file string) { truncate(t, file, good.Bytes/2) },
		"all of it":       func(t *testing.T, file string) { truncate(t, file, 0) },
		"a byte too many": func(t *testing.T, file string) { truncate(t, file, good.Bytes+1) },
	}
	for i := range int64(20) {
		cases[fmt.Sprintf("byte at %d/20", i)] = func(t *testing.T, file string) { flip(t, file, good.Bytes*i/20+i) }
	}
	for what, damage := range cases {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), filepath.Base(good.File))
			copyFile(t, good.File, file)
			copyFile(t, good.Metadata, file+".json")
			damage(t, file)
			if m, err := verify(t, file); !errors.Is(err, postgres.ErrDamaged) || m.Proven {
				t.Errorf("proven %v, %v", m.Proven, err)
			}
		})
	}
}

func TestBackupWithOtherRowsThanTheSnapshotIsNotProven(t *testing.T) {
	t.Parallel()
	dsn := database(t, awkward)
	good, err := backup(dsn, t.TempDir()).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(good.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	for change, want := range map[[2]string]string{
		{`"rows": 2000`, `"rows": 2001`}:   "has 2000 rows, not 2001",
		{`"hash": "`, `"hash": "f`}:        "other content",
		{`"name": "users"`, `"name": "u"`}: `is missing`,
	} {
		edited := strings.Replace(string(raw), change[0], change[1], 1)
		writeSealed(t, good.Metadata, edited)
		m, err := verify(t, good.File)
		wantError(t, err, want, "")
		if m.Proven {
			t.Error("proven all the same")
		}
	}
}

// Of an extension's table of settings pg_dump takes the rows that its user has made:
// no COPY of a whole table.
func TestBackupTakesTheUsersRowsOfAnExtension(t *testing.T) {
	t.Parallel()
	dsn := database(t, `
		create extension hstore; create table kept (id int, mine boolean); alter extension hstore add table kept;
		create sequence numbers; select nextval('numbers'); alter extension hstore add sequence numbers;
		insert into kept values (1, true), (2, false), (3, true); create table whole (id int); insert into whole values (1);
		set allow_system_table_mods to on;
		update pg_extension set extconfig = array['kept'::regclass::oid, 'numbers'::regclass::oid], extcondition = array['where mine', ''] where extname = 'hstore'`)
	for _, level := range []postgres.Level{postgres.Full, postgres.Counts} {
		b := backup(dsn, t.TempDir())
		b.Level = level
		receipt, err := b.Run(t.Context(), tasktest.Env(t))
		if err != nil || receipt.Rows != 3 || receipt.Tables != 2 {
			t.Errorf("%s: receipt = %+v, %v", level, receipt, err)
			continue
		}
		m, err := verify(t, receipt.File)
		if d := pg.Differences(contents(t, dsn), m.Tables); err != nil || len(d) > 0 {
			t.Errorf("%s: %q, %v", level, d, err)
		}
	}
}

// What pg_dump leaves out or changes is found by what the server sent it: at the lower
// level as far as the number of rows tells it.
func TestBackupOfAPgDumpThatErrsIsNotProven(t *testing.T) {
	dsn := database(t, awkward)
	program, err := pg.Tool("pg_dump")
	if err != nil {
		t.Fatal(err)
	}
	restore, err := pg.Tool("pg_restore")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(restore, filepath.Join(bin, "pg_restore")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PG_BIN", bin)
	unread := `pg_dump has not read all of table "public"."users"`
	for _, c := range []struct{ what, script, full, counts string }{
		{"leaves a table out", program + ` "$@" --exclude-table=public.users`, unread, unread},
		{"leaves its rows out", program + ` "$@" --exclude-table-data=public.users`, unread, unread},
		{"makes one row of two", program + ` "$@" | LC_ALL=C sed "/user1000@/{N;s/\n/x/}"`, "rows", "rows"},
		{"changes a row", program + ` "$@" | LC_ALL=C sed "s/user1000@/user1OOO@/"`, "other content", ""},
	} {
		if err := os.WriteFile(filepath.Join(bin, "pg_dump"), []byte("#!/bin/sh\n"+c.script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		for level, want := range map[postgres.Level]string{postgres.Full: c.full, postgres.Counts: c.counts} {
			b := backup(dsn, t.TempDir())
			b.Level = level
			_, err := b.Run(t.Context(), tasktest.Env(t))
			if want == "" {
				if err != nil {
					t.Errorf("%s at level %s: %v", c.what, level, err)
				}
				continue
			}
			wantError(t, err, want, "")
			if left := files(t, b.Directory); len(left) > 0 {
				t.Errorf("%s at level %s: left %q", c.what, level, left)
			}
		}
	}
}

func TestBackupOfAnotherFormatIsNotJudged(t *testing.T) {
	t.Parallel()
	good, err := backup(database(t, awkward), t.TempDir()).Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(good.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	writeSealed(t, good.Metadata, strings.Replace(string(raw), `"phasegate-backup/3"`, `"phasegate-backup/2"`, 1))
	_, err = verify(t, good.File)
	wantError(t, err, `the format is "phasegate-backup/2", not "phasegate-backup/3"`, "use the version of phasegate that made it")
	if errors.Is(err, postgres.ErrDamaged) || errors.Is(err, postgres.ErrDiffers) {
		t.Errorf("it is called damaged: %v", err)
	}
	at := strings.LastIndex(string(raw), `"seal": "`) + len(`"seal": "`)
	edited := fmt.Sprintf(`%s\u%04x%s`, raw[:at], raw[at], raw[at+1:])
	if err := os.WriteFile(good.Metadata, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = verify(t, good.File); !errors.Is(err, postgres.ErrDamaged) {
		t.Errorf("a seal in other letters: %v", err)
	}
}

func TestBackupRefusesToFillTheDisk(t *testing.T) {
	t.Parallel()
	dsn, dir := database(t, awkward), t.TempDir()
	b := backup(dsn, dir)
	b.Reserve = 1e18
	for _, do := range []func() error{
		func() error { return b.Check(t.Context(), tasktest.Env(t)) },
		func() error { _, err := b.Run(t.Context(), tasktest.Env(t)); return err },
	} {
		err := do()
		wantError(t, err, "1000000.0 TB are to stay free", "free space there")
		wantError(t, err, " free: the backup may need ", "another disk")
	}
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

func TestBackupRemovesItsOldOnesButNeverTheNewestProven(t *testing.T) {
	t.Parallel()
	dsn, dir := database(t, awkward), t.TempDir()
	run := func(id string) postgres.BackupReceipt {
		b := backup(dsn, dir)
		b.RunID = id
		receipt, err := b.Run(t.Context(), tasktest.Env(t))
		if err != nil {
			t.Fatal(err)
		}
		return receipt
	}
	old, recent := run("old"), run("recent")
	makeOlder(t, old.Metadata, 31*24*time.Hour)
	makeOlder(t, recent.Metadata, 29*24*time.Hour)
	foreign := []string{"notes.txt", "app-20200101T000000Z.dump.zst", "app.dump.zst.json", "mine-20200101T000000Z.dump.zst.json"}
	for _, file := range foreign {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(`{"format": "another", "taken_at": "2020-01-01T00:00:00Z"}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	last := run("last")
	if last.Removed != 1 {
		t.Errorf("removed %d, want 1", last.Removed)
	}
	want := append(slices.Clone(foreign), filepath.Base(recent.File), filepath.Base(recent.Metadata), filepath.Base(last.File), filepath.Base(last.Metadata))
	slices.Sort(want)
	if got := files(t, dir); !slices.Equal(got, want) {
		t.Errorf("in the directory: %q\nwant %q", got, want)
	}
}

func TestBackupRefusesWhatPgDumpCouldNotRead(t *testing.T) {
	t.Parallel()
	dsn := database(t, awkward+"; create policy one on orders using (false)")
	reader := role(t, dsn, "")
	execute(t, dsn, fmt.Sprintf("grant usage on schema other to %[1]s; grant select on all tables in schema public to %[1]s", reader.role))
	err := backup(reader.dsn, t.TempDir()).Check(t.Context(), tasktest.Env(t))
	wantError(t, err, "may not read 3 tables and sequences, among them other.users", "GRANT pg_read_all_data TO")
	wantError(t, err, "row level security hides rows of 1 tables", "BYPASSRLS")
	wantError(t, err, "may not read 1 large objects", "GRANT SELECT ON LARGE OBJECT")
}

func TestBackupWaitsForASchemaChangeOnlySoLong(t *testing.T) {
	t.Parallel()
	dsn := database(t, awkward)
	conn := connect(t, dsn)
	defer pg.Close(conn)
	if _, err := conn.Exec(t.Context(), "begin; lock table no_columns in access exclusive mode"); err != nil {
		t.Fatal(err)
	}
	b := backup(dsn, t.TempDir())
	b.Level, b.LockWait = postgres.Counts, time.Second
	_, err := b.Run(t.Context(), tasktest.Env(t))
	wantError(t, err, "lock", "")
}

// Somebody who waits for a lock of ours must not keep pg_dump waiting: we wait for it.
func TestBackupGoesOnWhileViewsAreMadeAnew(t *testing.T) {
	t.Parallel()
	dsn := database(t, "create table t as select i from generate_series(1, 1000) i; create materialized view counted as select count(*) from t; create view seen as select * from t")
	ctx, cancel := context.WithCancel(t.Context())
	var changing sync.WaitGroup
	for _, statement := range []string{"refresh materialized view counted", "create or replace view seen as select * from t"} {
		conn := connect(t, dsn)
		changing.Go(func() {
			defer pg.Close(conn)
			for ctx.Err() == nil {
				if _, err := conn.Exec(context.Background(), statement); err != nil {
					t.Errorf("%s: %v", statement, err)
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	for range 3 {
		limited, end := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("it waits for those who wait for it"))
		if _, err := backup(dsn, t.TempDir()).Run(limited, tasktest.Env(t)); err != nil {
			t.Error(err)
		}
		end()
	}
	cancel()
	changing.Wait()
}

func TestBackupDoesNotDependOnSettingsNorOnTheEncoding(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"UTF8", "LATIN1", "SQL_ASCII"} {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			maintenance, of := postgrestest.ForTest(t).DSN(pg.Maintenance), "in_"+strings.ToLower(encoding)
			execute(t, maintenance, fmt.Sprintf("create database %s template template0 encoding '%s' locale 'C'", of, encoding))
			t.Cleanup(func() { execute(t, maintenance, "drop database "+of) })
			dsn := postgrestest.ForTest(t).DSN(of)
			execute(t, dsn, awkward+"; insert into other.users values (7); alter table no_rows add column é text; insert into no_rows values (1, 'é')")
			for setting, value := range map[string]string{
				"client_encoding": "latin1", "standard_conforming_strings": "off", "quote_all_identifiers": "on", "default_transaction_read_only": "on",
			} {
				execute(t, maintenance, fmt.Sprintf("alter database %s set %s to %s", of, setting, value))
			}
			made, err := backup(dsn, t.TempDir()).Run(t.Context(), tasktest.Env(t))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := restored(t, made.File, throwaway(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestBackupSaysWhereItCannotWrite(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := backup(postgrestest.Database(t), filepath.Join(file, "below")).Check(t.Context(), tasktest.Env(t))
	wantError(t, err, "is not a directory", "name another directory")
}

func TestBackupConfigurationIsChecked(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*postgres.Backup){
		"directory is empty":    func(b *postgres.Backup) { b.Directory = "" },
		"keep is negative":      func(b *postgres.Backup) { b.Keep = -1 },
		"keep_days is negative": func(b *postgres.Backup) { b.KeepDays = -1 },
		"lock_wait is shorter":  func(b *postgres.Backup) { b.LockWait = 0 },
	} {
		b := backup(redact.Secret{}, "backups")
		change(b)
		wantError(t, b.Validate(), want, "")
	}
	var level postgres.Level
	wantError(t, level.UnmarshalText([]byte("some")), "write counts or full", "")
}
