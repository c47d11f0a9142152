package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/runner/task"
)

// swappable fails if something would stand in the way of renaming the live
// database and the staged one. All that does is in the one error. Whether they
// are there is not looked at.
func swappable(ctx context.Context, conn *pgx.Conn, live, staged string) error {
	if live == pg.Maintenance || staged == live {
		return task.Hint(fmt.Errorf("database %s cannot be renamed away", live),
			"keep the application's data in a database of its own, not in "+pg.Maintenance)
	}
	if _, err := serverMajor(ctx, conn); err != nil {
		return err
	}
	for _, name := range []string{live, staged} {
		if err := permitted(ctx, conn, name, ForSwap); err != nil {
			return fmt.Errorf("rename database %s: %w", name, err)
		}
	}
	var what, mend []string
	for _, o := range []struct {
		obstacle

		of []string
	}{{preparedTransactions, []string{live, staged}}, {logicalSlots, []string{live}}, {subscriptions, []string{live}}} {
		count, example, err := o.ask(ctx, conn, o.of...)
		if err != nil {
			return err
		}
		if count > 0 {
			what = append(what, fmt.Sprintf("%d %s, among them %s", count, o.what, example))
			mend = append(mend, o.mend)
		}
	}
	stubborn, err := stubborn(ctx, conn, live, staged)
	if err != nil {
		return err
	}
	if len(stubborn) > 0 {
		what = append(what, "sessions that only a superuser may end: "+describe(stubborn))
		mend = append(mend, "end them as a superuser")
	}
	if len(what) == 0 {
		return nil
	}
	return task.Hint(errors.New("in the way of a rename: "+strings.Join(what, "; ")), strings.Join(mend, "; "))
}

// An obstacle is something that belongs to a database and does not let it be
// renamed, or would be left behind by it.
type obstacle struct{ query, what, mend string }

func (o obstacle) ask(ctx context.Context, conn *pgx.Conn, names ...string) (count int64, example string, err error) {
	if err := conn.QueryRow(ctx, o.query, names).Scan(&count, &example); err != nil {
		return 0, "", fmt.Errorf("look for %s: %w", o.what, err)
	}
	return count, example, nil
}

// stubborn lists the sessions that the server would not let us end.
func stubborn(ctx context.Context, conn *pgx.Conn, names ...string) ([]session, error) {
	list, err := sessions(ctx, conn, names...)
	var left []session
	for _, s := range list {
		if !s.mayEnd {
			left = append(left, s)
		}
	}
	return left, err
}
