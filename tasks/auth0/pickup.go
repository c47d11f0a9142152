package auth0

import (
	"context"
	"errors"
	"slices"

	"github.com/medlogistics/phasegate/runner/task"
)

// pickUp goes on with the jobs that an earlier call has left under way. One whose
// start was not confirmed has no id to ask by: its users are taken up as if it
// had never been, and those whom it has made turn out to be there.
func (m *mover) pickUp(ctx context.Context) error {
	saved, _, err := task.Saved[Imported](m.env)
	if err != nil {
		return err
	}
	for _, job := range saved.Jobs {
		if job.ID != "" {
			m.jobs.open = append(m.jobs.open, &job) // all of them, before a receipt is saved
		}
	}
	for _, job := range slices.Clone(m.jobs.open) {
		m.env.Log.Info("going on with an import job that was under way", "job", job.ID, "users", job.Users)
		r := result{job: job, batch: &batch{}, picked: true, err: err}
		if err == nil {
			r = m.jobs.await(ctx, r)
		}
		err = m.pickUpRows(ctx, r)
	}
	return err
}

// pickUpRows takes in the rows of a job that was picked up. Some may have come to
// the table since it was started: the tenant does not give a role to an account
// that it does not have, and then the next sweep makes it. Where the job could not
// be waited for, its rows are noted.
func (m *mover) pickUpRows(ctx context.Context, r result) error {
	read, cancel := graceful(ctx)
	defer cancel()
	s := span{r.job.After, r.job.Last}
	for {
		page, err := m.table.unlinked(read, s, m.task.Batch)
		if err != nil {
			return errors.Join(r.err, err)
		}
		if len(page) == 0 {
			break
		}
		s.after = page[len(page)-1].id
		for _, o := range m.fresh(page) {
			if m.unfit(o) != "" {
				continue // for the sweep to note
			}
			_, o.keeps = hashOf(o.row.hash)
			o.adopted = r.fate == completed
			r.batch.rows = append(r.batch.rows, o)
		}
	}
	if r.err == nil && len(r.batch.rows) == 0 {
		m.jobs.end(r.job)
		return m.save()
	}
	return m.conclude(ctx, r)
}
