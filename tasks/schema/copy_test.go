package schema_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
	"github.com/medlogistics/phasegate/internal/tasktest"
)

func TestALiveDatabaseIsDumpedForTheRehearsal(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), wards(t)
	first := apply(dsn, dir)
	first.To = "1"
	mustApply(t, first)
	connect(t, dsn) // somebody is there
	receipt, err := rehearse(dsn, dir).Run(t.Context(), tasktest.Env(t))
	if err != nil || receipt.Copy != "dump" || receipt.Migrations != 2 {
		t.Errorf("receipt %+v, error %v", receipt, err)
	}
	r := rehearse(dsn, dir)
	r.Copy = "template"
	_, err = r.Run(t.Context(), tasktest.Env(t))
	fails(t, err, "copy database", "SQLSTATE 55006")
	if copies(t, dsn) != 0 {
		t.Error("a copy is left")
	}
}

func TestACopyHasTheLocaleOfTheOriginal(t *testing.T) {
	t.Parallel()
	name := "icu_" + query[string](t, postgrestest.Database(t), "select current_database()")
	maintenance := postgrestest.ForTest(t).DSN(pg.Maintenance)
	do(t, maintenance, "create database "+name+" template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C' locale_provider icu icu_locale 'de-DE'")
	defer func() { do(t, maintenance, "drop database "+name+" with (force)") }()
	dsn := postgrestest.ForTest(t).DSN(name)
	dir := write(t, "1_words.sql", "do $$ begin if not (select datlocprovider = 'i' from pg_database where datname = current_database()) then raise 'another locale'; end if; end $$;\n")
	for _, how := range []string{"template", "dump"} {
		r := rehearse(dsn, dir)
		r.Copy = how
		if receipt, err := r.Run(t.Context(), tasktest.Env(t)); err != nil || receipt.Migrations != 1 {
			t.Errorf("%s: %+v, %v", how, receipt, err)
		}
	}
}

func TestABackupIsRestoredForTheRehearsal(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), wards(t)
	first := apply(dsn, dir)
	first.To = "1"
	mustApply(t, first)
	do(t, dsn, "insert into wards values (1, 'A1')")
	archive := dumpOf(t, dsn)
	var packed bytes.Buffer
	encoder, err := zstd.NewWriter(&packed)
	if err == nil {
		_, err = encoder.Write(archive)
	}
	if err := errors.Join(err, encoder.Close()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		content []byte
		want    string // in the error, "" for none
	}{
		"compressed":       {packed.Bytes(), ""},
		"not compressed":   {archive, ""},
		"cut off":          {packed.Bytes()[:packed.Len()/2], "restore into the copy"},
		"not an archive":   {[]byte("-- PostgreSQL database dump\n"), "not an archive of pg_dump"},
		"an empty file":    {nil, "too short to be an archive"},
		"damaged contents": {slices.Concat(archive[:len(archive)/3], []byte("xxxxxxxx"), archive[len(archive)/3:]), "restore into the copy"},
	} {
		path := filepath.Join(t.TempDir(), "app.dump.zst")
		if err := os.WriteFile(path, c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		r := rehearse(dsn, dir)
		r.Copy, r.Backup = "backup", path
		receipt, err := r.Run(t.Context(), tasktest.Env(t))
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v", name, err)
		}
		if c.want == "" && (err != nil || receipt.Copy != "backup" || receipt.Migrations != 2) {
			t.Errorf("%s: receipt %+v, error %v", name, receipt, err)
		}
		if copies(t, dsn) != 0 {
			t.Errorf("%s: a copy is left", name)
		}
	}
	r := rehearse(dsn, dir)
	r.Copy, r.Backup = "backup", "no/such/file"
	if _, err := r.Run(t.Context(), tasktest.Env(t)); err == nil || !strings.Contains(err.Error(), "no/such/file") {
		t.Errorf("error %v", err)
	}
}

func TestADatabaseMayHaveANameThatIsNoFileName(t *testing.T) {
	t.Parallel()
	maintenance := postgrestest.ForTest(t).DSN(pg.Maintenance)
	do(t, maintenance, `create database "a/b"`)
	defer func() { do(t, maintenance, `drop database "a/b" with (force)`) }()
	receipt, err := rehearse(postgrestest.ForTest(t).DSN("a/b"), wards(t)).Run(t.Context(), tasktest.Env(t))
	if err != nil || filepath.Base(receipt.Report) != "rehearsal-a%2Fb.json" {
		t.Fatalf("receipt %+v, error %v", receipt, err)
	}
	reportOf(t, receipt)
}

func dumpOf(t *testing.T, dsn redact.Secret) []byte {
	t.Helper()
	tool, err := pg.Tool("pg_dump")
	if err != nil {
		t.Fatal(err)
	}
	env, err := pg.Env(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), tool, "-Fc", "-Z0")
	cmd.Env = append(os.Environ(), env...)
	archive, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

func TestTheNextRehearsalSweepsWhatAKilledOneLeft(t *testing.T) {
	t.Parallel()
	dsn, dir := postgrestest.Database(t), wards(t)
	name := query[string](t, dsn, "select current_database()") + "_phasegate_rehearsal"
	do(t, dsn, "create database "+name)
	if _, err := rehearse(dsn, dir).Run(t.Context(), tasktest.Env(t)); err != nil {
		t.Fatal(err)
	}
	mustApply(t, apply(dsn, dir))
	do(t, dsn, "create database "+name)
	receipt, err := rehearse(dsn, dir).Run(t.Context(), tasktest.Env(t))
	if !isSkip(err) || receipt.Report != "" {
		t.Errorf("with nothing pending: %+v, %v", receipt, err)
	}
	if copies(t, dsn) != 0 {
		t.Error("the leftover is still there")
	}
}

func TestTheCopyIsUsedWithTheSettingsOfTheOriginal(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.Database(t)
	name := query[string](t, dsn, "select quote_ident(current_database())")
	do(t, dsn, "create schema app; create table app.wards (id int); create table app.history (id int)")
	do(t, dsn, "alter database "+name+" set search_path = app, public")
	dir := write(t, "1_base.sql", "select 1;\n", "2_floor.sql", "alter table wards add column floor int;\n")
	r := rehearse(dsn, dir)
	r.Baseline = "1"
	if receipt, err := r.Run(t.Context(), tasktest.Env(t)); err != nil || receipt.Migrations != 1 {
		t.Errorf("receipt %+v, error %v", receipt, err)
	}
}
