package cli

import "testing"

// The short form of the sweep: the process dies where a step has acted and its
// result is not on disk, and the next one dies so too while it takes the run back.
func TestKilledRunsGoOnAndKilledRollbacksAreCompleted(t *testing.T) {
	t.Parallel()
	for _, points := range [][]struct {
		run      death
		resume   bool
		rollback death
	}{
		{
			{death{"before", "step_finished/backup"}, true, death{"before", "step_finished/put-back"}},
			{death{"after", "step_saved/stage"}, false, death{"before", "step_finished/start-again"}},
			{death{"before", "step_finished/users"}, true, death{"after", "rollback_finished/"}},
		},
		{
			{death{"after", "step_finished/migrate-schema"}, true, death{"before", "step_finished/stop-again"}},
			{death{"before", "step_finished/start-api"}, false, death{"after", "rollback_started/"}},
			{death{"before", "closed/"}, true, death{"before", "closed/"}},
		},
	} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			s := newSweep(t, 12).disturbNothing()
			for _, p := range points {
				if !s.try(p.run, p.resume) {
					t.Errorf("%s: it was not killed", s.point)
				}
				if !s.tryRollback(p.rollback) {
					t.Errorf("%s: it was not killed", s.point)
				}
			}
		})
	}
}

// try kills a run there and tells whether that was before its end. If it is to
// be resumed, it is, and held to be as good as one that was not killed.
func (s *sweep) try(d death, resume bool) bool {
	s.Helper()
	s.begin(s.directory())
	died := s.dies(d, ExitDone, "run")
	if resume {
		s.goOn()
		s.isAfter()
	}
	return died
}

// tryRollback takes the run back in two calls, the first of which is killed
// there, and tells whether that was before its end.
func (s *sweep) tryRollback(d death) bool {
	s.Helper()
	if state := s.stands(); state == nil || !state.Changed() {
		s.takeBack()
		return false
	}
	died := s.dies(d, ExitDone, "rollback")
	if died {
		s.goBackOn()
	}
	s.isRolledBack()
	return died
}
