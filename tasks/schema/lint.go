package schema

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/internal/sqllint"
	"github.com/medlogistics/phasegate/runner/task"
)

// Lint reads the migrations and finds what their text tells about how they will
// go in production: locks that keep the application out, rewrites of tables, data
// that goes, programs that break, and what is no statement at all. phasegate lint does
// the same at the terminal, and phasegate lint --rules explains the rules. It fails if
// there is an error; warnings are only counted.
//
// A finding that is meant is ignored in front of its statement, with the reason:
// "-- phasegate:ignore RULE reason". A directive without a reason is an error.
//
// With a development database, the migrations are also run in an empty scratch
// database beside it, named after it with _phasegate_scratch behind and dropped
// at the end, and Atlas's own analyzers look at what each statement changes. What
// goes beyond a database, such as CREATE ROLE, is not run there.
type Lint struct {
	Dir   task.Path     `with:"dir,required"` // directory of the migrations and of atlas.sum, their checksums
	After string        `with:"after"`        // last version that is not looked at, such as the baseline; default none
	To    string        `with:"to"`           // last version that is looked at, as in schema/apply; default the newest
	Dev   redact.Secret `with:"dev"`          // connection string of a development database, for Atlas's analyzers; without it, they are left out
}

// Linted tells what was found.
type Linted struct {
	Files        int    `json:"files"`         // number of migrations looked at
	Errors       int    `json:"errors"`        // number of findings that are errors
	Warnings     int    `json:"warnings"`      // number of findings that are warnings
	Report       string `json:"report"`        // path of the findings, a JSON file
	ReportSHA256 string `json:"report_sha256"` // of the report
}

// Files are the migrations and atlas.sum.
func (l *Lint) Files() []string { return folderFiles(l.Dir) }

// Check holds that the files fit atlas.sum.
func (l *Lint) Check(context.Context, *task.Env) error {
	_, err := l.folder()
	return err
}

func (l *Lint) folder() (*folder, error) {
	f, err := openFolder(l.Dir)
	if err != nil {
		return nil, err
	}
	if _, ok := f.version(l.After); !ok && l.After != "" {
		return nil, fmt.Errorf("after: version %s is not among the migrations in %s: %s", l.After, f.Path(), f.known())
	}
	_, _, err = f.until(nil, l.To)
	return f, err
}

// Run looks at the migrations.
func (l *Lint) Run(ctx context.Context, env *task.Env) (Linted, error) {
	f, err := l.folder()
	if err != nil {
		return Linted{}, err
	}
	notes := map[string][]sqllint.Note{}
	if l.Dev != (redact.Secret{}) {
		err := inScratch(ctx, l.Dev, env, func(_ *clone, d *database) (err error) {
			notes, err = analyze(ctx, d, &fence{folder: f, log: env.Log}, l.After)
			return err
		})
		if err != nil {
			return Linted{}, err
		}
	}
	if ctx.Err() != nil {
		return Linted{}, context.Cause(ctx)
	}
	wanted, _, err := f.until(f.after(l.After), l.To)
	if err != nil {
		return Linted{}, err
	}
	receipt := Linted{Files: len(wanted), Report: filepath.Join(env.Dir, "lint.json")}
	findings := l.findings(f, notes)
	for _, found := range findings {
		if found.Level == sqllint.Error {
			receipt.Errors++
		} else {
			receipt.Warnings++
		}
	}
	if receipt.ReportSHA256, err = writeJSON(receipt.Report, findings); err != nil {
		return receipt, fmt.Errorf("write the findings: %w", err)
	}
	if receipt.Errors > 0 {
		return receipt, refusal(findings, receipt.Errors)
	}
	return receipt, nil
}

// findings are those of the files that are looked at, never nil.
func (l *Lint) findings(f *folder, notes map[string][]sqllint.Note) []sqllint.Finding {
	findings := []sqllint.Finding{}
	var linter sqllint.Linter
	for _, file := range f.files {
		if l.To != "" && file.Version() > l.To {
			break
		}
		path := filepath.Join(f.Path(), file.Name())
		if file.Version() <= l.After {
			linter.Skip(path, string(file.Bytes()))
			continue
		}
		findings = append(findings, linter.File(path, string(file.Bytes()), notes[file.Name()]...)...)
	}
	return findings
}

// refusal names the first errors, and how to mend the first.
func refusal(findings []sqllint.Finding, errs int) error {
	var lines []string
	advice := ""
	for _, found := range findings {
		if found.Level != sqllint.Error {
			continue
		}
		if advice == "" {
			advice = found.Advice
		}
		lines = append(lines, found.String())
	}
	noun := "errors"
	if errs == 1 {
		noun = "error"
	}
	return task.Hint(errors.New(fmt.Sprint(errs, " ", noun, ": ", some(lines))),
		advice+"; or write -- phasegate:ignore RULE reason in front of the statement")
}
