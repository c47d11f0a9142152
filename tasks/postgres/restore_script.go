package postgres

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// drops are queries for the statements that drop all that is in a database but
// its extensions, what depends on them and what came with the server. Event
// triggers go first, so that they do not fire at the rest.
var drops = []string{
	`select format('drop event trigger if exists %I', evtname) from pg_event_trigger e
	  where not exists (select from pg_depend d where d.classid = 'pg_event_trigger'::regclass and d.objid = e.oid and d.deptype = 'e')`,
	`select format('drop publication if exists %I', pubname) from pg_publication`,
	`select format('drop schema if exists %I cascade', nspname) from pg_namespace n
	  where nspname !~ '^pg_' and nspname not in ('information_schema', 'public')
	    and not exists (select from pg_depend d where d.classid = 'pg_namespace'::regclass and d.objid = n.oid and d.deptype = 'e')
	    and not exists (select from pg_extension x where x.extnamespace = n.oid)`,
	`select format('drop %s if exists %I.%I cascade',
	               case relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' when 'f' then 'foreign table' else 'table' end,
	               n.nspname, c.relname)
	   from pg_class c join pg_namespace n on n.oid = c.relnamespace
	  where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and ` + ordinary,
	`select format('drop routine if exists %s cascade', p.oid::regprocedure) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
	  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and p.prokind <> 'a'
	    and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype in ('e', 'i'))`,
	`select format('drop aggregate if exists %s cascade', p.oid::regprocedure) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
	  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and p.prokind = 'a'
	    and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype in ('e', 'i'))`,
	`select format('drop type if exists %I.%I cascade', n.nspname, t.typname) from pg_type t join pg_namespace n on n.oid = t.typnamespace
	  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and t.typtype in ('e', 'd', 'r', 'c', 'b')
	    and not exists (select from pg_depend d where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype in ('e', 'i'))`,
	`select format('drop server if exists %I cascade', srvname) from pg_foreign_server s
	  where not exists (select from pg_depend d where d.classid = 'pg_foreign_server'::regclass and d.objid = s.oid and d.deptype = 'e')`,
	`select format('drop collation if exists %I.%I cascade', n.nspname, c.collname) from pg_collation c join pg_namespace n on n.oid = c.collnamespace
	  where n.nspname !~ '^pg_'
	    and not exists (select from pg_depend d where d.classid = 'pg_collation'::regclass and d.objid = c.oid and d.deptype = 'e')`,
	`select format('select lo_unlink(%s)', oid) from pg_largeobject_metadata`,
}

// clear drops what is in the database. Each kind is listed when those before it
// are gone, since much goes with them.
func (r *replacing) clear(ctx context.Context) error {
	for _, query := range drops {
		rows, err := r.conn.Query(ctx, query)
		if err != nil {
			return fmt.Errorf("list what is in the database: %w", err)
		}
		statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return fmt.Errorf("list what is in the database: %w", err)
		}
		for _, statement := range statements {
			if _, err := r.conn.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
				return task.Hint(fmt.Errorf("%s: %w", statement, err),
					"stop whoever uses the database; connect as the role that owns what is in it, or as a superuser")
			}
		}
	}
	return nil
}

// section has pg_restore write a section of the archive as SQL, and carries it
// out in our own transaction: pg_restore itself could not do so behind our drops.
func (r *replacing) section(ctx context.Context, name string) error {
	restore, err := findTool(ctx, "pg_restore")
	if err != nil {
		return err
	}
	source, err := openArchive(r.restore.Backup, r.metadata, r.identities, func(n int64) {
		if name == "data" {
			r.env.Progress(n, r.metadata.Bytes, "bytes")
		}
	})
	if err != nil {
		return err
	}
	defer source.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := command.Command{
			Argv:  []string{restore.path, "--section=" + name, "--no-tablespaces", "--file=-"},
			Stdin: source, Stdout: in, Mask: redact.NewMasker(r.restore.DSN),
		}.Run(ctx)
		_ = in.CloseWithError(err) // nil is the end
		ended <- err
	}()
	script := bufio.NewReaderSize(out, 1<<16)
	if name == "data" {
		err = r.data(ctx, script)
	} else {
		err = r.definitions(ctx, script)
	}
	if err != nil {
		cancel(err)
	}
	_ = out.Close()
	return source.verify(context.WithoutCancel(ctx), errors.Join(err, <-ended), r.metadata.SHA256)
}

// definitions carries out a section without data, which is as long as the schema
// is large.
func (r *replacing) definitions(ctx context.Context, script io.Reader) error {
	text, err := io.ReadAll(script)
	if err != nil {
		return err
	}
	var sql strings.Builder
	for line := range bytes.Lines(text) {
		if !forPsql(line) {
			sql.Write(line)
		}
	}
	return r.execute(ctx, sql.String())
}

// forPsql finds the lines that psql does not send to the server.
func forPsql(line []byte) bool {
	return bytes.HasPrefix(line, []byte(`\restrict `)) || bytes.HasPrefix(line, []byte(`\unrestrict `))
}

// data carries out the section with the data, a statement a line: COPYs with
// their rows, sequences' values and pieces of large objects. The latter are in a
// transaction of their own, which would end ours.
func (r *replacing) data(ctx context.Context, script *bufio.Reader) error {
	for {
		line, err := script.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		statement := strings.TrimSpace(string(line))
		switch {
		case statement == "", strings.HasPrefix(statement, "--"), forPsql(line), statement == "BEGIN;", statement == "COMMIT;":
		case strings.HasPrefix(statement, "COPY ") && strings.HasSuffix(statement, "FROM stdin;"):
			rows := &copyBlock{from: script}
			if _, err := r.conn.PgConn().CopyFrom(ctx, rows, statement); err != nil {
				return fmt.Errorf("%s: %w", clip(statement), err)
			}
			if !rows.ended {
				return errors.New("the archive ends within a table")
			}
		default:
			if err := r.execute(ctx, statement); err != nil {
				return err
			}
		}
	}
}

func (r *replacing) execute(ctx context.Context, sql string) error {
	_, err := r.conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return task.Hint(err, "nothing was changed; connect as the role that owned what is in the backup, or as a superuser")
	}
	return nil
}

// A copyBlock reads the rows behind a COPY, up to the line that ends them.
type copyBlock struct {
	from  *bufio.Reader
	rest  []byte
	mid   bool // within a line
	ended bool
}

// Read gives a piece of the rows.
func (c *copyBlock) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		if c.ended {
			return 0, io.EOF
		}
		piece, err := c.from.ReadSlice('\n')
		if !c.mid && string(piece) == "\\.\n" {
			c.ended = true
			return 0, io.EOF
		}
		c.mid = errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !c.mid {
			return 0, err
		}
		c.rest = piece
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
