package postgres

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

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
	schema := false // whether the lines are the definition of a schema
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte("-- Name: ")) {
			schema = bytes.Contains(line, []byte("; Type: SCHEMA; "))
		}
		if there := schema && r.remains(string(line)); !there && !forPsql(line) {
			sql.Write(line)
		}
	}
	return r.execute(ctx, sql.String())
}

// remains tells whether the line would create a schema that was not dropped.
func (r *replacing) remains(line string) bool {
	name, ok := strings.CutPrefix(strings.TrimSpace(line), "CREATE SCHEMA ")
	return ok && slices.Contains(r.remaining, strings.TrimSuffix(name, ";"))
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
