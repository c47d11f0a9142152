package archive_test

import (
	"bytes"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/pg/archive"
	"github.com/medlogistics/phasegate/internal/sandbox/postgres/postgrestest"
)

const sample = `
	create table users (id int generated always as identity, "odd, (name)" text, made int generated always as (1) stored);
	insert into users ("odd, (name)") values (E'a tab\t, a line\n, a backslash \\.'), (null), ('');
	create table empty (id int); create table bare (); insert into bare default values;
	create sequence "Odd ' one" start 5; create sequence down increment -1; select nextval('down');
	create table wide (v text); insert into wide values (repeat('x', 600000)), ('\.');
	select lo_from_bytea(4000000000::oid, 'first'), lo_from_bytea(17, ''), lo_from_bytea(18, decode(repeat('00', 200000), 'hex'))`

// dumped returns an archive and what the database held.
func dumped(t testing.TB, options ...string) (raw []byte, tables []pg.Table, sequences []pg.Sequence, large pg.LargeObjects) {
	t.Helper()
	dsn := postgrestest.Database(t)
	conn, err := pg.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Close(conn)
	if _, err := conn.Exec(t.Context(), sample); err != nil {
		t.Fatal(err)
	}
	if tables, err = pg.Contents(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if sequences, err = pg.Sequences(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if large, err = pg.SumLarge(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	program, err := pg.Tool("pg_dump")
	if err != nil {
		t.Fatal(err)
	}
	env, err := pg.Env(dsn)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = command.Command{Argv: append([]string{program, "--format=custom", "--compress=0"}, options...), Env: env, Stdout: &out}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), tables, sequences, large
}

func TestAnArchiveHoldsWhatTheDatabaseHeld(t *testing.T) {
	raw, tables, sequences, large := dumped(t)
	got, err := archive.Read(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	differences := append(pg.Differences(tables, got.Tables), pg.SequenceDifferences(sequences, got.Sequences)...)
	if d := large.Differ(got.Large); d != "" || len(differences) > 0 || got.Large.Count != 3 || got.Large.Bytes != 200005 || len(got.Sequences) != 3 {
		t.Errorf("differs: %q %s, large objects %+v, sequences %v", differences, d, got.Large, got.Sequences)
	}
	if !strings.HasPrefix(got.Database, "test_") || got.Server == "" {
		t.Errorf("of database %q, server %q", got.Database, got.Server)
	}
}

// TestNoFlippedBitOfTheDataIsLost is what pg_restore does not hold: it reads an
// archive with a changed row to its end and says nothing.
func TestNoFlippedBitOfTheDataIsLost(t *testing.T) {
	raw, _, _, _ := dumped(t)
	want, err := archive.Read(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	// The table of contents ends before the first row.
	data := bytes.Index(raw, []byte(`a tab\t`)) - len("1\t") - 5
	stride := 4001
	if os.Getenv("PHASEGATE_SOAK") != "" {
		stride = 31
	}
	var positions []int
	for at := 0; at < len(raw); at += stride {
		positions = append(positions, at)
	}
	for at := data; at < data+100; at++ { // every byte of the first rows
		positions = append(positions, at)
	}
	for _, at := range positions {
		raw[at] ^= 1 << (at % 8)
		got, err := archive.Read(bytes.NewReader(raw))
		raw[at] ^= 1 << (at % 8)
		if at >= data && err == nil && reflect.DeepEqual(got, want) {
			t.Fatalf("a flipped bit at %d of %d is not seen", at, len(raw))
		}
		if _, err := archive.Read(bytes.NewReader(raw[:at])); err == nil {
			t.Fatalf("an end at %d of %d is not seen", at, len(raw))
		}
	}
}

func TestWhatIsNoArchiveIsRefused(t *testing.T) {
	raw, _, _, _ := dumped(t)
	newer := bytes.Clone(raw)
	newer[6] = 99
	if _, err := archive.Read(bytes.NewReader(newer)); !errors.Is(err, archive.ErrVersion) {
		t.Errorf("of a newer version: %v", err)
	}
	zero := bytes.Clone(raw)
	zero[len(raw)-5] = 1 // the sign of the number that ends the archive
	for what, raw := range map[string][]byte{
		"a text":         []byte("create table users (id int)"),
		"minus zero":     zero,
		"something more": append(bytes.Clone(raw), 1, 0, 1, 0, 0, 0),
		"nothing":        nil,
	} {
		if _, err := archive.Read(bytes.NewReader(raw)); err == nil {
			t.Errorf("%s is read", what)
		}
	}
	for _, option := range []string{"--compress=1", "--inserts"} {
		raw, _, _, _ := dumped(t, option)
		if _, err := archive.Read(bytes.NewReader(raw)); err == nil {
			t.Errorf("an archive made with %s is read", option)
		}
	}
}

func FuzzRead(f *testing.F) {
	raw, _, _, _ := dumped(f)
	f.Add(raw[:min(len(raw), 20000)])
	f.Fuzz(func(_ *testing.T, raw []byte) {
		_, _ = archive.Read(bytes.NewReader(raw)) // it must end, in little memory, and not panic
	})
}
