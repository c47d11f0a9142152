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
// processes of their own and compares what they needed at most.
func TestImportsMemoryDoesNotGrowWithTheTable(t *testing.T) {
	t.Parallel()
	large := 4000
	if os.Getenv("PHASEGATE_SOAK") != "" {
		large = 100_000
	}
	peak := func(n int) (kib int) {
		s := newScene(t, users(n))
		dir := t.TempDir()
		must(t, s.startImport(dir).Wait())
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
	few, many := peak(200), peak(large)
	t.Logf("peak of %d KiB for 200 users, %d KiB for %d", few, many, large)
	if many > 64<<10 || many > few+8<<10 {
		t.Errorf("%d users took %d KiB, 200 users %d KiB", large, many, few)
	}
}

func (s *scene) exactlyLinked(n int) {
	s.t.Helper()
	if linked := s.number("select count(distinct auth0_user_id) from users"); linked != n || s.tenant.CountUsers() != n {
		s.t.Errorf("%d users are linked and %d accounts made, want %d", linked, s.tenant.CountUsers(), n)
	}
}
