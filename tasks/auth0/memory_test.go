package auth0

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// peakFile is where the importing process leaves what Linux says of it at its
// end. What the parent learns from wait4 counts the parent's own memory too.
const peakFile = "status"

// busiest is how many users a second the enterprise limit lets be made.
const busiest = 16

// TestImportsCostDoesNotGrowWithTheTable moves a small and a large table in
// processes of their own, a million users in make soak, and compares the memory
// that they needed at most. The small one fills jobs too, so that both hold as
// many at a time. The processor's time for a user says what share of a core the
// import takes at the enterprise limit.
func TestImportsCostDoesNotGrowWithTheTable(t *testing.T) {
	t.Parallel()
	few, many := map[Method]int{Create: 200, Import: 5000}, map[Method]int{Create: 4000, Import: 12_000}
	if os.Getenv("PHASEGATE_SOAK") != "" {
		// The collector reaches its peak only after many jobs.
		few[Import], many = 150_000, map[Method]int{Create: 1_000_000, Import: 1_000_000}
	}
	for _, method := range []Method{Create, Import} {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			small, large := costOf(t, method, few[method]), costOf(t, method, many[method])
			t.Logf("%d users: %s; %d users: %s", few[method], small, many[method], large)
			if large.peak > burden*(64<<10) || large.peak > small.peak+burden*(8<<10) {
				t.Errorf("%d users took %d KiB, %d users %d KiB", many[method], large.peak, few[method], small.peak)
			}
			if share := large.each.Seconds() * busiest; method == Create && share > 0.1*burden {
				t.Errorf("at the enterprise limit it takes %.0f%% of a core", 100*share)
			}
		})
	}
}

// A cost is what a process needed.
type cost struct {
	peak int           // the most memory, in KiB
	each time.Duration // the processor's time for a user, the start of the process included
}

func (c cost) String() string {
	return fmt.Sprintf("%d KiB, %s a user (%.1f%% of a core at %d a second)",
		c.peak, c.each.Round(time.Microsecond), 100*busiest*c.each.Seconds(), busiest)
}

// costOf moves n users in a process of its own.
func costOf(t *testing.T, method Method, n int) (c cost) {
	t.Helper()
	s := newScene(t, users(n))
	i := s.methods()[string(method)]
	if n > 100_000 {
		i.Workers, i.Batch = 16, 1000
	}
	dir := t.TempDir()
	cmd := s.start(i, dir)
	must(t, cmd.Wait())
	s.exactlyLinked(n)
	status, err := os.ReadFile(filepath.Join(dir, peakFile))
	if err != nil {
		t.Skip("this system does not tell what a process needed")
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	_, err = fmt.Sscan(after, &c.peak)
	must(t, err)
	c.each = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()) / time.Duration(n)
	return c
}

func (s *scene) exactlyLinked(n int) {
	s.t.Helper()
	if linked := s.number("select count(distinct auth0_user_id) from users"); linked != n || s.tenant.CountUsers() != n {
		s.t.Errorf("%d users are linked and %d accounts made, want %d", linked, s.tenant.CountUsers(), n)
	}
}
