package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// peekJournal opens the store at a place to read from it. It makes nothing there:
// where there was never a run, the store is nil.
func peekJournal(ctx context.Context, place string) (journal.Store, error) {
	if !inDatabase(place) {
		return openJournal(ctx, place)
	}
	store, err := journal.PeekPostgres(ctx, place)
	if errors.Is(err, journal.ErrNeverUsed) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return store, nil
}

func inDatabase(place string) bool {
	return strings.HasPrefix(place, "postgres://") || strings.HasPrefix(place, "postgresql://")
}

// keyword begins a setting of libpq's other form of a connection string, such as
// host=db dbname=app, which the driver takes as well as a URL.
var keyword = pattern.Lazy(`(^|\s)(host|hostaddr|port|dbname|database|user|service)\s*=`)

// connects tells whether a value may be a connection string.
func connects(value string) bool {
	return inDatabase(value) || strings.Contains(value, "=") && keyword().MatchString(value)
}

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
func (a *app) apart(ctx context.Context, p *plan.Plan, environ plan.Environ) error {
	if !inDatabase(a.Journal) {
		return nil
	}
	own, err := journal.Identify(ctx, a.Journal)
	if err != nil {
		return fail(ExitFailed, err)
	}
	for _, dsn := range databases(p, environ) {
		// A database that does not answer is for the plan's own steps to report.
		other, err := journal.Identify(ctx, dsn)
		if errors.Is(err, journal.ErrUnidentified) {
			return fail(ExitUsage, fmt.Errorf("whether the journal is in the database that the plan works on cannot be known: %w", err))
		}
		if err == nil && own.Same(other) {
			return fail(ExitUsage, task.Hint(
				fmt.Errorf("the journal is in database %s, which the plan works on: a rollback would wipe it", own.Name),
				"keep the journal in a database of its own, such as one named phasegate on the same server"))
		}
	}
	return nil
}

// databases returns the connection strings among the plan's secret variables and
// the secret inputs of its steps, which may put one together, each once.
func databases(p *plan.Plan, environ plan.Environ) []string {
	secrets := environ.Secrets()
	for _, phase := range p.Phases {
		for _, step := range slices.Concat(phase.Gates, phase.Steps, phase.Rollback) {
			secrets = append(secrets, step.Secrets(environ)...)
		}
	}
	var found []string
	for _, secret := range secrets {
		if dsn := secret.Reveal(); connects(dsn) && !slices.Contains(found, dsn) {
			found = append(found, dsn)
		}
	}
	return found
}
