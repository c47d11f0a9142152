package auth0

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/medlogistics/phasegate/runner/task"
)

const (
	// mostAtATime is how many users-imports jobs a tenant works on side by side.
	mostAtATime = 2

	// mostJobs is how many jobs a user may be in that come to nothing before
	// another way is taken.
	mostJobs = 2

	// mostTrouble is how many jobs in a row may come to nothing before the run ends.
	mostTrouble = 6
)

// A Job is a users-imports job whose users are not all dealt with.
type Job struct {
	ID    string `json:"id"`    // as the tenant names it, empty when its start was not confirmed
	Run   string `json:"run"`   // external_id, by which the tenant's log tells whose it is
	After string `json:"after"` // id of the row before its first
	Last  string `json:"last"`  // id of its last row
	Users int64  `json:"users"` // in it
}

// jobs runs users-imports jobs.
type jobs struct {
	mover        *mover
	connectionID string
	run          string
	slots        int            // jobs side by side
	tried        map[string]int // by row id, jobs that came to nothing
	trouble      int            // jobs in a row that came to nothing

	mu    sync.Mutex
	open  []*Job
	pace  time.Duration // what a job takes for a user, by the last ones; 0 when not known
	ended int64         // jobs that were dealt with
}

// A result is how a job ended.
type result struct {
	job    *Job
	batch  *batch
	picked bool // it was begun by an earlier call
	lost   bool // there may have been a job before it with the same users
	fate   string
	made   int // as the tenant counts
	errors []lineError
	err    error // ends the run, and leaves the job to be picked up
}

// start notes a job before it is sent.
func (j *jobs) start(b *batch) *Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	job := &Job{Run: j.run, After: b.span.after, Last: b.span.last, Users: int64(len(b.rows))}
	j.open = append(j.open, job)
	return job
}

// named notes the id that the tenant gave a job.
func (j *jobs) named(job *Job, id string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	job.ID = id
}

// end forgets a job.
func (j *jobs) end(job *Job) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.open = slices.DeleteFunc(j.open, func(o *Job) bool { return o == job })
	j.ended++
}

// list returns the jobs that are not dealt with, and how many are.
func (j *jobs) list() (open []Job, ended int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	open = []Job{}
	for _, job := range j.open {
		open = append(open, *job)
	}
	return open, j.ended
}

// do runs the job of a batch. That it is about to start is on disk before, and
// its id is before it is waited for.
func (j *jobs) do(ctx context.Context, b *batch) result {
	r := result{job: j.start(b), batch: b}
	if r.err = errors.Join(j.mover.ledger.add(b.rows), j.mover.save()); r.err != nil {
		return r
	}
	id, err := j.send(ctx, &r)
	if err != nil {
		r.err = err
		return r
	}
	j.named(r.job, id)
	b.lines = nil // sent, and half a megabyte of text is a few in maps
	if r.err = j.mover.save(); r.err != nil {
		return r
	}
	began := time.Now()
	if r = j.await(ctx, r); r.err == nil && r.fate == completed {
		j.learn(time.Since(began) / time.Duration(max(1, len(b.rows))))
	}
	return r
}

// send starts the job, and waits while the tenant works on as many as it may.
// Sent twice, it makes nobody twice: the second job finds the users there.
func (j *jobs) send(ctx context.Context, r *result) (string, error) {
	m := j.mover
	for wait := firstBackoff; ; wait = min(2*wait, longestBackoff) {
		id, err := m.tenant.StartImport(ctx, j.connectionID, j.run, r.batch.lines)
		switch {
		case err == nil:
			m.alive()
			return id, nil
		case errors.Is(err, errBusy):
			m.alive() // an earlier job, or somebody else's
			wait = min(wait, 2*time.Second)
		case ctx.Err() != nil || !transient(err):
			return "", err
		default:
			r.lost = true
			if err := m.patience(err); err != nil {
				return "", err
			}
		}
		if err := pause(ctx, wait); err != nil {
			return "", err
		}
	}
}

// The fates of a job, beside what the tenant calls failed.
const (
	completed = "completed"
	vanished  = "vanished"
	hung      = "hung"
)

// await waits until the job has ended, and fetches its errors at once: the tenant
// keeps them for a day.
func (j *jobs) await(ctx context.Context, r result) result {
	deadline := time.Now().Add(j.mover.task.JobTimeout)
	began := time.Now()
	for wait := j.firstLook(r.job.Users); ; wait = j.nextLook(r.job.Users, time.Since(began)) {
		if r.err = pause(ctx, wait); r.err != nil {
			return r
		}
		state, err := j.mover.tenant.ImportJob(ctx, r.job.ID)
		switch {
		case status(err) == http.StatusNotFound:
			r.fate = vanished
			return r
		case err != nil && (ctx.Err() != nil || !transient(err)):
			r.err = err
			return r
		case err != nil:
			if r.err = j.mover.patience(err); r.err != nil {
				return r
			}
			continue
		}
		j.mover.alive()
		if state.status == completed {
			r.fate, r.made = completed, state.inserted
			r.err = j.mover.persist(ctx, func() (err error) {
				r.errors, err = j.mover.tenant.ImportErrors(ctx, r.job.ID)
				return err
			})
			return r
		}
		if state.status == "failed" || time.Now().After(deadline) {
			r.fate = hung
			if state.status == "failed" {
				r.fate = state.status
			}
			return r
		}
	}
}

// learn notes what a job took for each user.
func (j *jobs) learn(each time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.pace == 0 {
		j.pace = each
	}
	j.pace = (3*j.pace + each) / 4
}

// expected returns how long a job is likely to take, 0 when not known.
func (j *jobs) expected(users int64) time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.pace * time.Duration(users)
}

// firstLook returns when a job is asked after first: shortly before it is likely
// to end.
func (j *jobs) firstLook(users int64) time.Duration {
	if likely := j.expected(users); likely > 0 {
		return max(likely*9/10, 20*time.Millisecond)
	}
	return 100 * time.Millisecond
}

// nextLook returns how long to wait between two looks: so short that the slot is
// not idle for long, and no shorter, since looks count against the rate limit.
func (j *jobs) nextLook(users int64, passed time.Duration) time.Duration {
	if likely := j.expected(users); likely > 0 {
		return min(max(likely/50, 20*time.Millisecond), 5*time.Second)
	}
	return min(max(passed/20, 100*time.Millisecond), 5*time.Second)
}

// failed notes a job that came to nothing. Whoever it has made nevertheless is
// found when its users are sent again.
func (j *jobs) failed(r result) error {
	j.mover.env.Log.Warn("an import job came to nothing; its users are taken up again", "job", r.job.ID, "users", r.job.Users, "fate", r.fate)
	for _, o := range r.batch.rows {
		j.tried[o.row.id]++
		j.mover.begun[o.row.id] = trace{o.row.digest, true}
	}
	j.end(r.job)
	if j.trouble++; j.trouble < mostTrouble {
		return nil
	}
	return task.Hint(fmt.Errorf("%d import jobs in a row came to nothing, the last one %s", j.trouble, r.fate),
		"look in the tenant's log for the reason (Monitoring > Logs), then run again; or set method: create, which moves no password hashes")
}
