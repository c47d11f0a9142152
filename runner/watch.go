package runner

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
)

// A watch asks the plan's probes for as long as the session lasts, and adds up
// for how long each was without an answer. What it measures is what a user
// would have seen, to within a probe's interval.
type watch struct {
	session *session
	cancel  context.CancelFunc
	ended   sync.WaitGroup

	mu     sync.Mutex
	phase  string
	since  time.Time // when the phase was entered
	budget time.Duration
	exceed context.CancelCauseFunc
	probes []*probe
}

// A probe is one address and what is known of it.
type probe struct {
	name   string
	target string
	client *http.Client
	every  time.Duration
	down   time.Time     // since when it has not answered; zero if it does
	away   time.Duration // ended outages in this phase
}

// watch starts the probes. One whose address cannot be resolved is journalled
// by the steps that use the same variable; it is not asked.
func (s *session) watch(ctx context.Context) *watch {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w := &watch{session: s, cancel: cancel}
	for _, declared := range s.plan.Probes {
		target, err := declared.Target(s.values(nil))
		if err != nil {
			s.options.Log.Warn("probe is not asked", "probe", declared.Name, "reason", err.Error())
			continue
		}
		w.probes = append(w.probes, newProbe(declared, target))
	}
	for _, p := range w.probes {
		w.ended.Go(func() { w.ask(ctx, p) })
	}
	return w
}

func newProbe(declared plan.Probe, target string) *probe {
	return &probe{
		name: declared.Name, target: target, every: declared.Every,
		// A kept connection would go on answering where a new user is refused.
		client: &http.Client{Timeout: declared.Timeout, Transport: &http.Transport{DisableKeepAlives: true}},
	}
}

func (w *watch) stop() {
	w.cancel()
	w.ended.Wait()
}

// ask probes one address until the watch is stopped.
func (w *watch) ask(ctx context.Context, p *probe) {
	ticker := time.NewTicker(p.every)
	defer ticker.Stop()
	for {
		asked := time.Now()
		answered := p.answers(ctx)
		if ctx.Err() != nil {
			return
		}
		w.note(p, asked, answered)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (p *probe) answers(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.target, nil)
	if err != nil {
		return false
	}
	response, err := p.client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	return err == nil && response.StatusCode >= 200 && response.StatusCode < 300
}

// note takes in one answer. An outage lasts from the first question that was
// not answered to the first one that was again.
func (w *watch) note(p *probe, asked time.Time, answered bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !answered && p.down.IsZero():
		p.down = asked
	case answered && !p.down.IsZero():
		p.away += asked.Sub(later(p.down, w.since))
		// If the journal cannot be written, the next step says so and does nothing.
		_ = w.session.record(context.Background(), journal.Event{
			Type: journal.Outage, Probe: p.name, Phase: w.phase, From: p.down.UTC(), To: asked.UTC(),
			DowntimeMS: asked.Sub(p.down).Milliseconds(),
		})
		p.down = time.Time{}
	}
	if w.budget > 0 && p.total(w.since, asked) > w.budget {
		w.exceed(overBudget(p.total(w.since, asked), w.budget))
	}
}

// enter begins a phase. The context that it returns ends with ErrOverBudget
// when a probe has been away for longer than the budget; a budget of 0 is none.
func (w *watch) enter(ctx context.Context, phase string, budget time.Duration) (context.Context, context.CancelFunc) {
	inPhase, exceed := context.WithCancelCause(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phase, w.since, w.budget, w.exceed = phase, time.Now(), budget, exceed
	for _, p := range w.probes {
		p.away = 0
	}
	return inPhase, func() { exceed(nil) }
}

// leave ends the phase and returns the downtime of the probe that was away the
// longest in it, an outage that goes on included.
func (w *watch) leave() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.budget = 0
	var longest time.Duration
	for _, p := range w.probes {
		longest = max(longest, p.total(w.since, time.Now()))
	}
	return longest
}

func (p *probe) total(since, now time.Time) time.Duration {
	if p.down.IsZero() {
		return p.away
	}
	return p.away + max(0, now.Sub(later(p.down, since)))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
