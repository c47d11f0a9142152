package runner

import (
	"testing"

	"github.com/medlogistics/phasegate/runner/journal"
)

func TestWhatARunTookIsKnownOfItsOwnDigestOnly(t *testing.T) {
	b := newBench(t, halting())
	if m, err := Measure(t.Context(), b.options.Store, b.plan); err != nil || len(m.Forward)+len(m.Back) != 0 {
		t.Fatalf("before any run: %+v, %v", m, err)
	}
	back := b.rehearsed(true)
	done := b.rehearsed(false)
	m, err := Measure(t.Context(), b.options.Store, b.plan)
	if err != nil {
		t.Fatal(err)
	}
	for _, phase := range done.Phases {
		if got := m.Forward[phase.Name]; got.Run != done.Run || !got.Rehearsal || got.DurationMS != phase.DurationMS || got.DowntimeMS != phase.DowntimeMS {
			t.Errorf("phase %s: %+v, not what run %s took", phase.Name, got, done.Run)
		}
	}
	taken := 0
	for _, phase := range back.Phases {
		if got, ok := m.Back[phase.Name]; ok {
			taken++
			if got.Run != back.Run || phase.Rollback != journal.Done {
				t.Errorf("phase %s: %+v", phase.Name, got)
			}
		}
	}
	if taken == 0 {
		t.Error("nothing is known of the rollback")
	}
	other := *b.plan
	other.Digest = "another"
	if m, err := Measure(t.Context(), b.options.Store, &other); err != nil || len(m.Forward)+len(m.Back) != 0 {
		t.Errorf("an edited plan: %+v, %v", m, err)
	}
}
