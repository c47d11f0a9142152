package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// What belongs to a database by its identity and not by its name.
var (
	logicalSlots = obstacle{
		query: `select count(*), coalesce(min(slot_name)::text, '') from pg_replication_slots
			where database = any($1) and slot_type = 'logical'`,
		what: "logical replication slots",
		mend: "drop them with pg_drop_replication_slot, and have their readers begin anew after the cut-over",
	}
	subscriptions = obstacle{
		query: `select count(*), coalesce(min(s.subname)::text, '') from pg_subscription s join pg_database d on d.oid = s.subdbid
			where d.datname = any($1)`,
		what: "subscriptions",
		mend: "drop them, and make them anew after the cut-over",
	}
	preparedTransactions = obstacle{
		query: `select count(*), coalesce(min(gid), '') from pg_prepared_xacts where database = any($1)`,
		what:  "prepared transactions",
		mend:  "COMMIT PREPARED or ROLLBACK PREPARED each of them",
	}
	cronScheduler = obstacle{
		query: `select count(*), coalesce(min(datname)::text, '') from pg_database
			where datname = any($1) and datname = current_setting('cron.database_name', true)`,
		what: "schedulers of pg_cron, which keep their jobs there",
		mend: "let pg_cron keep its jobs in another database: cron.database_name",
	}
)

// bound is in no copy of the live database, and would stay with the one that is
// replaced.
var bound = []obstacle{logicalSlots, subscriptions, preparedTransactions, cronScheduler}

// stageable fails if the live database has something that a copy of it has not.
// All of it is in the one error.
func stageable(ctx context.Context, conn *pgx.Conn, live string) error {
	var what, mend []string
	for _, o := range bound {
		count, example, err := o.ask(ctx, conn, live)
		if err != nil {
			return err
		}
		if count > 0 {
			what = append(what, fmt.Sprintf("%d %s, among them %s", count, o.what, example))
			mend = append(mend, o.mend)
		}
	}
	if len(what) == 0 {
		return nil
	}
	return task.Hint(fmt.Errorf("database %s has what no copy of it would have: %s", live, strings.Join(what, "; ")), strings.Join(mend, "; "))
}

// A pointer is something that reaches the live database by its name, and will
// reach whichever database has that name.
type pointer struct{ query, what string }

var pointers = []pointer{
	{
		query: `select format('foreign server %I in database %I', srvname, current_database()) from pg_foreign_server
			where $1 = any(array(select option_value from pg_options_to_table(srvoptions) where option_name in ('dbname', 'service')))
			order by 1`,
		what: "foreign servers",
	},
	{
		query: `select format('cron job %s in database %I', jobid, current_database()) from cron.job where database = $1 order by 1`,
		what:  "cron jobs",
	},
}

// pointing lists what names the live database, in every database of the server
// that the role may connect to.
func pointing(ctx context.Context, dsn redact.Secret, conn *pgx.Conn, live string) ([]string, error) {
	rows, err := conn.Query(ctx, `
		select datname::text from pg_database
		 where datallowconn and datname <> 'template1' and has_database_privilege(oid, 'connect') order by 1`)
	if err != nil {
		return nil, fmt.Errorf("list the databases: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list the databases: %w", err)
	}
	list := []string{}
	for _, name := range names {
		found, err := pointingFrom(ctx, dsn, name, live)
		if err != nil {
			// It may be gone by now, or be closed to this host: neither concerns the copy.
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			continue
		}
		list = append(list, found...)
	}
	return list, nil
}

func pointingFrom(ctx context.Context, dsn redact.Secret, name, live string) ([]string, error) {
	conn, err := pg.ConnectSystem(ctx, dsn, name)
	if err != nil {
		return nil, err
	}
	defer pg.Close(conn)
	var list []string
	for _, p := range pointers {
		rows, err := conn.Query(ctx, p.query, live)
		var found []string
		if err == nil {
			found, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		if err != nil && !undefined(err) {
			return nil, errors.Join(fmt.Errorf("look for %s: %w", p.what, err))
		}
		list = append(list, found...)
	}
	return list, nil
}
