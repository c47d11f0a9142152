package runner

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
	"github.com/medlogistics/phasegate/runner/task"
)

// A session is what this process does for one run, from opened to closed.
type session struct {
	plan    *plan.Plan
	options Options
	run     string

	again map[string]bool // finished steps that are carried out again, by id

	mu     sync.Mutex // the probes record too
	writer journal.Writer
	held   []journal.Event // to be written together with the next start
	state  *journal.State
	failed error // the journal's first failure: nothing is done after it
}

// openForRun goes on with the plan's newest run, or with the one that was asked
// for, or makes a new one. It refuses one that cannot begin at the phase first.
func openForRun(ctx context.Context, p *plan.Plan, o Options, first string) (*session, error) {
	found, err := find(ctx, p, o, func(*journal.State) bool { return true })
	if err != nil {
		return nil, err
	}
	switch {
	case found == nil && o.Run != "":
		return nil, refuse("phasegate status lists the runs", "plan %s has no run %s", p.Name, o.Run)
	case found == nil:
		return create(ctx, p, o, first)
	case found.GoingBack():
		return nil, refuse("phasegate rollback "+p.Path+" completes it", "run %s is being rolled back", found.Run)
	case found.Resumable():
		if other := begunOtherwise(found, p, o); other != "" && o.Run == "" && !found.Changed() {
			o.Log.Warn("an earlier run began otherwise, changed nothing, and is left as it stands",
				"run", found.Run, "status", string(found.Status), "other", other)
			return create(ctx, p, o, first)
		}
		if err := needEarlier(p, found, first); err != nil {
			return nil, err
		}
		return open(ctx, p, o, found.Run)
	case o.Run == "":
		return create(ctx, p, o, first)
	case found.Status == journal.Done:
		return &session{plan: p, options: o, run: o.Run, state: found}, nil
	}
	return nil, refuse("start a new run without --run", "run %s has ended: %s", o.Run, found.Status)
}

// begunOtherwise names what a run began with that is not so any more, or is "".
func begunOtherwise(run *journal.State, p *plan.Plan, o Options) string {
	if run.Digest != p.Digest {
		return "plan"
	}
	return changed(run.Variables, o.Environ.Fingerprints(run.Run))
}

// find returns the state of the plan's newest run that fits, or of the run that
// was asked for if it does, or nil.
func find(ctx context.Context, p *plan.Plan, o Options, fits func(*journal.State) bool) (*journal.State, error) {
	runs, err := o.Store.Runs(ctx)
	if err != nil {
		return nil, err
	}
	for _, run := range slices.Backward(runs) {
		if o.Run != "" && run != o.Run {
			continue
		}
		state, err := o.Store.State(ctx, run)
		damage, damaged := errors.AsType[*journal.DamagedError](err)
		// The chain vouches for the first event once the second one fits.
		unproven := damaged && damage.Line <= 2
		if state != nil && !unproven && (state.Rehearsal != o.Rehearsal || state.Plan != p.Name) {
			continue // also where a later event of it is damaged
		}
		if damaged && o.Run == "" {
			return nil, task.Hint(err, "see what is proven of it with phasegate audit "+run+
				"; then name the run to go on with, or to take back, with --run, or move this one out of the journals")
		}
		if err != nil {
			return nil, err
		}
		if state != nil && state.Plan == p.Name && fits(state) {
			return state, nil
		}
	}
	return nil, nil
}

func create(ctx context.Context, p *plan.Plan, o Options, first string) (*session, error) {
	if err := needEarlier(p, &journal.State{}, first); err != nil {
		return nil, err
	}
	runs, err := o.Store.Runs(ctx)
	if err != nil {
		return nil, err
	}
	run := newRun(o.now(), runs)
	writer, err := o.Store.Create(ctx, run)
	if err != nil {
		return nil, err
	}
	return &session{plan: p, options: o, run: run, writer: writer, state: &journal.State{}, again: map[string]bool{}}, nil
}

func open(ctx context.Context, p *plan.Plan, o Options, run string) (*session, error) {
	writer, events, err := o.Store.Open(ctx, run)
	if errors.Is(err, journal.ErrHeld) {
		return nil, inTheWay(ctx, p, o)
	}
	if err != nil {
		return nil, err
	}
	state := journal.Fold(events)
	if name := changed(state.Variables, o.Environ.Fingerprints(run)); name != "" {
		_ = writer.Close()
		return nil, refuse("set it as it was when the run began",
			"variable %s is not what run %s began with: it would work on something else", name, run)
	}
	if state.Digest != p.Digest {
		_ = writer.Close()
		return nil, edited(p, o, state)
	}
	return &session{plan: p, options: o, run: run, writer: writer, state: state, again: map[string]bool{}}, nil
}

// runTime is how a run's name begins.
const runTime = "20060102-150405.000"

