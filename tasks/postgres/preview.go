package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/medlogistics/phasegate/internal/pg"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// Preview shows the query, and what is expected of it.
func (a *Assert) Preview(context.Context, *task.Env) (task.Preview, error) {
	does := []string{strings.TrimSpace(a.Query)}
	if a.Returns != "" {
		does = append(does, "must return "+a.Returns)
	}
	if a.Rows >= 0 {
		does = append(does, fmt.Sprintf("must return %d rows", a.Rows))
	}
	return task.Preview{Does: does}, nil
}

// Preview says what is copied, and the disk that it needs at most.
func (b *Backup) Preview(ctx context.Context, _ *task.Env) (task.Preview, error) {
	live, err := liveDatabase(ctx, b.DSN)
	if err != nil {
		return task.Preview{}, err
	}
	return task.Preview{
		Does:      []string{fmt.Sprintf("dump database %s (%s) into %s, and prove the archive table by table", live.name, task.Bytes(live.bytes), b.Directory)},
		DiskBytes: live.bytes,
	}, nil
}

// Preview says what is cloned, and the disk that it needs.
func (s *Stage) Preview(ctx context.Context, _ *task.Env) (task.Preview, error) {
	live, err := liveDatabase(ctx, s.DSN)
	if err != nil {
		return task.Preview{}, err
	}
	return task.Preview{
		Does:      []string{fmt.Sprintf("copy database %s (%s) beside itself, as it is when nothing writes to it", live.name, task.Bytes(live.bytes))},
		DiskBytes: live.bytes,
	}, nil
}

// Preview says which database takes which one's place.
func (s *Swap) Preview(context.Context, *task.Env) (task.Preview, error) {
	config, err := pg.Parse(s.DSN)
	if err != nil {
		return task.Preview{}, err
	}
	return task.Preview{
		Does: []string{
			fmt.Sprintf("end all sessions of %s; in one transaction rename it, and rename %s to %[1]s", config.Database, s.To),
			"keep the database that is replaced, closed to connections",
		},
		DurationMS: 100, // whatever the size; docs/benchmarks.md has what clients see of it
		Loses:      "what was written since the copy, from the live database; it stays in the one that is replaced",
	}, nil
}

// restoreRate is how much of a database a restore in place fills in a second, in
// bytes, on a machine with two cores.
const restoreRate = 20 << 20

// Preview says what is emptied and filled, and how long the database is away.
func (r *RestoreInPlace) Preview(ctx context.Context, _ *task.Env) (task.Preview, error) {
	live, err := liveDatabase(ctx, r.DSN)
	if err != nil {
		return task.Preview{}, err
	}
	return task.Preview{
		Does: []string{
			fmt.Sprintf("in one transaction drop what is in %s (%s), fill it from the backup %s, and compare it with that", live.name, task.Bytes(live.bytes), r.Backup),
			"keep whoever uses the database waiting meanwhile",
		},
		DurationMS: 1000 + 1000*live.bytes/restoreRate,
		Loses:      "what was written since the backup, from the database; only a copy that is made before can be salvaged",
	}, nil
}

// Preview says what is written again.
func (r *Replay) Preview(context.Context, *task.Env) (task.Preview, error) {
	return task.Preview{Does: []string{
		fmt.Sprintf("apply the changes in %s to the database, and list those that conflict with what is there", r.File),
	}}, nil
}

// Preview says where the writes are looked for.
func (s *Salvage) Preview(context.Context, *task.Env) (task.Preview, error) {
	return task.Preview{Does: []string{
		fmt.Sprintf("write every row that was inserted, updated or deleted in %s to files in the run's directory", s.Replaced),
	}}, nil
}

// liveDatabase looks the database of a connection string up.
func liveDatabase(ctx context.Context, dsn redact.Secret) (database, error) {
	conn, err := pg.ConnectSystem(ctx, dsn, "")
	if err != nil {
		return database{}, err
	}
	defer pg.Close(conn)
	return lookUp(ctx, conn, conn.Config().Database)
}
