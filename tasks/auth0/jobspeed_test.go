package auth0

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	emulator "github.com/medlogistics/phasegate/internal/sandbox/auth0"
	"github.com/medlogistics/phasegate/internal/sandbox/medlogistics"
	"github.com/medlogistics/phasegate/internal/tasktest"
)

// busy returns the share of the time in which both slots had a job, from the
// second job's start to the last one's: behind that there is nothing to start.
func busy(jobs []emulator.Import) float64 {
	from, to := jobs[1].Created, jobs[len(jobs)-1].Created
	var used time.Duration
	for _, job := range jobs {
		begin, end := job.Created, job.Ended
		if begin.Before(from) {
			begin = from
		}
		if end.After(to) {
			end = to
		}
		used += max(0, end.Sub(begin))
	}
	return used.Seconds() / (mostAtATime * to.Sub(from).Seconds())
}

// fullness returns the bytes of the jobs but for the last, of what they may have.
func fullness(jobs []emulator.Import) float64 {
	bytes := 0
	for _, job := range jobs[:len(jobs)-1] {
		bytes += job.Bytes
	}
	return float64(bytes) / float64(largestImport*(len(jobs)-1))
}

// moveTimed moves n users in jobs that take each for a user, and returns the
// receipt and the jobs.
func moveTimed(t testing.TB, n, slots int, each time.Duration) (Imported, []emulator.Import) {
	s := sceneOf(t, users(n), emulator.Config{Plan: emulator.PrivateCloud, Jobs: emulator.JobSpeed{PerUser: each}})
	r := s.moveInJobs(context.Background(), n, slots)
	return r, s.tenant.Imports()
}

func (s *scene) moveInJobs(ctx context.Context, n, slots int) Imported {
	i := s.bulk()
	i.slots, i.Batch = slots, 1000
	r, err := i.Run(ctx, tasktest.Env(s.t))
	must(s.t, err)
	s.exactlyLinked(n)
	return r
}

// A heldClock stands still but for what it is moved on.
type heldClock struct{ at atomic.Int64 }

func (c *heldClock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *heldClock) moveOn(by time.Duration) { c.at.Add(int64(by)) }

// While there are users left, no time passes for the tenant but when two jobs run:
// a move that leaves a slot empty never ends.
func TestBothJobSlotsAreKeptBusyWithFullJobs(t *testing.T) {
	t.Parallel()
	const people = 8000
	clock := &heldClock{}
	clock.at.Store(time.Now().UnixNano())
	s := sceneOf(t, users(people), emulator.Config{Plan: emulator.Unlimited, Now: clock.now, Jobs: emulator.JobSpeed{PerUser: time.Millisecond}})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	go func() {
		for ; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
			running, sent := 0, 0
			for _, job := range s.tenant.Imports() {
				sent += job.Users
				if job.Ended.IsZero() {
					running++
				}
			}
			if running == mostAtATime || sent == people {
				clock.moveOn(100 * time.Millisecond)
			}
		}
	}()
	s.moveInJobs(ctx, people, 0)
	if jobs := s.tenant.Imports(); len(jobs) < 5 || fullness(jobs) < 0.95 {
		t.Errorf("%d jobs used %.1f%% of the bytes", len(jobs), 100*fullness(jobs))
	}
}

// The same by the clock, on a machine that does nothing else.
func TestBothJobSlotsAreBusyNearlyAllTheTime(t *testing.T) {
	if os.Getenv("PHASEGATE_SOAK") == "" {
		t.Skip("what it measures wants a machine that does nothing else: set PHASEGATE_SOAK=1")
	}
	_, jobs := moveTimed(t, 20_000, 0, 4*time.Millisecond)
	t.Logf("%d jobs: slots busy for %.1f%% of the time", len(jobs), 100*busy(jobs))
	if busy(jobs) < 0.95 {
		t.Errorf("slots busy for %.1f%%", 100*busy(jobs))
	}
}

// BenchmarkJobs moves users in jobs, in time that runs ten times as fast as an
// enterprise tenant's, whose two jobs make 400,000 users an hour. It does the same
// with one job at a time, and by hand: one request after the other, each a tenth
// of a second away, and a second's sleep for every twenty users.
func BenchmarkJobs(b *testing.B) {
	const (
		people = 8000
		faster = 10
		each   = 18 * time.Millisecond / faster
	)
	for range b.N {
		two, jobs := moveTimed(b, people, 0, each)
		one, _ := moveTimed(b, people, 1, each)
		rate := people / two.Took
		b.ReportMetric(100*busy(jobs), "%-slots-busy")
		b.ReportMetric(100*fullness(jobs), "%-bytes")
		b.ReportMetric(rate/faster, "users/s")
		b.ReportMetric(one.Took/two.Took, "x-one-job")
		b.ReportMetric(rate/byHand(b, 60, faster), "x-by-hand")
	}
}

// byHand makes users as the by-hand script does, in time that runs faster, and
// returns how many a second.
func byHand(b *testing.B, n, faster int) float64 {
	s := newScene(b, medlogistics.Population{Users: 3})
	api, _, err := open(s.access())
	must(b, err)
	began := time.Now()
	for i := range n {
		if i > 0 && i%20 == 0 {
			time.Sleep(time.Second / time.Duration(faster))
		}
		time.Sleep(100 * time.Millisecond / time.Duration(faster)) // the way there and back
		must(b, api.CreateUser(context.Background(), directory, newUser{
			id: fmt.Sprint("hand-", i), email: fmt.Sprintf("hand%d@example.com", i), metadata: map[string]any{},
		}, temporaryPassword()))
	}
	return float64(n) / time.Since(began).Seconds()
}