// changed returns the first variable, by name, whose fingerprint is another one.
func changed(before, now map[string]string) string {
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if before[name] != now[name] {
			return name
		}
	}
	return ""
}

// newRun names a run by its time, later than all there are even if the clock
// went back, so that names sort as runs do.
func newRun(now time.Time, runs []string) string {
	now = now.UTC().Truncate(time.Millisecond)
	for _, run := range runs {
		if len(run) < len(runTime) {
			continue
		}
		made, err := time.Parse(runTime, run[:15]+"."+run[16:len(runTime)])
		if err == nil && !made.Before(now) {
			now = made.Add(time.Millisecond)
		}
	}
	random := make([]byte, 2)
	_, _ = rand.Read(random)
	return strings.Replace(now.Format(runTime), ".", "-", 1) + "-" + hex.EncodeToString(random)
}

// begin journals that this process has the run, and if it is to go back, that
// too: where the process dies right then, nobody takes it for a run to go on with.
func (s *session) begin(ctx context.Context, command string) error {
	if err := os.MkdirAll(s.options.runDir(s.run), 0o700); err != nil {
		return fmt.Errorf("make the run's directory: %w", err)
	}
	files := s.plan.Sums()
	if s.state.Run == "" {
		s.keepPlan()
	} else {
		files = nil // the first session has them
	}
	host, _ := os.Hostname()
	s.hold(journal.Event{
		Type: journal.Opened, Contract: journal.Contract, Command: command, Version: s.options.Version,
		Plan: s.plan.Name, File: s.plan.Path, Digest: s.plan.Digest, Phases: names(s.plan), Files: files,
		Rehearsal: s.options.Rehearsal,
		Variables: s.options.Environ.Fingerprints(s.run),
		Found:     s.state.Status, PID: os.Getpid(), Host: host, By: s.options.Account, Driver: s.options.Driver,
	})
	if command == "rollback" {
		s.goBack()
	}
	return s.flush(ctx)
}

// goBack journals that from here on the run only goes back.
func (s *session) goBack() {
	if s.state.Status != journal.RollingBack {
		s.hold(journal.Event{Type: journal.RollbackStarted})
	}
}

// whileHeld returns a context that ends when another process has taken the run
// over, or may have: what this one does would not be in the journal.
func (s *session) whileHeld(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-s.writer.Lost():
			cancel(journal.ErrLost)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// end journals how the session ended.
func (s *session) end(o outcome) error {
	return s.record(context.Background(), journal.Event{
		Type: journal.Closed, Status: o.status, Reason: o.reason(), Hint: o.hint(),
	})
}

func (s *session) close() {
	if s.writer != nil {
		_ = s.writer.Close()
	}
}

// hold keeps an event until the next record, so that a step's result and the
// next one's start go to disk together. Nothing acts in between.
func (s *session) hold(e journal.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = append(s.held, s.complete(e))
	s.state.Apply(s.held[len(s.held)-1])
}

// record writes what is held and this event, and returns when they are on disk.
// It is not cut short by ctx: what was done must be known.
func (s *session) record(ctx context.Context, e journal.Event) error {
	s.hold(e)
	return s.flush(ctx)
}

func (s *session) flush(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil || len(s.held) == 0 {
		return s.failed
	}
	written, err := s.writer.Append(context.WithoutCancel(ctx), s.held...)
	if err != nil {
		s.failed = fmt.Errorf("run %s: %w", s.run, err)
		return s.failed
	}
	if s.options.Observe != nil {
		for _, e := range written {
			s.options.Observe(e)
		}
	}
	clear(s.held)
	s.held = s.held[:0]
	return nil
}

// complete fills in what every event has, and masks what a task said.
func (s *session) complete(e journal.Event) journal.Event {
	e.Run = s.run
	if e.Time.IsZero() {
		e.Time = s.options.now()
	}
	if mask := s.options.Mask; mask != nil {
		e.Reason, e.Hint, e.Stack = mask(e.Reason), mask(e.Hint), mask(e.Stack)
		if e.Receipt != nil {
			e.Receipt = json.RawMessage(mask(string(e.Receipt)))
		}
	}
	return e
}

// values is what references stand for at this point of the run. Of the receipts
// it has those of the steps that are named.
func (s *session) values(needed []string) plan.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	receipts := make(map[string]json.RawMessage, len(needed))
	for _, id := range needed {
		if step := s.state.Step(id); step != nil && step.Receipt != nil {
			receipts[id] = step.Receipt
		}
	}
	return plan.Values{Env: s.options.Environ, Run: s.run, Digest: s.plan.Digest, Receipts: receipts}
}

func names(p *plan.Plan) []string {
	list := make([]string, 0, len(p.Phases))
	for _, phase := range p.Phases {
		list = append(list, phase.Name)
	}
	return list
}

func phaseNames(p *plan.Plan) string { return strings.Join(names(p), ", ") }
