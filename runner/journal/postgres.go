package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Postgres is a Store in a PostgreSQL database, for runs that several
// machines or CI jobs carry on. It has the schema phasegate to itself.
//
// One connection does everything. What this process holds, runs and targets, is
// held by advisory locks of that connection's session, which end with the
// process or with the connection. Every change of hands also counts up an epoch
// beside what is held, and an event is inserted only under the epoch of its
// writer. So when the connection breaks and comes back, the process has to find
// the locks free and the epochs as it left them, or it writes nothing more.
// https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
//
// The artifacts of a run are not kept here. It is safe for concurrent use.
type Postgres struct {
	config   *pgx.ConnConfig
	patience time.Duration // how long a call waits for a database that is away
	beat     time.Duration // how often the connection is looked at while something is held

	mu     sync.Mutex
	conn   *pgx.Conn
	broken time.Time         // since when what is held is without a connection
	claims map[string]*claim // what is held, by its identifier
	quiet  chan struct{}     // closed when nothing is held any more
}

// The times of a journal that is away. A server needs half a minute to see that
// its client's machine is gone, see sessionSettings, and a failover about as long.
const (
	patience = time.Minute
	beat     = 2 * time.Second
)

// OpenPostgres opens the store in the database that dsn names, a URL or keywords
// and values. It makes its schema or upgrades it. No error of the store holds
// the dsn.
//
// The database has to be reached directly or through a pooler that keeps a
// session for each client: one in transaction mode is refused.
func OpenPostgres(ctx context.Context, dsn string) (*Postgres, error) {
	return openPostgres(ctx, dsn, upgrade)
}

// PeekPostgres opens the store as [OpenPostgres] does, to read from it: it makes
// and upgrades nothing, and needs no right to. Where no run was ever kept the
// error is [ErrNeverUsed].
func PeekPostgres(ctx context.Context, dsn string) (*Postgres, error) {
	return openPostgres(ctx, dsn, readable)
}

func openPostgres(ctx context.Context, dsn string, prepare func(context.Context, *pgx.Conn) error) (*Postgres, error) {
	config, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	config.ValidateConnect = primaryOnly
	p := &Postgres{config: config, patience: patience, beat: beat, claims: map[string]*claim{}}
	if err := p.once(ctx, prepare); err != nil {
		_ = p.Close()
		return nil, fmt.Errorf("open the journal's database: %w", err)
	}
	return p, nil
}

// Close ends the connection, and with it whatever is still held.
func (p *Postgres) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose(errClosed)
	p.drop()
	return nil
}

var errClosed = errors.New("it was let go of")

// Create begins the journal of a new run. A run without events is a new one.
func (p *Postgres) Create(ctx context.Context, run string) (Writer, error) {
	if !ValidRun(run) {
		return nil, fmt.Errorf("create journal: %q cannot name a run", run)
	}
	held := runClaim(run)
	err := p.claim(ctx, held, func(ctx context.Context, conn *pgx.Conn) error {
		err := conn.QueryRow(ctx, `
			insert into phasegate.runs as r (run) values ($1)
			    on conflict (run) do update set epoch = r.epoch + 1 where r.seq = 0
			returning epoch`, run).Scan(&held.epoch)
		if errors.Is(err, pgx.ErrNoRows) {
			return errors.New("there is such a run already")
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("create journal of run %s: %w", run, err)
	}
	return &postgresWriter{store: p, held: held, run: run}, nil
}

// Open takes the run up again.
func (p *Postgres) Open(ctx context.Context, run string) (Writer, []Event, error) {
	if !ValidRun(run) {
		return nil, nil, fmt.Errorf("run %q: %w", run, ErrNotFound)
	}
	held := runClaim(run)
	var found record
	err := p.claim(ctx, held, func(ctx context.Context, conn *pgx.Conn) error {
		err := conn.QueryRow(ctx, `update phasegate.runs set epoch = epoch + 1 where run = $1 returning epoch`,
			run).Scan(&held.epoch)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		}
		if err == nil {
			found, err = readRecord(ctx, conn, run)
		}
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("open run %s: %w", run, err)
	}
	events := make([]Event, 0, len(found.lines))
	links, err := found.follow(run, func(e Event) { events = append(events, e) })
	if err != nil {
		p.release(held)
		return nil, nil, err
	}
	return &postgresWriter{store: p, held: held, run: run, links: links}, events, nil
}

// Read returns the run's events. It knows where the journal ended, so that a
// missing end is damage too.
func (p *Postgres) Read(ctx context.Context, run string) ([]Event, error) {
	found, err := p.record(ctx, run)
	if err != nil {
		return nil, err
	}
	events := make([]Event, 0, len(found.lines))
	_, err = found.follow(run, func(e Event) { events = append(events, e) })
	return events, err
}

// State folds the run's events.
func (p *Postgres) State(ctx context.Context, run string) (*State, error) {
	found, err := p.record(ctx, run)
	if err != nil {
		return nil, err
	}
	state := &State{}
	_, err = found.follow(run, state.Apply)
	return state.orNil(), err
}

// Lines returns the run's lines.
func (p *Postgres) Lines(ctx context.Context, run string) ([][]byte, error) {
	found, err := p.record(ctx, run)
	return found.lines, err
}

// Runs returns the names of all runs. They begin with their time, so that their
// order is that of the runs.
func (p *Postgres) Runs(ctx context.Context) (runs []string, err error) {
	err = p.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `select run from phasegate.runs order by run collate "C"`)
		if err != nil {
			return err
		}
		runs, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	return runs, nil
}

// Held looks for the lock of a session, this one's too.
func (p *Postgres) Held(ctx context.Context, run string) (held bool, err error) {
	if !ValidRun(run) {
		return false, fmt.Errorf("run %q: %w", run, ErrNotFound)
	}
	err = p.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		err := conn.QueryRow(ctx, `
			select exists (
			         select from pg_locks
			          where locktype = 'advisory' and granted and objsubid = 1
			            and database = (select oid from pg_database where datname = current_database())
			            and (classid::bigint << 32 | objid::bigint) = $2)
			  from phasegate.runs where run = $1`, run, runClaim(run).key()).Scan(&held)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("run %s: %w", run, err)
	}
	return held, nil
}

// Lock keeps other runs off the target. Once it is taken over, the writers of
// this store are refused too.
func (p *Postgres) Lock(ctx context.Context, target string) (func(), error) {
	held := targetClaim(target)
	err := p.claim(ctx, held, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `
			insert into phasegate.targets as t (target) values ($1)
			    on conflict (target) do update set epoch = t.epoch + 1
			returning epoch`, target).Scan(&held.epoch)
	})
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", target, err)
	}
	return func() { p.release(held) }, nil
}
