package cli

import (
	"slices"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/sandbox"
	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// BenchmarkSchemaPhase measures what users see of the phase that changes the
// schema, and of the way back, in both variants of the cut-over: the longest time
// between two answers to a ward that reads and writes a hundred times a second. The
// ratio is that of the two variants.
func BenchmarkSchemaPhase(b *testing.B) {
	variants := map[string]string{"auth0-migration": "schema", "auth0-migration-online": "expand"}
	gaps := map[string][]time.Duration{}
	failed := map[string]int{}
	for b.Loop() {
		for name, phase := range variants {
			there, back, failures := window(b, name, phase)
			gaps[name] = append(gaps[name], there)
			gaps[name+" back"] = append(gaps[name+" back"], back)
			failed[name] += failures
		}
	}
	middle := func(key string) float64 {
		sorted := slices.Sorted(slices.Values(gaps[key]))
		return sorted[len(sorted)/2].Seconds() * 1000
	}
	stopped, online := middle("auth0-migration"), middle("auth0-migration-online")
	b.ReportMetric(stopped, "stopped-ms")
	b.ReportMetric(middle("auth0-migration back"), "stopped-back-ms")
	b.ReportMetric(online, "online-ms")
	b.ReportMetric(middle("auth0-migration-online back"), "online-back-ms")
	b.ReportMetric(stopped/online, "stopped/online")
	b.ReportMetric(float64(failed["auth0-migration-online"])/float64(b.N), "online-failed")
	b.ReportMetric(0, "ns/op")
}

// window carries a plan out up to the phase that changes the schema and takes it
// back, and returns the longest gap of both and how many requests failed.
func window(b *testing.B, name, phase string) (there, back time.Duration, failures int) {
	b.Helper()
	s := stageOf(b, name, sandbox.Options{Users: 20_000, Balanced: phase == "expand", Plan: auth0.Unlimited})
	defer func() {
		if err := s.box.Close(); err != nil {
			b.Error(err)
		}
	}()
	s.phasegate(ExitDone, "run", s.plan, "--to", "backup")
	w, stop := s.atWork()
	s.phasegate(ExitDone, "run", s.plan, "--to", phase)
	w.mu.Lock()
	there, w.gap = w.gap, 0
	w.mu.Unlock()
	s.phasegate(ExitDone, "rollback", s.plan)
	stop()
	return there, w.gap, len(w.failures)
}
