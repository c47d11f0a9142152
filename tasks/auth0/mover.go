package auth0

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/medlogistics/phasegate/runner/task"
)

// A mover is one run of ImportUsers.
type mover struct {
	task   *ImportUsers
	env    *task.Env
	tenant tenant
	pace   *pacer
	table  *table
	report *report
	ledger *ledger
	roles  map[string]string // the table's role to the tenant's role id

	users, already int64 // in the table, and of these linked, at the start
	sweeps         int64
	twins          map[string]bool   // row ids, see table.twins
	failed         map[string]reason // by row id
	begun          map[string]trace  // by row id, of those whose accounts may be there unlinked
	digests        map[string]int64  // by row id, the digests that accounts were mended to
	unmended       bool              // a linked row's account is not what the row asks for

	method Method // how users are moved
	why    string // why like that
	jobs   *jobs

	mu                                                    sync.Mutex // held to change failed and the counts
	created, adopted, mended, assigned, mustReset, hashes int64

	saving sync.Mutex

	done int64        // users dealt with, for the progress
	good atomic.Int64 // when the tenant last answered as it should, in UNIX nanoseconds
}

// A trace is what is known of an account that was begun and not linked.
type trace struct {
	digest int64 // of the row at that time
	lost   bool  // see outcome
}

// errGivenUp ends a run whose tenant has not answered for the task's patience.
var errGivenUp = errors.New("the tenant was given up on")

// retries is how often users whom the tenant's trouble kept back are taken up
// again before they are left for the next run.
const retries = 2

// sweepAll passes over the table until a pass finds nobody new and no row that has
// changed: users who sign up meanwhile would be missed by the first.
func (m *mover) sweepAll(ctx context.Context) error {
	if err := together(m.recall(ctx), m.pickUp(ctx)); err != nil {
		return err
	}
	for tries, reviews := 0, 0; ; {
		began := time.Now()
		moved, err := m.sweep(ctx)
		if err != nil {
			return err
		}
		if moved > 0 {
			continue
		}
		changed, err := m.review(ctx)
		if err != nil {
			return err
		}
		if reviews++; changed > 0 && reviews < mostReviews {
			continue
		}
		if tries == retries || m.forgetTransient() == 0 {
			return nil
		}
		if m.lastGood().After(began) {
			tries++ // else the tenant was down all the time, which patience bounds
		}
	}
}

// persist repeats what a trouble of the tenant has kept from working, for as long
// as there is patience.
func (m *mover) persist(ctx context.Context, ask func() error) error {
	for {
		err := ask()
		if err == nil {
			m.alive()
			return nil
		}
		if ctx.Err() != nil || !transient(err) {
			return err
		}
		if err := m.patience(err); err != nil {
			return err
		}
	}
}

// forgetTransient lets the next sweep take up those whom trouble kept back, and
// returns how many they are.
func (m *mover) forgetTransient() int {
	n := 0
	for id, why := range m.failed {
		if why.transient() && why != jobFailed { // those have had their tries
			delete(m.failed, id)
			n++
		}
	}
	return n
}

// sweep goes through the rows without an Auth0 id once, and returns how many it
// has dealt with.
func (m *mover) sweep(ctx context.Context) (int, error) {
	m.sweeps++
	m.table.analyze(ctx)
	twins, err := m.table.twins(ctx)
	if err != nil {
		return 0, err
	}
	m.twins = twins
	if m.method == Import {
		return m.sweepByJobs(ctx)
	}
	seen := 0
	for last := ""; ; {
		page, err := m.table.unlinked(ctx, span{after: last}, m.task.Batch)
		if err != nil || len(page) == 0 {
			return seen, err
		}
		last = page[len(page)-1].id
		rows := m.fresh(page)
		seen += len(rows)
		if err := m.page(ctx, rows); err != nil {
			return seen, err
		}
	}
}

// fresh returns those of the rows that this run has not given up on.
func (m *mover) fresh(page []row) []outcome {
	var fresh []outcome
	for _, r := range page {
		if _, known := m.failed[r.id]; !known {
			begun, seen := m.begun[r.id]
			fresh = append(fresh, outcome{
				row: r, user: m.task.Users.userID(r.id), lost: begun.lost, changed: seen && begun.digest != r.digest,
			})
		}
	}
	return fresh
}

// save journals the receipt so far.
func (m *mover) save() error {
	m.saving.Lock()
	defer m.saving.Unlock()
	return m.env.Save(m.counts())
}

