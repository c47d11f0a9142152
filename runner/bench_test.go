//go:build linux

package runner

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// A sequence is a plan of so many steps, one after the other, which all do the
// same.
type sequence struct {
	plan  *plan.Plan
	dir   string
	steps int
	syncs int // how often the journal was asked to be on disk
}

func newSequence(b *testing.B, steps int, do func(context.Context, *task.Env) error) *sequence {
	b.Helper()
	var text strings.Builder
	text.WriteString("version: 1\nname: sequence\nphases:\n  - name: only\n    steps:\n")
	for i := range steps {
		fmt.Fprintf(&text, "      - { id: s%d, task: toy/look, with: { name: same } }\n", i)
	}
	path := filepath.Join(b.TempDir(), "plan.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	world := &world{}
	world.when("same", do)
	p, findings, err := plan.Load(path, world.tasks())
	if err != nil || p == nil {
		b.Fatalf("load the plan: %v %v", findings, err)
	}
	return &sequence{plan: p, steps: steps, dir: b.TempDir()}
}

// run carries the plan out in a new run, and returns how long its journal is.
func (s *sequence) run(b *testing.B) (size int64) {
	b.Helper()
	runs, err := os.MkdirTemp(s.dir, "runs")
	if err != nil {
		b.Fatal(err)
	}
	store := counting{journal.NewDir(runs), &s.syncs}
	state, err := Run(b.Context(), s.plan, Options{Store: store, Dir: runs, Log: slog.New(slog.DiscardHandler)})
	if err != nil || state.Status != journal.Done {
		b.Fatalf("run: %v, %+v", err, state)
	}
	written, err := os.Stat(filepath.Join(runs, state.Run, journal.FileName))
	if err != nil {
		b.Fatal(err)
	}
	return written.Size()
}

// counting is a directory of journals that counts the appends to new ones: each
// is one fsync.
type counting struct {
	*journal.Dir
	appends *int
}

func (c counting) Create(ctx context.Context, run string) (journal.Writer, error) {
	w, err := c.Dir.Create(ctx, run)
	return countingWriter{w, c.appends}, err
}

type countingWriter struct {
	journal.Writer
	appends *int
}

func (w countingWriter) Append(ctx context.Context, events ...journal.Event) ([]journal.Event, error) {
	*w.appends++
	return w.Writer.Append(ctx, events...)
}

// A step that does nothing costs what it takes to keep its start and its result.
// It is measured against the least that keeps as many bytes: two writes and two
// fdatasyncs a step, in turns, so that both meet the same disk.
func BenchmarkDurableStep(b *testing.B) {
	const steps = 200
	s := newSequence(b, steps, func(context.Context, *task.Env) error { return nil })
	var ours, bare []time.Duration
	for b.Loop() {
		s.syncs = 0
		began := time.Now()
		size := s.run(b)
		ours = append(ours, time.Since(began))
		if s.syncs > steps+2 {
			b.Fatalf("%d fsyncs for %d steps: want one a step and two a run at most", s.syncs, steps)
		}
		bare = append(bare, twoSyncsAStep(b, size, steps))
	}
	b.ReportMetric(float64(s.syncs)/steps, "fsyncs/step")
	b.ReportMetric(float64(median(ours).Microseconds())/steps, "µs/step")
	b.ReportMetric(float64(median(ours))/float64(median(bare)), "step/two-fdatasyncs")
}

func twoSyncsAStep(b *testing.B, size int64, steps int) time.Duration {
	b.Helper()
	file, err := os.Create(filepath.Join(b.TempDir(), "bare"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	half := make([]byte, size/int64(2*steps))
	began := time.Now()
	for range 2 * steps {
		if _, err := file.Write(half); err != nil {
			b.Fatal(err)
		}
		if err := unix.Fdatasync(int(file.Fd())); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(began)
}

func median(of []time.Duration) time.Duration {
	slices.Sort(of)
	return of[len(of)/2]
}
