package schema

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// fromArchive restores an archive of pg_dump into the copy.
func (c *clone) fromArchive(ctx context.Context, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the backup: %w", err)
	}
	defer func() { _ = file.Close() }()
	archive, err := plain(file)
	if err != nil {
		return fmt.Errorf("read the backup %s: %w", path, err)
	}
	defer archive.Close()
	return c.restore(ctx, archive)
}

// plain takes the compression off an archive, if there is one.
func plain(file io.Reader) (io.ReadCloser, error) {
	buffered := bufio.NewReaderSize(file, 1<<16)
	magic, err := buffered.Peek(5)
	if err != nil {
		return nil, errors.New("it is too short to be an archive")
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}): // https://datatracker.ietf.org/doc/html/rfc8878#section-3.1.1
		decoder, err := zstd.NewReader(buffered)
		if err != nil {
			return nil, err
		}
		return decoder.IOReadCloser(), nil
	case string(magic) == "PGDMP":
		return io.NopCloser(buffered), nil
	}
	return nil, task.Hint(errors.New("it is not an archive of pg_dump in the custom format, compressed with zstd or not"),
		"name the archive that postgres/backup has made: ${{ steps.ID.path }}")
}

// fromDump dumps the original and restores it into the copy at the same time.
func (c *clone) fromDump(ctx context.Context) error {
	dump, err := pg.Tool("pg_dump")
	if err != nil {
		return err
	}
	env, err := pg.Env(c.dsn)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	read, write := io.Pipe()
	dumped := make(chan error, 1)
	go func() {
		err := command.Command{
			Argv: []string{dump, "--format=custom", "--compress=0", "--no-publications", "--no-subscriptions"},
			Env:  env, Stdout: write, Mask: redact.NewMasker(c.dsn),
		}.Run(ctx)
		_ = write.CloseWithError(err)
		dumped <- err
	}()
	err = c.restore(ctx, read)
	if err != nil {
		cancel(err)
	}
	_ = read.Close()
	if dumpErr := <-dumped; dumpErr != nil && (err == nil || !errors.Is(dumpErr, err)) {
		return fmt.Errorf("dump database %s: %w", c.source, dumpErr)
	}
	return err
}

// restore has pg_restore fill the copy. Replication is left out: a copy must
// not take part in it.
func (c *clone) restore(ctx context.Context, archive io.Reader) error {
	program, err := pg.Tool("pg_restore")
	if err != nil {
		return err
	}
	env, err := pg.Env(c.dsn)
	if err != nil {
		return err
	}
	err = command.Command{
		Argv: []string{program, "--exit-on-error", "--no-publications", "--no-subscriptions", "--dbname=dbname=" + conninfo(c.name)},
		Env:  env, Stdin: archive, Mask: redact.NewMasker(c.dsn),
	}.Run(ctx)
	if err != nil {
		return fmt.Errorf("restore into the copy %s: %w", c.name, err)
	}
	return nil
}

// conninfo quotes a value of a connection string:
// https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING.
func conninfo(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}

// literal quotes a string for SQL, whatever standard_conforming_strings is.
func literal(value string) string {
	quoted := "'" + strings.ReplaceAll(value, "'", "''") + "'"
	if strings.Contains(value, `\`) {
		return " E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}
