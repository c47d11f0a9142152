package schema

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"ariga.io/atlas/sql/migrate"

	"github.com/medlogistics/phasegate/internal/sqllint"
	"github.com/medlogistics/phasegate/runner/task"
)

// confined holds that nothing that a rehearsal of the files runs, their reverses
// included, goes beyond the copy, as far as the text shows: a role that the copy
// makes is there on the server, and what it sets by the database's name is set for
// the application.
func (f *folder) confined(files []migrate.File) error {
	for _, file := range files {
		if err := f.local(file); err != nil {
			return err
		}
		if f.down == nil {
			continue
		}
		if down, ok := f.down.version(file.Version()); ok {
			if err := f.down.local(down); err != nil {
				return err
			}
		}
	}
	return nil
}

// local holds that no statement of the file goes beyond its database.
func (f *folder) local(file migrate.File) error {
	stmts, err := statements(file)
	if err != nil {
		return fmt.Errorf("read the statements of %s: %w", filepath.Join(f.Path(), file.Name()), err)
	}
	for _, stmt := range stmts {
		if kind := sqllint.Beyond(stmt.Text); kind != "" {
			return task.Hint(fmt.Errorf("%s: %s goes beyond the database: run in a copy, it would change the server itself", f.place(file, stmt, 0), kind),
				"take it out of the migrations and do it in a step of the deployment before them, since no copy can rehearse it; nothing was changed")
		}
	}
	return nil
}

// A fence runs the statements of migrations in a scratch database but for those that
// go beyond it: there they were run already, and here they would be run again.
type fence struct {
	folder *folder
	file   migrate.File
	log    *slog.Logger
	left   []string // places and kinds of those
}

// keeps tells whether the statement is kept out, and takes note of it.
func (c *fence) keeps(file migrate.File, stmt *migrate.Stmt) bool {
	kind := sqllint.Beyond(stmt.Text)
	if kind == "" {
		return false
	}
	place := c.folder.place(file, stmt, 0)
	c.log.Warn("a statement that goes beyond the database is left out", "at", place, "statement", kind)
	c.left = append(c.left, place+": "+kind)
	return true
}

func (c *fence) begin(_ context.Context, file migrate.File, _ bool) error {
	c.file = file
	return nil
}

func (c *fence) statement(_ context.Context, stmt *migrate.Stmt, run func() error) error {
	if c.keeps(c.file, stmt) {
		return nil
	}
	return run()
}

func (c *fence) end(_ context.Context, finish func() error) error { return finish() }
