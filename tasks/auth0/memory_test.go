package auth0

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// peakFile is where the importing process leaves what Linux says of it at its
// end. What the parent learns from wait4 counts the parent's own memory too.
const peakFile = "status"

// TestImportsMemoryDoesNotGrowWithTheTable moves a small and a large table in
// processes of their own and compares what they needed at most. The small one
// fills jobs too, so that both hold as many at a time.
func TestImportsMemoryDoesNotGrowWithTheTable(t *testing.T) {
	t.Parallel()
	few, many := map[Method]int{Create: 200, Import: 5000}, map[Method]int{Create: 4000, Import: 12_000}
	if os.Getenv("PHASEGATE_SOAK") != "" {
		many = map[Method]int{Create: 100_000, Import: 200_000}
	}
	for _, method := range []Method{Create, Import} {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			small, large := peak(t, method, few[method]), peak(t, method, many[method])
			t.Logf("peak of %d KiB for %d users, %d KiB for %d", small, few[method], large, many[method])
			if large > burden*(64<<10) || large > small+burden*(8<<10) {
				t.Errorf("%d users took %d KiB, %d users %d KiB", many[method], large, few[method], small)
			}
		})
	}
}

// peak returns the most memory that a process which moves n users had, in KiB.
func peak(t *testing.T, method Method, n int) (kib int) {
	t.Helper()
	s := newScene(t, users(n))
	i := s.bulk()
	i.Method = method
	dir := t.TempDir()
	must(t, s.start(i, dir).Wait())
	s.exactlyLinked(n)
	status, err := os.ReadFile(filepath.Join(dir, peakFile))
	if err != nil {
		t.Skip("this system does not tell what a process needed")
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	_, err = fmt.Sscan(after, &kib)
	must(t, err)
	return kib
}

func (s *scene) exactlyLinked(n int) {
	s.t.Helper()
	if linked := s.number("select count(distinct auth0_user_id) from users"); linked != n || s.tenant.CountUsers() != n {
		s.t.Errorf("%d users are linked and %d accounts made, want %d", linked, s.tenant.CountUsers(), n)
	}
}