func (m *mover) progress(users int) {
	m.done += int64(users)
	m.env.Progress(m.done, max(m.users-m.already, m.done), "users")
}

// page makes the accounts of some rows, gives them their roles and writes their
// ids back. What was done when something ends it early is written back too.
func (m *mover) page(ctx context.Context, rows []outcome) error {
	if len(rows) == 0 {
		return nil
	}
	if err := m.ledger.add(rows); err != nil {
		return err
	}
	made, err := m.make(ctx, rows, m.move)
	// The accounts are there: what they lack takes a moment, also when ctx ends.
	finish, cancel := graceful(ctx)
	defer cancel()
	if finishErr := m.finish(finish, made); err == nil {
		err = finishErr
	}
	if err != nil {
		return err
	}
	return m.save()
}

// grace is how long a run that is told to stop may go on to finish what it has
// begun. A cancelled step of GitHub Actions has ten seconds in all.
const grace = 4 * time.Second

// graceful returns a context that outlives ctx by the grace.
func graceful(ctx context.Context) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return out, func() { stop(); cancel() }
}

// make does what move says to each row, several at a time, and returns the
// outcomes that are an account. The others are noted as they come.
func (m *mover) make(ctx context.Context, rows []outcome, move func(context.Context, outcome) outcome) ([]outcome, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var made []outcome
	for o := range m.work(ctx, rows, move) {
		if o.fatal != nil {
			stop(o.fatal)
		}
		if o.why == "" && o.fatal == nil {
			made = append(made, o)
		}
		if err := m.note(o); err != nil {
			stop(err)
		}
		m.progress(1)
	}
	if ctx.Err() != nil {
		return made, fmt.Errorf("move users: %w", context.Cause(ctx))
	}
	return made, nil
}

// work deals with the rows until all are done or ctx ends.
func (m *mover) work(ctx context.Context, rows []outcome, move func(context.Context, outcome) outcome) <-chan outcome {
	queue := make(chan outcome, len(rows))
	for _, o := range rows {
		queue <- o
	}
	close(queue)
	outcomes := make(chan outcome, len(rows))
	var workers sync.WaitGroup
	for range min(m.task.Workers, len(rows)) {
		workers.Go(func() {
			for o := range queue {
				if ctx.Err() != nil {
					return
				}
				outcomes <- move(ctx, o)
			}
		})
	}
	go func() {
		workers.Wait()
		close(outcomes)
	}()
	return outcomes
}

// counts returns the receipt so far, without what only the end can tell.
func (m *mover) counts() Imported {
	m.mu.Lock()
	defer m.mu.Unlock()
	open, ended := m.jobs.list()
	r := Imported{
		Method: string(m.method), Why: m.why, Jobs: open, JobsDone: ended, Hashes: m.hashes,
		Users: m.users, Already: m.already, Created: m.created, Adopted: m.adopted, Mended: m.mended,
		RolesAssigned: m.assigned, MustReset: m.mustReset, Sweeps: m.sweeps,
		ByReason: map[string]int64{}, SuccessRate: 1, Report: m.report.file.Name(), Table: csvPath(m.report.file.Name()),
	}
	for _, why := range m.failed {
		r.ByReason[string(why)]++
		r.Failed++
		if why.transient() {
			r.Transient++
		} else {
			r.Permanent++
		}
	}
	if moved := r.Created + r.Adopted; moved+r.Failed > 0 {
		r.SuccessRate = float64(moved) / float64(moved+r.Failed)
	}
	requests, throttled, limit := m.pace.used()
	r.Requests, r.Throttled, r.RateLimit = requests, throttled, int64(limit)
	return r
}

// receipt returns the whole receipt. A run that was ended early counts those it
// did not come to as transient, so that no gate takes its success rate for a
// whole.
func (m *mover) receipt(ctx context.Context, began time.Time, early bool) (Imported, error) {
	ctx, cancel := graceful(ctx)
	defer cancel()
	r := m.counts()
	users, linked, err := m.table.count(ctx)
	if err == nil {
		r.Users = users
		if left := users - linked - r.Failed; early && left > 0 {
			r.Transient += left
			r.Failed += left
			r.ByReason[string(notReached)] += left
			r.SuccessRate = float64(r.Created+r.Adopted) / float64(r.Created+r.Adopted+r.Failed)
		}
	}
	r.Took = time.Since(began).Seconds()
	r.RequestsPerSec = float64(r.Requests) / r.Took
	return r, err
}
