package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Restored is what a backup came to when it was restored.
type Restored struct {
	Metadata

	Kinds map[string]int // number of objects that were compared, by kind
}

// VerifyRestored restores a backup into a server that is there for nothing else,
// and compares everything with what the database was when the backup was taken:
// number and content of rows, sequences, large objects, and each object of the
// database with its definition, owner and privileges. The server is reached
// through dsn, by the name of a database, as a superuser; roles and the database
// are made in it. The error wraps [ErrDamaged] or [ErrDiffers] as that of [Verify].
func VerifyRestored(ctx context.Context, file string, proof Proof, dsn func(database string) redact.Secret) (Restored, error) {
	var r Restored
	m, err := ReadMetadata(file)
	if err != nil {
		return r, err
	}
	r.Metadata, r.Proven = m, false
	// From the one database that every server has and no backup is of.
	conn, err := pg.ConnectSystem(ctx, dsn("template1"), "")
	if err != nil {
		return r, err
	}
	defer pg.Close(conn)
	if err := sameMajor(ctx, conn, m); err != nil {
		return r, err
	}
	if err := prepareServer(ctx, conn, m); err != nil {
		return r, err
	}
	proof.step("restore it")
	if err := restoreCreating(ctx, file, m, proof, dsn("template1")); err != nil {
		return r, fmt.Errorf("restore the backup: %w", err)
	}
	proof.step("compare what was restored")
	objects, err := compareRestored(ctx, m, dsn(m.Database))
	if err != nil {
		return r, err
	}
	r.Kinds = map[string]int{}
	for _, o := range objects {
		r.Kinds[o.Kind]++
	}
	r.Proven = true
	return r, nil
}

func (p Proof) step(what string) {
	if p.Step != nil {
		p.Step(what)
	}
}

// sameMajor fails unless the server is of the major version from which the
// backup was taken: another one writes the same definition in another way.
func sameMajor(ctx context.Context, conn *pgx.Conn, m Metadata) error {
	major, err := serverMajor(ctx, conn)
	if err != nil {
		return err
	}
	if taken, _, _ := strings.Cut(m.ServerVersion, "."); taken != fmt.Sprint(major) {
		return task.Hint(fmt.Errorf("the backup was taken from PostgreSQL %s and cannot be compared on %d", m.ServerVersion, major),
			"install PostgreSQL "+taken+" here, or name its directory in PG_BIN")
	}
	return nil
}

// prepareServer makes the roles that the backup's objects belong to, and room for
// the database's name. Nobody can log in as one of the roles; they are superusers
// since that is what the owner of some objects has to be.
func prepareServer(ctx context.Context, conn *pgx.Conn, m Metadata) error {
	if err := makeRoom(ctx, conn, m.Database); err != nil {
		return err
	}
	for _, role := range m.Roles {
		var there bool
		if err := conn.QueryRow(ctx, "select exists (select from pg_roles where rolname = $1)", role).Scan(&there); err != nil {
			return fmt.Errorf("look for the backup's roles: %w", err)
		}
		if there {
			continue
		}
		if _, err := conn.Exec(ctx, fmt.Sprintf("create role %s superuser nologin", quote(role))); err != nil {
			return fmt.Errorf("make the backup's roles: %w", err)
		}
	}
	return nil
}

// makeRoom fails on a server that has databases of anybody's. The empty one that
// every new server has is dropped if the backup is of one of that name.
func makeRoom(ctx context.Context, conn *pgx.Conn, database string) error {
	var others int
	err := conn.QueryRow(ctx, "select count(*) from pg_database where datname not in ('template0', 'template1', $1)", pg.Maintenance).Scan(&others)
	if err != nil {
		return fmt.Errorf("look at the server's databases: %w", err)
	}
	if others > 0 {
		return fmt.Errorf("restore the backup: the server has %d databases of its own, it is not there for this alone", others)
	}
	if database != pg.Maintenance {
		return nil
	}
	if _, err := conn.Exec(ctx, "drop database "+quote(database)); err != nil {
		return fmt.Errorf("make room for the database: %w", err)
	}
	return nil
}

// restoreCreating has pg_restore create the database with all that belongs to it.
func restoreCreating(ctx context.Context, file string, m Metadata, proof Proof, dsn redact.Secret) error {
	restore, err := findTool(ctx, "pg_restore")
	if err != nil {
		return err
	}
	env, err := pg.Env(dsn)
	if err != nil {
		return err
	}
	source, err := openArchive(file, m, proof.Identities, func(n int64) { proof.Progress(n, m.Bytes) })
	if err != nil {
		return err
	}
	defer source.Close()
	err = command.Command{
		Argv: []string{restore.path, "--create", "--exit-on-error", "--no-tablespaces", "--no-password", "--dbname=template1"},
		Env:  env, Stdin: source, Mask: redact.NewMasker(dsn),
	}.Run(ctx)
	return source.verify(ctx, err, m.SHA256)
}

// compareRestored reads the whole restored database and compares it. It returns
// the objects that it found.
func compareRestored(ctx context.Context, m Metadata, dsn redact.Secret) ([]pg.Object, error) {
	snapshot, err := pg.OpenSnapshot(ctx, dsn, 0)
	if err != nil {
		return nil, err
	}
	defer snapshot.Close()
	objects, differences, err := m.compare(ctx, snapshot, nil)
	if err != nil {
		return nil, err
	}
	return objects, differ("the restored database", differences)
}

// compare reads a database that was restored from the backup, and returns its
// objects, but for those that are left out, and a sentence for each difference.
func (m Metadata) compare(ctx context.Context, snapshot *pg.Snapshot, leaveOut func(pg.Object) bool) (objects []pg.Object, differences []string, err error) {
	conn := snapshot.Conn()
	tables, err := pg.Tables(ctx, conn)
	if err != nil {
		return nil, nil, err
	}
	if err := snapshot.Read(ctx, tables, 2, pg.Sum); err != nil {
		return nil, nil, err
	}
	sequences, err := pg.Sequences(ctx, conn)
	if err != nil {
		return nil, nil, err
	}
	large, err := pg.SumLarge(ctx, conn)
	if err != nil {
		return nil, nil, err
	}
	if objects, err = pg.Objects(ctx, conn); err != nil {
		return nil, nil, err
	}
	if leaveOut != nil {
		objects = slices.DeleteFunc(objects, leaveOut)
	}
	differences = append(pg.Differences(m.Tables, tables), pg.SequenceDifferences(m.Sequences, sequences)...)
	if d := m.LargeObjects.Differ(large); d != "" {
		differences = append(differences, d)
	}
	return objects, append(differences, pg.ObjectDifferences(m.Objects, objects)...), nil
}

// told is how many differences an error names one by one.
const told = 25

// differ is the error of something that is not what the backup was taken from,
// nil if there are no differences.
func differ(what string, differences []string) error {
	if len(differences) == 0 {
		return nil
	}
	text := strings.Join(differences[:min(told, len(differences))], "; ")
	if more := len(differences) - told; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return task.Hint(fmt.Errorf("compare %s: %w: %s", what, ErrDiffers, text),
		"make another backup, and keep this one for whoever looks into it")
}
