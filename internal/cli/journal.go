package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/medlogistics/phasegate/internal/pattern"
	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// defaultDir is where runs are kept, and artifacts also where the journal is in a
// database.
const defaultDir = "phasegate-runs"

// openJournal opens the store at a place: a PostgreSQL URL or a directory.
func openJournal(ctx context.Context, place string) (journal.Store, error) {
	if !inDatabase(place) {
		if connects(place) {
			return nil, errors.New("a database is named in another form than as a URL")
		}
		return journal.NewDir(place), nil
	}
	return journal.OpenPostgres(ctx, place)
}

func inDatabase(place string) bool {
	return strings.HasPrefix(place, "postgres://") || strings.HasPrefix(place, "postgresql://")
}

// keyword begins a setting of libpq's other form of a connection string, such as
// host=db dbname=app, which the driver takes as well as a URL.
var keyword = pattern.Lazy(`(^|\s)(host|hostaddr|port|dbname|database|user|service)\s*=`)

// connects tells whether a value may be a connection string.
func connects(value string) bool { return inDatabase(value) || keyword().MatchString(value) }

// store returns the journal's store, opened once.
func (a *app) store(ctx context.Context) (journal.Store, error) {
	if a.opened != nil {
		return a.opened, nil
	}
	store, err := a.open(ctx, a.Journal)
	if err != nil {
		return nil, fail(ExitFailed, task.Hint(err, "check PHASEGATE_JOURNAL: it is a directory or a postgres:// URL"))
	}
	a.opened = store
	return store, nil
}

// dir is where the runs' artifacts go.
func (a *app) dir() string {
	if inDatabase(a.Journal) {
		return defaultDir
	}
	return a.Journal
}

// apart refuses a journal in a database that the plan works on: what takes the
// database back would take the journal of it back too.
func (a *app) apart(ctx context.Context, environ plan.Environ) error {
	if !inDatabase(a.Journal) {
		return nil
	}
	own, err := journal.Identify(ctx, a.Journal)
	if err != nil {
		return fail(ExitFailed, err)
	}
	for _, secret := range environ.Secrets() {
		if !connects(secret.Reveal()) {
			continue
		}
		// A database that does not answer is for the plan's own steps to report.
		if other, err := journal.Identify(ctx, secret.Reveal()); err == nil && own.Same(other) {
			return fail(ExitUsage, task.Hint(
				fmt.Errorf("the journal is in database %s, which the plan works on: a rollback would wipe it", own.Name),
				"keep the journal in a database of its own, such as one named phasegate on the same server"))
		}
	}
	return nil
}
