package auth0

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/runner/task"
)

// RemoveUsers deletes the accounts that one run of auth0/import-users has made,
// and no others: those whose app_metadata carries that run's mark. Accounts that
// the run has found and adopted carry the mark of the run that made them, or none,
// and stay.
//
// It is for those who do not want a rollback to leave accounts behind. Without it
// they do no harm: the next migration adopts them. As long as a row links one of
// the accounts nothing is deleted, since its user could not log in any more: roll
// the database back first.
//
// An interrupted step is taken up by asking the tenant again who is left. Passwords
// that users have set meanwhile are gone with their accounts.
//
// The application needs the scopes read:users, delete:users and read:connections.
type RemoveUsers struct {
	Access
	Mapping
	Listing

	// The run that made the accounts, as its auth0/import-users was given it.
	RunID string `with:"run,required"`

	// How many requests may be under way at once, up to 64.
	Workers int `with:"workers"`
}

// Removed is what was deleted.
type Removed struct {
	Found   int64   `json:"found"`        // accounts of that run in the tenant, those deleted by earlier calls included
	Removed int64   `json:"removed"`      // of these, deleted
	Took    float64 `json:"took_seconds"` // by this call
}

// removedAtOnce is how many accounts are deleted between two receipts.
const removedAtOnce = 500

// Validate checks the configuration offline.
func (t *RemoveUsers) Validate() error {
	errs := []error{t.Access.validate(), t.Mapping.validate(), t.Listing.validate()}
	if t.RunID == "" {
		errs = append(errs, errors.New("run is empty: every account would be meant"))
	}
	if t.Workers < 1 || t.Workers > mostWorkers {
		errs = append(errs, fmt.Errorf("workers is %d, not 1 to %d", t.Workers, mostWorkers))
	}
	return together(errs...)
}

// Check compares the mapping with the live table and asks the tenant for a token.
func (t *RemoveUsers) Check(ctx context.Context, env *task.Env) error {
	return checkBoth(ctx, env, t.Access, t.Mapping, nil)
}

// Run deletes.
func (t *RemoveUsers) Run(ctx context.Context, env *task.Env) (Removed, error) {
	began := time.Now()
	saved, _, err := task.Saved[Removed](env)
	if err != nil {
		return Removed{}, err
	}
	receipt := Removed{Found: saved.Removed, Removed: saved.Removed}
	lock, err := pg.Acquire(ctx, t.DSN)
	if err != nil {
		return receipt, err
	}
	defer lock.Release()
	api, _, err := open(t.Access)
	if err != nil {
		return receipt, err
	}
	list := filepath.Join(env.Dir, "remove-users.txt")
	found, err := t.list(ctx, api, list)
	receipt.Found += found
	if err == nil {
		err = t.unlinked(ctx, list)
	}
	if err == nil {
		err = t.deleteAll(ctx, env, api, list, &receipt)
	}
	receipt.Took = time.Since(began).Seconds()
	if err == nil && found == 0 {
		err = task.Skip("no account of that run is left")
	}
	return receipt, err
}

// list writes the ids of the run's accounts to a file, mode 0600: there may be a
// million of them. It returns how many there are.
func (t *RemoveUsers) list(ctx context.Context, api tenant, path string) (n int64, err error) {
	conn, err := api.Connection(ctx, t.Connection)
	if err != nil {
		return 0, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, fmt.Errorf("list the accounts: %w", err)
	}
	out := bufio.NewWriter(file)
	err = api.ExportUsers(ctx, conn.id, t.JobTimeout, func(a account) error {
		if !a.ours() || a.text(markRun) != t.RunID || !t.Users.madeHere(a.id) {
			return nil
		}
		n++
		_, err := fmt.Fprintln(out, a.id)
		return err
	})
	return n, errors.Join(err, out.Flush(), file.Close())
}

// unlinked holds that no row links one of the accounts.
func (t *RemoveUsers) unlinked(ctx context.Context, path string) error {
	table, err := openTable(ctx, t.DSN, t.Users)
	if err != nil {
		return err
	}
	defer table.close()
	linked := 0
	err = eachChunk(path, func(ids []string) error {
		n, err := table.countLinks(ctx, ids)
		linked += n
		return err
	})
	if err == nil && linked > 0 {
		err = task.Hint(fmt.Errorf("remove the accounts: rows of table %s link %d of them", t.Users.Table, linked),
			"roll the database back first: whoever is linked could not log in any more")
	}
	return err
}

// countLinks returns how many rows link one of the accounts, whatever the mapping's
// condition says of them. Where the column is gone, none does.
func (t *table) countLinks(ctx context.Context, ids []string) (n int, err error) {
	if !t.linkable {
		return 0, nil
	}
	query := fmt.Sprintf("select count(*) from %s where %s = any($1)", t.users.sanitized(), quote(t.users.Auth0ID))
	err = t.do(ctx, "look for links to the accounts", func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, query, ids).Scan(&n)
	})
	return n, err
}

// eachChunk calls f with the lines of a file, some at a time.
func eachChunk(path string, f func(lines []string) error) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read the list of accounts: %w", err)
	}
	defer file.Close()
	var chunk []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if chunk = append(chunk, lines.Text()); len(chunk) < removedAtOnce {
			continue
		}
		if err := f(chunk); err != nil {
			return err
		}
		chunk = nil
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the list of accounts: %w", err)
	}
	if len(chunk) == 0 {
		return nil
	}
	return f(chunk)
}

// deleteAll deletes the accounts that are listed.
func (t *RemoveUsers) deleteAll(ctx context.Context, env *task.Env, api tenant, path string, receipt *Removed) error {
	return eachChunk(path, func(ids []string) error {
		var mu sync.Mutex
		err := inParallel(ctx, t.Workers, ids, func(id string) error {
			if err := api.DeleteUser(ctx, id); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			receipt.Removed++
			env.Progress(receipt.Removed, receipt.Found, "accounts")
			return nil
		})
		return together(err, env.Save(*receipt))
	})
}

// inParallel calls act with every item, several at a time, until one fails or ctx
// ends.
func inParallel[T any](ctx context.Context, workers int, items []T, act func(T) error) error {
	queue := make(chan T, len(items))
	for _, item := range items {
		queue <- item
	}
	close(queue)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var group sync.WaitGroup
	for range min(workers, len(items)) {
		group.Go(func() {
			for item := range queue {
				if ctx.Err() != nil {
					return
				}
				if err := act(item); err != nil {
					stop(err)
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}
