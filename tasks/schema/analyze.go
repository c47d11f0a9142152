package schema

import (
	"context"
	"errors"
	"fmt"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/postgres"
	_ "ariga.io/atlas/sql/postgres/postgrescheck" // registers the analyzers
	"ariga.io/atlas/sql/schema"
	"ariga.io/atlas/sql/sqlcheck"
	"ariga.io/atlas/sql/sqlclient"

	"github.com/medlogistics/phasegate/internal/sqllint"
)

// atlasRules are our names for what Atlas's open analyzers find:
// https://atlasgo.io/lint/analyzers.
var atlasRules = map[string]string{
	"DS101": "ban-drop-schema",
	"DS102": "ban-drop-table",
	"DS103": "ban-drop-column",
	"MF101": "unique-index-may-fail",
	"MF102": "unique-index-may-fail",
	"MF103": "adding-required-field",
	"MF104": "adding-not-nullable-field",
	"CD101": "ban-drop-constraint",
	"BC101": "renaming-table",
	"BC102": "renaming-column",
}

// analyze runs the migrations in an empty database and has Atlas's analyzers
// look at what each statement of those after the version changes there. Unlike
// the text rules these know what was there before.
func analyze(ctx context.Context, d *database, within *fence, after string) (map[string][]sqllint.Note, error) {
	analyzers, err := sqlcheck.AnalyzerFor(postgres.DriverName, nil)
	if err != nil {
		return nil, fmt.Errorf("prepare the analyzers: %w", err)
	}
	if after != "" {
		if err := d.replay(ctx, within, after); err != nil {
			return nil, err
		}
	}
	notes := map[string][]sqllint.Note{}
	for _, file := range within.folder.after(after) {
		changed, err := d.changes(ctx, within, file)
		if err != nil {
			return nil, err
		}
		pass := &sqlcheck.Pass{
			File: changed, Dev: &sqlclient.Client{Name: postgres.DriverName, Driver: driver{Driver: d.driver}},
			Reporter: sqlcheck.ReportWriterFunc(func(r sqlcheck.Report) {
				for _, found := range r.Diagnostics {
					if rule, ok := atlasRules[found.Code]; ok {
						notes[file.Name()] = append(notes[file.Name()], sqllint.Note{Pos: found.Pos, Rule: rule, Message: found.Text + " (Atlas " + found.Code + ")"})
					}
				}
			}),
		}
		for _, analyzer := range analyzers {
			before := len(notes[file.Name()])
			// That something destructive was found comes back as an error too.
			if err := analyzer.Analyze(ctx, pass); err != nil && len(notes[file.Name()]) == before {
				return nil, fmt.Errorf("analyze %s: %w", file.Name(), err)
			}
		}
	}
	return notes, nil
}

// changes runs a migration statement by statement within the fence and finds what
// each changes.
func (d *database) changes(ctx context.Context, within *fence, file migrate.File) (*sqlcheck.File, error) {
	if _, err := d.conn.ExecContext(ctx, "reset all; reset role"); err != nil {
		return nil, fmt.Errorf("reset the session: %w", err)
	}
	if _, err := within.folder.transactional(file); err != nil {
		return nil, err
	}
	stmts, err := statements(file)
	if err != nil {
		return nil, fmt.Errorf("read the statements of %s: %w", file.Name(), err)
	}
	from, err := d.inspect(ctx)
	if err != nil {
		return nil, err
	}
	changed := &sqlcheck.File{File: file, From: from, To: from}
	for _, stmt := range stmts {
		if within.keeps(file, stmt) {
			continue
		}
		if _, err := d.conn.ExecContext(ctx, stmt.Text); err != nil {
			return nil, within.folder.failed(ctx, file, &migrate.StmtExecError{File: file, Stmt: stmt, Version: file.Version(), Err: err})
		}
		next, err := d.inspect(ctx)
		if err != nil {
			return nil, err
		}
		changes, err := d.driver.RealmDiff(changed.To, next)
		if err != nil {
			return nil, fmt.Errorf("compare before and after a statement of %s: %w", file.Name(), err)
		}
		changed.Changes = append(changed.Changes, &sqlcheck.Change{Changes: changes, Stmt: stmt})
		changed.To = next
	}
	changed.Sum, err = d.driver.RealmDiff(changed.From, changed.To)
	if err != nil {
		return nil, fmt.Errorf("compare before and after %s: %w", file.Name(), err)
	}
	return changed, nil
}

func (d *database) inspect(ctx context.Context) (*schema.Realm, error) {
	realm, err := d.driver.InspectRealm(ctx, &schema.InspectRealmOption{Exclude: []string{revisionsTable}})
	if err != nil {
		return nil, errors.Join(errors.New("inspect the scratch database"), err)
	}
	return realm, nil
}
