package schema

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// The ways to make a copy.
const (
	byTemplate = "template"
	byBackup   = "backup"
	byDump     = "dump"
)

// A clone is the copy of a database, beside it on the same server. It is made and
// dropped in the session that has the lock on the original: the server may still be
// making it for a call that was killed, which has the lock until then.
type clone struct {
	dsn    redact.Secret // of the original
	source string        // the original's name
	name   string        // the copy's name
	env    *task.Env
	lock   *pg.Lock
}

// openClone locks the original for other phasegates. It creates nothing. The copy's
// name is the original's with the suffix.
func openClone(ctx context.Context, dsn redact.Secret, suffix string, env *task.Env) (*clone, error) {
	config, err := pg.Parse(dsn)
	if err != nil {
		return nil, err
	}
	lock, err := pg.Acquire(ctx, dsn)
	if err != nil {
		return nil, err
	}
	return &clone{dsn: dsn, source: config.Database, name: pg.CopyName(config.Database, suffix), env: env, lock: lock}, nil
}

func (c *clone) close() { c.lock.Release() }

// admin is the session with the maintenance database, where databases are created.
func (c *clone) admin() *pgx.Conn { return c.lock.Conn() }

// drop removes the copy, with whoever is connected to it, if it is there.
func (c *clone) drop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	statement := "drop database if exists " + pgx.Identifier{c.name}.Sanitize() + " with (force)"
	if c.admin().IsClosed() { // the context ended in the middle of a statement
		again, err := pg.Acquire(ctx, c.dsn)
		if err != nil {
			return fmt.Errorf("drop the copy %s: %w", c.name, err)
		}
		c.lock = again
	}
	if _, err := c.admin().Exec(ctx, statement); err != nil {
		return task.Hint(fmt.Errorf("drop the copy %s: %w", c.name, err), "the next call drops it, or do it by hand: "+statement)
	}
	return nil
}

// make makes the copy in the way that is wanted, and returns which it was.
func (c *clone) make(ctx context.Context, way, archive string) (string, error) {
	if way == byTemplate {
		return way, c.fromTemplate(ctx)
	}
	if way == "auto" {
		alone, err := c.alone(ctx)
		if err != nil {
			return "", err
		}
		if alone {
			err = c.fromTemplate(ctx)
			if code(err) != objectInUse && code(err) != noPrivilege {
				return byTemplate, err
			}
		}
		way = byDump
		if archive != "" {
			way = byBackup
		}
	}
	if err := c.create(ctx); err != nil {
		return way, err
	}
	if way == byBackup {
		return way, c.fromArchive(ctx, archive)
	}
	return way, c.fromDump(ctx)
}

// alone tells whether nobody but ourselves is connected to the original. For a
// session of ours that is just ending, the server waits.
func (c *clone) alone(ctx context.Context) (alone bool, err error) {
	err = c.admin().QueryRow(ctx, `
		select not exists (select from pg_stat_activity where datname = $1
		                      and application_name <> current_setting('application_name'))`, c.source).Scan(&alone)
	if err != nil {
		return false, fmt.Errorf("look who is connected to database %s: %w", c.source, err)
	}
	return alone, nil
}

// fromTemplate has the server copy the original's files.
func (c *clone) fromTemplate(ctx context.Context) error {
	statement := fmt.Sprintf("create database %s template %s", pgx.Identifier{c.name}.Sanitize(), pgx.Identifier{c.source}.Sanitize())
	var strategies bool
	if err := c.admin().QueryRow(ctx, "select current_setting('server_version_num')::int >= 150000").Scan(&strategies); err != nil {
		return fmt.Errorf("read the server's version: %w", err)
	}
	if strategies {
		// Before version 15 there is no other way. Copying files takes a third
		// of the time of copying through the write-ahead log.
		statement += " strategy file_copy"
	}
	if _, err := c.admin().Exec(ctx, statement); err != nil {
		return task.Hint(fmt.Errorf("copy database %s: %w", c.source, err), "a template needs a database to which nobody is connected: take copy auto or dump")
	}
	return nil
}

// create makes an empty database that is like the original where a dump does
// not tell.
func (c *clone) create(ctx context.Context) error {
	statement, err := pg.EmptyLike(ctx, c.admin(), c.source, c.name)
	if err != nil {
		return err
	}
	if _, err := c.admin().Exec(ctx, statement); err != nil {
		return hinted(fmt.Errorf("create the copy %s: %w", c.name, err))
	}
	return nil
}

// open connects to the copy with the settings that a session of the original
// gets from its database and its role: they are not copied, and a search path
// among them decides what a migration means.
func (c *clone) open(ctx context.Context) (*database, error) {
	config, err := pg.Parse(c.dsn)
	if err != nil {
		return nil, err
	}
	config.Database = c.name
	rows, err := c.admin().Query(ctx, `
		select split_part(entry, '=', 1), substr(entry, strpos(entry, '=') + 1)
		  from pg_db_role_setting s
		  join pg_database d on d.oid = s.setdatabase and d.datname = $1
		 cross join unnest(s.setconfig) entry
		  join pg_settings p on p.name = split_part(entry, '=', 1) and p.context = 'user'
		 where s.setrole = 0 or s.setrole = (select oid from pg_roles where rolname = session_user)
		 order by s.setrole`, c.source)
	if err != nil {
		return nil, fmt.Errorf("look at the settings of database %s: %w", c.source, err)
	}
	var name, value string
	_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		config.RuntimeParams[name] = value
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look at the settings of database %s: %w", c.source, err)
	}
	return openConfig(ctx, c.dsn, config)
}

// mayCopy holds that the account may create databases.
func (d *database) mayCopy(ctx context.Context) error {
	var may bool
	err := d.conn.QueryRowContext(ctx, `select rolcreatedb or rolsuper from pg_roles where rolname = current_user`).Scan(&may)
	if err != nil {
		return fmt.Errorf("look at the account's rights: %w", err)
	}
	if !may {
		return task.Hint(errors.New("the account may not create the copy: it lacks the right to create databases"),
			"alter role ... createdb, or rehearse with another account")
	}
	return nil
}
