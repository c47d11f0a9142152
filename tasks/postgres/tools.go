package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/pattern"
	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/runner/task"
)

// oldest is the first version of PostgreSQL whose databases these tasks keep:
// the first with DROP DATABASE ... WITH (FORCE) and pg_current_snapshot().
const oldest = 13

// A tool is one of PostgreSQL's client programs.
type tool struct {
	path    string
	version string // such as 15.18
	major   int
}

// versionText finds the version in what a program says of itself, such as
// "pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)" or "17beta2".
var versionText = pattern.Lazy(`\) (\d+)((?:\.\d+)*\w*)`)

// findTool finds a program and asks it for its version.
func findTool(ctx context.Context, name string) (tool, error) {
	path, err := pg.Tool(name)
	if err != nil {
		return tool{}, err
	}
	said, err := command.Command{Argv: []string{path, "--version"}}.Output(ctx)
	if err != nil {
		return tool{}, fmt.Errorf("ask %s for its version: %w", name, err)
	}
	found := versionText().FindStringSubmatch(said)
	if found == nil {
		return tool{}, fmt.Errorf("ask %s for its version: it says %q", name, said)
	}
	major, err := strconv.Atoi(found[1])
	if err != nil {
		return tool{}, fmt.Errorf("ask %s for its version: %w", name, err)
	}
	return tool{path: path, version: found[1] + found[2], major: major}, nil
}

// serverMajor returns the major version of the server behind conn. It fails on
// one that is older than these tasks know.
func serverMajor(ctx context.Context, conn *pgx.Conn) (int, error) {
	var number int
	if err := conn.QueryRow(ctx, "select current_setting('server_version_num')::int").Scan(&number); err != nil {
		return 0, fmt.Errorf("ask the server for its version: %w", err)
	}
	major := number / 10000
	if major < oldest {
		return 0, task.Hint(fmt.Errorf("the server is PostgreSQL %d, older than %d", major, oldest), "upgrade the server first")
	}
	return major, nil
}

// dumpTools finds pg_dump and pg_restore, and fails unless they can dump the
// server behind conn.
func dumpTools(ctx context.Context, conn *pgx.Conn) (dump, restore tool, err error) {
	if dump, restore, err = findTools(ctx); err != nil {
		return tool{}, tool{}, err
	}
	return dump, restore, suit(ctx, conn, dump, restore)
}

// findTools finds pg_dump and pg_restore.
func findTools(ctx context.Context) (dump, restore tool, err error) {
	err = together(ctx,
		func(ctx context.Context) (err error) { dump, err = findTool(ctx, "pg_dump"); return err },
		func(ctx context.Context) (err error) { restore, err = findTool(ctx, "pg_restore"); return err },
	)
	return dump, restore, err
}

// suit fails unless the programs can handle the server: pg_dump refuses one of a newer
// major version than its own. https://www.postgresql.org/docs/current/app-pgdump.html
func suit(ctx context.Context, conn *pgx.Conn, programs ...tool) error {
	server, err := serverMajor(ctx, conn)
	if err != nil {
		return err
	}
	for _, program := range programs {
		if program.major < server {
			return task.Hint(
				fmt.Errorf("%s is of version %s and cannot handle a server of version %d", program.path, program.version, server),
				fmt.Sprintf("install PostgreSQL's client programs of version %d or newer, or name their directory in PG_BIN", server))
		}
	}
	return nil
}

// undefined tells whether the server said that a name is not there (yet).
func undefined(err error) bool {
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		return false
	}
	switch said.Code {
	case "42P01", "42703", "42883", "42704", "3F000": // table, column, function, object, schema
		return true
	}
	return false
}
