package service

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
)

// A drain watches who is connected to a database. What is visible to any
// account of pg_stat_activity is enough for it:
// https://www.postgresql.org/docs/current/monitoring-stats.html.
type drain struct {
	conn   *pgx.Conn
	ignore []string // application names that may stay
}

// openDrain connects under phasegate's name, by which it leaves out itself and
// its like.
func openDrain(ctx context.Context, database redact.Secret, ignore []string) (*drain, error) {
	conn, err := pg.Connect(ctx, database)
	if err != nil {
		return nil, err
	}
	return &drain{conn, ignore}, nil
}

func (d *drain) close(ctx context.Context) { _ = d.conn.Close(context.WithoutCancel(ctx)) }

// connections returns nil if none is left but those that are ignored, which it
// counts. Otherwise its error names, by application, the ones that are.
func (d *drain) connections(ctx context.Context) (ignored int, err error) {
	rows, err := d.conn.Query(ctx, `
		select coalesce(application_name, ''), count(*)
		  from pg_stat_activity
		 where datname = current_database() and usename is not null
		   and pid <> pg_backend_pid() and application_name is distinct from current_setting('application_name')
		 group by 1 order by 2 desc, 1`)
	if err != nil {
		return 0, fmt.Errorf("look at the database's connections: %w", err)
	}
	var left, count int
	var names []string
	var name string
	_, err = pgx.ForEachRow(rows, []any{&name, &count}, func() error {
		if slices.Contains(d.ignore, name) {
			ignored += count
			return nil
		}
		left += count
		names = append(names, fmt.Sprintf("%s (%d)", application(name), count))
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("look at the database's connections: %w", err)
	}
	if left > 0 {
		err = fmt.Errorf("connections left to database %s: %s", d.conn.Config().Database, strings.Join(names, ", "))
	}
	return ignored, err
}

func application(name string) string {
	if name == "" {
		return "unnamed"
	}
	return name
}
