package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// restore makes the copy from the backup, compares it with what the backup's
// snapshot held, and returns the number of tables.
func (c *copying) restore(ctx context.Context) (int64, error) {
	m, err := ReadMetadata(c.stage.Backup)
	if err != nil {
		return 0, err
	}
	if !m.Proven {
		return 0, task.Hint(fmt.Errorf("the backup %s is not proven", c.stage.Backup), "make another one with postgres/backup")
	}
	c.snapshot = m.Snapshot
	statement, err := pg.EmptyLike(ctx, c.conn, c.live.name, c.building)
	if err != nil {
		return 0, err
	}
	statement += fmt.Sprintf(" owner %s connection limit %d", quote(c.live.owner), unfinished)
	if _, err := c.conn.Exec(ctx, statement); err != nil {
		return 0, fmt.Errorf("create a database to restore into: %w", err)
	}
	if err := c.runRestore(ctx, m); err != nil {
		return 0, fmt.Errorf("restore %s: %w", c.stage.Backup, err)
	}
	return int64(len(m.Tables)), c.compareContents(ctx, m)
}

func (c *copying) runRestore(ctx context.Context, m Metadata) error {
	restore, err := findTool(ctx, "pg_restore")
	if err != nil {
		return err
	}
	env, err := pg.Env(c.stage.DSN)
	if err != nil {
		return err
	}
	var identities []age.Identity
	if c.stage.Identity != "" {
		if identities, err = ReadIdentities(c.stage.Identity); err != nil {
			return err
		}
	}
	source, err := openArchive(c.stage.Backup, m, identities, func(n int64) { c.env.Progress(n, m.Bytes, "bytes") })
	if err != nil {
		return err
	}
	defer source.Close()
	err = command.Command{
		Argv: []string{restore.path, "--exit-on-error", "--no-password", "--dbname=" + connectionTo(c.building)},
		Env:  env, Stdin: source, Mask: redact.NewMasker(c.stage.DSN),
	}.Run(ctx)
	return source.verify(ctx, err, m.SHA256)
}

// connectionTo names a database so that libpq takes the name for nothing else.
func connectionTo(name string) string {
	return "dbname='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(name) + "'"
}

// compareContents reads the restored database and compares everything with what
// the backup was taken from, but for what belongs to the database as a whole,
// which the live one gives later. It also has the planner's statistics made, which a dump does
// not hold: a database without them is slow on its first day.
func (c *copying) compareContents(ctx context.Context, m Metadata) error {
	conn, err := pg.ConnectSystem(ctx, c.stage.DSN, c.building)
	if err != nil {
		return err
	}
	defer pg.Close(conn)
	if _, err := conn.Exec(ctx, "analyze", pgx.QueryExecModeSimpleProtocol); err != nil {
		return fmt.Errorf("analyze the restored database: %w", err)
	}
	snapshot, err := pg.OpenSnapshotOf(ctx, c.stage.DSN, c.building, 0)
	if err != nil {
		return err
	}
	defer snapshot.Close()
	m.Objects = slices.DeleteFunc(m.Objects, ofWhole)
	_, differences, err := m.compare(ctx, snapshot, ofWhole)
	if err != nil {
		return err
	}
	return differ("the restored database", differences)
}

// ofWhole tells whether an object belongs to the database as a whole.
func ofWhole(o pg.Object) bool { return o.Kind == "database" || o.Kind == "setting" }
