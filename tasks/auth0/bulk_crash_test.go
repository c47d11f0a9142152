package auth0

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	emulator "github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// TestImportSurvivesKillBetweenAnyTwoRequests kills a process at one request after
// the other, before its effect and after it, and lets the next one finish.
func TestImportSurvivesKillBetweenAnyTwoRequests(t *testing.T) {
	t.Parallel()
	step := 4
	if os.Getenv("PHASEGATE_SOAK") != "" {
		step = 1
	}
	for name, method := range map[string]Method{"create": Create, "import": Import} {
		for when, hang := range map[string]emulator.Effect{
			"before": emulator.Hang(time.Minute), "after": emulator.HangAfter(time.Minute),
		} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				var points, orphans atomic.Int32
				for at := 0; ; at += step {
					killed, left := killAt(t, method, at, hang)
					if !killed {
						break // the run has no such request any more
					}
					points.Add(1)
					if left {
						orphans.Add(1)
					}
				}
				t.Logf("killed at %d points, with accounts that had no row yet at %d of them", points.Load(), orphans.Load())
				if points.Load() < 3 {
					t.Errorf("only %d points were tried", points.Load())
				}
			})
		}
	}
}

// killAt kills an import at its request number at, and finishes with another. It
// tells whether there was such a request, and whether accounts were without rows.
func killAt(t *testing.T, method Method, at int, hang emulator.Effect) (killed, left bool) {
	t.Helper()
	const n = 12
	s := sceneOf(t, users(n), emulator.Config{Plan: emulator.Unlimited, Jobs: emulator.JobSpeed{Start: 30 * time.Millisecond}})
	i := s.bulk()
	i.Method, i.Workers, i.Batch = method, 2, 6
	s.tenant.Fault(emulator.Fault{After: at, Count: 1, Do: hang})
	dir := t.TempDir()
	cmd := s.start(i, dir)
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for s.tenant.Disturbed() == 0 {
		select {
		case err := <-done:
			must(t, err)
			s.exactlyOnce(0)
			return false, false
		case <-time.After(time.Millisecond):
		}
	}
	eventually(t, "the request had its effect or waits for it", func() bool {
		return hang == emulator.Hang(time.Minute) || s.tenant.Requests().Total("") > at
	})
	must(t, cmd.Process.Kill())
	<-done
	s.unlocked()
	s.tenant.ClearFaults()
	left = s.tenant.CountUsers() > s.number("select count(auth0_user_id) from users")
	if err := s.start(i, dir).Wait(); err != nil {
		t.Errorf("killed at request %d: %v", at, err)
	}
	s.exactlyOnce(0)
	if t.Failed() {
		t.Fatal(fmt.Sprint("after a kill at request ", at))
	}
	return true, left
}

func TestAKilledRunsJobIsPickedUp(t *testing.T) {
	t.Parallel()
	s := sceneOf(t, users(50), emulator.Config{Plan: emulator.Unlimited, Jobs: emulator.JobSpeed{Start: 300 * time.Millisecond}})
	s.tenant.Fault(emulator.Fault{Endpoint: "GET /api/v2/jobs/{id}", Count: 1, Do: emulator.Hang(time.Minute)})
	i, dir := s.bulk(), t.TempDir()
	cmd := s.start(i, dir)
	eventually(t, "the job is waited for", func() bool { return s.tenant.Disturbed() == 1 })
	s.kill(cmd)
	s.tenant.ClearFaults()
	must(t, s.start(i, dir).Wait())
	if n := s.tenant.Requests().Total(importing); n != 1 {
		t.Errorf("%d jobs were started, not the one that was picked up", n)
	}
	if n := s.tenant.Requests().Total("GET /api/v2/users/{id}"); n != 0 {
		t.Errorf("%d users were read", n)
	}
	s.exactlyOnce(0)
}

// Both jobs are under way when the process is killed, and the next is killed when it
// has dealt with the first of them.
func TestBothJobsOfAKilledRunArePickedUpHoweverOften(t *testing.T) {
	t.Parallel()
	s := sceneOf(t, users(2500), emulator.Config{Plan: emulator.Unlimited, Jobs: emulator.JobSpeed{Start: 300 * time.Millisecond}})
	const looking = "GET /api/v2/jobs/{id}"
	s.tenant.Fault(emulator.Fault{Endpoint: looking, Count: 2, Do: emulator.Hang(time.Minute)})
	i, dir := s.bulk(), t.TempDir()
	cmd := s.start(i, dir)
	eventually(t, "both jobs are waited for", func() bool { return s.tenant.Disturbed() == 2 })
	s.kill(cmd)
	eventually(t, "both have ended", func() bool {
		jobs := s.tenant.Imports()
		return len(jobs) == 2 && !jobs[0].Ended.IsZero() && !jobs[1].Ended.IsZero()
	})
	s.tenant.ClearFaults()
	s.tenant.Fault(emulator.Fault{Endpoint: looking, After: 1, Count: 1, Do: emulator.Hang(time.Minute)})
	cmd = s.start(i, dir)
	eventually(t, "the second job is waited for", func() bool { return s.tenant.Disturbed() == 1 })
	s.kill(cmd)
	s.tenant.ClearFaults()
	must(t, s.start(i, dir).Wait())
	if n := s.tenant.Requests().Total("GET /api/v2/users/{id}") + s.tenant.Requests().Total("POST /api/v2/jobs/users-exports"); n != 0 {
		t.Errorf("accounts were looked up %d times: a job was not picked up", n)
	}
	s.exactlyOnce(0)
}
