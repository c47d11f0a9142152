package auth0

import (
	"context"
	"fmt"
	"time"

	"github.com/medlogistics/phasegate/runner/task"
)

// toMove counts the users and those who have an account. Before the schema change
// there is no column of ids, and nobody has one.
func (t *ImportUsers) toMove(ctx context.Context, users *table) (all, linked int64, err error) {
	columns, err := t.Users.inspect(ctx, users.conn)
	if err != nil {
		return 0, 0, err
	}
	if _, ok := columns[t.Users.Auth0ID]; ok {
		return users.count(ctx)
	}
	err = users.conn.QueryRow(ctx, "select count(*) from "+t.Users.sanitized()+" where "+t.Users.condition()).Scan(&all)
	if err != nil {
		return 0, 0, fmt.Errorf("count the users: %w", err)
	}
	return all, 0, nil
}

// Preview counts the users who have no account yet, and says how long it takes
// to move them at the limit that the tenant reports.
func (t *ImportUsers) Preview(ctx context.Context, _ *task.Env) (task.Preview, error) {
	users, err := openTable(ctx, t.DSN, t.Users)
	if err != nil {
		return task.Preview{}, err
	}
	defer users.close()
	all, linked, err := t.toMove(ctx, users)
	if err != nil {
		return task.Preview{}, err
	}
	api, pace, err := open(t.Access)
	if err != nil {
		return task.Preview{}, err
	}
	if _, err := api.Connection(ctx, t.Connection); err != nil {
		return task.Preview{}, err
	}
	_, _, limit := pace.used()
	method, why := t.choose(all-linked, limit)
	took := time.Duration(float64(all-linked) / (sustained(limit) * float64(t.Share)) * float64(time.Second))
	if method == Import {
		took = jobsOverhead + time.Duration(float64(all-linked)/inJobs(limit)*float64(time.Second))
	}
	return task.Preview{
		Does: []string{
			fmt.Sprintf("make %d accounts in connection %s; %d of %d users have one", all-linked, t.Connection, linked, all),
			fmt.Sprintf("by %s: %s", method, why),
		},
		DurationMS: took.Milliseconds(),
	}, nil
}
