package auth0

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/medlogistics/phasegate/runner/task"
)

// sweepByJobs goes through the rows without an Auth0 id once, as sweep does, with
// users-imports jobs. While two are under way the next one is packed already, and
// the roles and ids of those before are written, so that the tenant never waits
// for us.
func (m *mover) sweepByJobs(ctx context.Context) (int, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	batches, results := make(chan *batch, 1), make(chan result, mostAtATime)
	var slots sync.WaitGroup
	for range m.jobs.slots {
		slots.Go(func() {
			for b := range batches {
				if ctx.Err() == nil {
					results <- m.jobs.do(ctx, b)
				}
			}
		})
	}
	p := &packer{mover: m}
	err := m.feed(ctx, p, batches, results)
	close(batches)
	if err != nil {
		stop(err)
	}
	go func() {
		slots.Wait()
		close(results)
	}()
	for r := range results {
		endErr := m.conclude(ctx, r)
		if endErr == nil || ctx.Err() != nil && errors.Is(endErr, context.Cause(ctx)) {
			continue // all is well, or the run is being stopped for another reason
		}
		err = errors.Join(err, endErr)
		stop(err)
	}
	if err == nil {
		err = m.page(ctx, p.single)
	}
	return p.seen, err
}

// feed packs batches for the slots, and deals with the jobs that have ended.
func (m *mover) feed(ctx context.Context, p *packer, batches chan<- *batch, results <-chan result) error {
	for {
		b, err := p.next(ctx)
		if err != nil || b == nil {
			return err
		}
		for b != nil {
			select {
			case batches <- b:
				b = nil
			case r := <-results:
				if err := m.conclude(ctx, r); err != nil {
					return err
				}
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
}

// conclude takes in a job that has ended: its accounts get their roles, their rows
// the ids; users who were refused are noted.
func (m *mover) conclude(ctx context.Context, r result) error {
	if r.err != nil {
		return errors.Join(r.err, m.leave(r.batch.rows, nil, jobUnderWay))
	}
	if r.fate != completed {
		return errors.Join(m.jobs.failed(r), m.save())
	}
	m.jobs.trouble = 0
	made, there, err := m.sort(r)
	if err != nil {
		return errors.Join(err, m.leave(r.batch.rows, nil, unreachable))
	}
	found, err := m.lookUp(ctx, there)
	if err != nil {
		err = errors.Join(err, m.leave(there, found, unreachable))
	}
	finish, cancel := graceful(ctx)
	defer cancel()
	if err := together(err, m.finish(finish, append(made, found...))); err != nil {
		return err
	}
	m.jobs.end(r.job)
	m.progress(len(r.batch.rows) - len(there))
	return m.save()
}

// sort tells the rows of a completed job apart: those whose accounts it has made,
// and those whose accounts were there before. It notes the others. Where the
// tenant's count does not bear that out, all have to be looked up.
func (m *mover) sort(r result) (made, there []outcome, err error) {
	why := map[string]lineError{}
	for _, e := range r.errors {
		why[prefix+e.userID] = e
	}
	for _, o := range r.batch.rows {
		e, bad := why[o.user]
		o.lost = o.lost || r.lost
		switch {
		case !bad:
			made = append(made, o)
		case isThere(e.code):
			there = append(there, o)
		case e.code == "CONNECTION_NOT_FOUND":
			return nil, nil, task.Hint(errors.New("import users: the tenant does not find the connection any more"),
				"check that it has not been deleted, then run again")
		default:
			err = errors.Join(err, m.note(o.failed(whyLine(e), &refusal{code: e.code})))
		}
	}
	if !r.picked && r.made != len(made) {
		m.env.Log.Warn("an import job counts other users than it reports; all of them are looked up",
			"job", r.job.ID, "counted", r.made, "reported", len(made))
		made, there = nil, append(made, there...)
	}
	return made, there, err
}

// isThere tells whether a line was refused because its account is there.
func isThere(code string) bool {
	return code == "DUPLICATED_USER" || strings.HasPrefix(code, "CONFLICT")
}

// whyLine tells why a job has refused a line for good.
func whyLine(e lineError) reason {
	switch {
	case strings.Contains(e.path, "password_hash"):
		return badHash
	case strings.Contains(e.path, "email"):
		return invalidAddress
	}
	return refused
}

// mostReads is how many accounts are read one by one. More of them are found in
// an export of the connection.
const mostReads = 100

// lookUp finds the accounts of rows whose accounts are said to be there, adopts
// those that are theirs, and notes the others.
func (m *mover) lookUp(ctx context.Context, rows []outcome) ([]outcome, error) {
	conflict := &refusal{code: "DUPLICATED_USER", private: true}
	if len(rows) <= mostReads {
		return m.make(ctx, rows, func(ctx context.Context, o outcome) outcome { return m.adopt(ctx, o, conflict) })
	}
	accounts := make(map[string]*account, len(rows))
	for _, o := range rows {
		accounts[o.user] = nil
	}
	err := m.persist(ctx, func() error {
		return m.tenant.ExportUsers(ctx, m.jobs.connectionID, m.task.JobTimeout, func(a account) error {
			if _, wanted := accounts[a.id]; wanted {
				accounts[a.id] = &a
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return m.make(ctx, rows, func(ctx context.Context, o outcome) outcome {
		if a := accounts[o.user]; a != nil {
			return m.adoptAccount(ctx, o, *a, conflict)
		}
		return o.failed(foreignAccount, conflict)
	})
}
