package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/medlogistics/phasegate/runner"
	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/plan"
)

// A view shows a run to a person while it lasts: a line for each phase and each
// finished step and, at a terminal, a last line that moves with the work. Where
// there is no terminal, long work says every half minute how far it is.
type view struct {
	app  *app
	plan *plan.Plan

	mu     sync.Mutex
	opened journal.Event
	at     *journal.Event // the step at work
	far    runner.Progress
	began  time.Time // when the step's first progress came
	told   time.Time // when it was last mentioned
	asking bool      // a question stands where the moving line would

	announced string // the phase that the last question was about
	rested    string // the gate whose receipts were shown

	quit  chan struct{}
	once  sync.Once
	ended sync.WaitGroup
}

const (
	frame     = 100 * time.Millisecond // how often the moving line is drawn
	heartbeat = 30 * time.Second       // how often long work is mentioned elsewhere
)

func (a *app) newView(p *plan.Plan) *view {
	v := &view{app: a, plan: p, quit: make(chan struct{})}
	a.shown.Store(v)
	v.ended.Go(v.tick)
	return v
}

// close takes the moving line away. It can be called twice.
func (v *view) close() {
	v.once.Do(func() { close(v.quit) })
	v.ended.Wait()
}

func (v *view) tick() {
	ticker := time.NewTicker(frame)
	defer ticker.Stop()
	for {
		select {
		case <-v.quit:
			v.mu.Lock()
			v.wipe()
			v.mu.Unlock()
			return
		case now := <-ticker.C:
			v.mu.Lock()
			v.draw(now)
			v.mu.Unlock()
		}
	}
}

// draw shows how far the step at work is.
func (v *view) draw(now time.Time) {
	if v.at == nil || v.asking {
		return
	}
	if v.app.Live {
		line := "  " + v.paint(dim, "> ") + v.at.Step + "  " + v.howFar(now)
		fmt.Fprintf(v.app.Err, "\r\x1b[K%s", cut(line, v.app.Width))
		return
	}
	if now.Sub(v.told) >= heartbeat {
		v.told = now
		fmt.Fprintf(v.app.Err, "  ...   %s  %s\n", v.at.Step, v.howFar(now))
	}
}

// atWork is the start of the step at work, nil if there is none.
func (v *view) atWork() *journal.Event {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.at
}

// again is the command that goes on with what is shown.
func (v *view) again() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.TrimSpace("phasegate " + v.opened.Command + " " + v.plan.Path)
}

// pause makes room for a question, or takes the room back.
func (v *view) pause(asking bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.wipe()
	v.asking = asking
}

func (v *view) wipe() {
	if v.app.Live {
		fmt.Fprint(v.app.Err, "\r\x1b[K")
	}
}

// howFar is the time that the step has taken and, if it says so, its progress
// with the rate and the time left.
func (v *view) howFar(now time.Time) string {
	taken := span(now.Sub(v.at.Time).Round(time.Second))
	p := v.far
	if p.Done == 0 && p.Total == 0 {
		return taken
	}
	amount := func(n int64) string { return count(n, p.Unit) }
	text := amount(p.Done)
	if p.Total > 0 {
		text = bar(p.Done, p.Total) + " " + amount(p.Done) + " of " + amount(p.Total)
	}
	text += " " + unitName(p.Unit)
	if seconds := now.Sub(v.began).Seconds(); seconds >= 1 && p.Done > 0 {
		rate := float64(p.Done) / seconds
		text += fmt.Sprintf(", %s/s", amount(int64(rate)))
		if left := p.Total - p.Done; left > 0 {
			text += ", " + span(time.Duration(float64(left)/rate*float64(time.Second)).Round(time.Second)) + " left"
		}
	}
	return strings.TrimSpace(text) + "  " + taken
}

func (v *view) progress(p runner.Progress) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.far.Step != p.Step {
		v.began = time.Now()
	}
	v.far = p
}

// observe prints what an event means.
func (v *view) observe(e journal.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.wipe()
	switch e.Type {
	case journal.Opened:
		v.opened = e
		v.say("%s  run %s  plan digest %.12s", v.paint(bold, e.Plan), e.Run, e.Digest)
		if e.Found != "" {
			v.say("%s", v.paint(dim, v.goesOn(e)))
		}
	case journal.PhaseStarted:
		v.startPhase(e)
	case journal.StepStarted:
		started := e
		v.at, v.far, v.told = &started, runner.Progress{}, time.Now()
	case journal.StepFinished:
		v.at = nil
		v.finishStep(e)
	case journal.Outage:
		v.say("  %s %s was away for %s", v.paint(yellow, "away "), e.Probe, milliseconds(e.DowntimeMS))
	case journal.PhaseFinished:
		if e.DowntimeMS > 0 {
			v.say("  %s downtime seen %s%s", v.paint(dim, "sum  "), milliseconds(e.DowntimeMS), ofBudget(e.BudgetMS))
		}
	case journal.RollbackStarted:
		v.say("%s", v.paint(bold, "rolling back"))
	}
}

func (v *view) startPhase(e journal.Event) {
	title := e.Phase
	if e.Kind == journal.KindRollback {
		title = "take back " + title
	}
	summary := ""
	for _, phase := range v.plan.Phases {
		if phase.Name == e.Phase && e.Kind != journal.KindRollback {
			summary = phase.Summary
		}
		if phase.Name == e.Phase && e.Kind == journal.KindRollback && phase.Irreversible != "" {
			summary = "stays: " + phase.Irreversible
		}
	}
	v.say("%s  %s", v.paint(bold, title), v.paint(dim, summary))
}

func (v *view) finishStep(e journal.Event) {
	line := fmt.Sprintf("  %s %-22s %8s", v.mark(e.Status), e.Step, milliseconds(e.DurationMS))
	switch e.Status {
	case journal.Done:
	case journal.Skipped:
		line += "  " + v.paint(dim, "skipped: "+firstLine(e.Reason))
	default:
		line += "  " + e.Reason
	}
	v.say("%s", line)
	if e.Hint != "" {
		v.say("      hint: %s", e.Hint)
	}
}

// say prints a line. The caller holds the lock.
func (v *view) say(format string, args ...any) {
	fmt.Fprintln(v.app.Err, strings.TrimRight(fmt.Sprintf(format, args...), " "))
}

func ofBudget(ms int64) string {
	if ms == 0 {
		return ""
	}
	return " of " + milliseconds(ms) + " allowed"
}
