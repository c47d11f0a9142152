package gate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/medlogistics/phasegate/runner/task"
)

// Window opens at the times at which the cut-over is allowed, as long as there
// is time enough left. Outside of them the run ends waiting, and is told when the
// next window opens.
//
// What counts is what a clock in the zone reads. When the clocks are put
// forward, the hour that is left out is in no window; when they are put back,
// the hour that comes twice is open both times or closed both times, minute by
// minute.
type Window struct {
	Zone    Zone          `with:"zone,required"`    // whose clock and calendar count, a name of the IANA database such as Europe/Berlin
	Windows []Hours       `with:"windows,required"` // when it is open; windows that overlap or meet are one
	Except  []Date        `with:"except"`           // days of a freeze, such as 2026-12-24: no window begins on them, and one of the day before closes at midnight
	Needs   time.Duration `with:"needs"`            // how much time must be left until the window closes; never less than the downtime of the phase that the gate opens

	clock func() time.Time // nil is time.Now
}

// Opening is the window that was found open. If the gate is closed for want of
// time, it is the one that is about to close; outside of all windows, it has no
// times but now.
type Opening struct {
	Now      string `json:"now"`       // when the gate was looked at, RFC 3339 in UTC
	OpenedAt string `json:"opened_at"` // when the window opened, RFC 3339 in UTC, at most a year back
	ClosesAt string `json:"closes_at"` // when the window closes, RFC 3339 in UTC, at most a year ahead
	Left     int64  `json:"left"`      // seconds until it closes
}

// lookAhead is how far the windows are looked at, in both directions.
const lookAhead = 366 * 24 * time.Hour

// Validate holds that there are windows, and that one is long enough.
func (w *Window) Validate() error {
	if w.Zone.location == nil {
		return task.Hint(errors.New("zone is empty"), "write the name of a time zone, such as Europe/Berlin")
	}
	if len(w.Windows) == 0 {
		return task.Hint(errors.New("windows is empty"), "write at least one, with from and to")
	}
	for i, hours := range w.Windows {
		if err := hours.validate(); err != nil {
			return fmt.Errorf("window %d: %w", i+1, err)
		}
	}
	if longest := w.longest(); w.Needs > longest {
		return task.Hint(fmt.Errorf("needs is %s, and the longest window has %s", w.Needs, longest),
			"make a window longer, or split the phase")
	}
	return nil
}

// longest returns how long the longest window is in a week without a freeze
// whose days have 24 hours.
func (w *Window) longest() (longest time.Duration) {
	plain := Window{Zone: Zone{time.UTC}, Windows: w.Windows}
	begin := time.Date(2026, time.June, 1, 0, 0, 0, 0, time.UTC)
	for t := begin; t.Before(begin.AddDate(0, 0, 7)); _, t = plain.steady(t) {
		if plain.open(t) {
			longest = max(longest, plain.closes(t).Sub(t))
		}
	}
	return longest
}

// Check looks at the clock as Run does.
func (w *Window) Check(ctx context.Context, env *task.Env) error {
	_, err := w.Run(ctx, env)
	return err
}

// Run looks at the clock.
func (w *Window) Run(ctx context.Context, env *task.Env) (Opening, error) {
	needing := *w
	needing.Needs = max(w.Needs, env.Downtime)
	return needing.look(ctx)
}

func (w *Window) look(ctx context.Context) (Opening, error) {
	if ctx.Err() != nil {
		return Opening{}, context.Cause(ctx)
	}
	now := w.now()
	receipt := Opening{Now: now.UTC().Format(time.RFC3339)}
	if !w.open(now) {
		return receipt, w.closed(now, fmt.Sprintf("%s is outside the allowed times", w.tell(now)))
	}
	closes := w.closes(now)
	left := closes.Sub(now)
	receipt.OpenedAt = w.opened(now).UTC().Format(time.RFC3339)
	receipt.ClosesAt = closes.UTC().Format(time.RFC3339)
	receipt.Left = int64(left / time.Second)
	if left < w.Needs {
		return receipt, w.closed(now, fmt.Sprintf("the window closes at %s, in %s, and %s are needed",
			w.tell(closes), left.Truncate(time.Second), w.Needs))
	}
	return receipt, nil
}

func (w *Window) now() time.Time {
	if w.clock != nil {
		return w.clock().In(w.Zone.location)
	}
	return time.Now().In(w.Zone.location)
}

// closed is the error for a moment at which the gate does not open.
func (w *Window) closed(now time.Time, why string) error {
	next, ok := w.next(now)
	if !ok {
		return task.Hint(fmt.Errorf("%s, and no window that is long enough opens within a year: %w", why, task.ErrClosed),
			"take some of the days out of except")
	}
	return task.Hint(fmt.Errorf("%s; the next window opens at %s: %w", why, w.tell(next), task.ErrClosed),
		"go on with the run then: nothing is lost by waiting")
}

// tell writes a moment for people: in the zone, and in UTC.
func (w *Window) tell(t time.Time) string {
	const minutes = "2006-01-02 15:04 MST"
	return fmt.Sprintf("%s (%s)", t.In(w.Zone.location).Format("Monday "+minutes), t.UTC().Format(minutes))
}

// open tells whether t is in a window, by what a clock in the zone reads.
func (w *Window) open(t time.Time) bool {
	t = t.In(w.Zone.location)
	today, at := dateOf(t), Clock(t.Hour()*60+t.Minute())
	if slices.Contains(w.Except, today) {
		return false
	}
	before := (t.Weekday() + 6) % 7
	return slices.ContainsFunc(w.Windows, func(h Hours) bool {
		return h.evening(at) && h.on(t.Weekday()) ||
			h.morning(at) && h.on(before) && !slices.Contains(w.Except, today.yesterday())
	})
}

// steady returns the time around t in which open cannot change: from one moment
// at which a window or a day may begin or end, or at which the clocks are
// changed, to the next.
func (w *Window) steady(t time.Time) (begin, end time.Time) {
	const day = 24 * 60 * 60
	t = t.In(w.Zone.location).Truncate(time.Second)
	read := t.Hour()*60*60 + t.Minute()*60 + t.Second()
	since, until := read, day-read
	for _, h := range w.Windows {
		for _, bound := range []Clock{h.From, h.To} {
			ahead := (int(bound)*60 - read + day) % day
			until = min(until, cmp.Or(ahead, day))
			since = min(since, (day-ahead)%day)
		}
	}
	begin, end = t.Add(-time.Duration(since)*time.Second), t.Add(time.Duration(until)*time.Second)
	changed, changes := t.ZoneBounds()
	if changed.After(begin) {
		begin = changed
	}
	if !changes.IsZero() && changes.Before(end) {
		end = changes
	}
	return begin, end
}

// closes returns when the window closes that is open at t.
func (w *Window) closes(t time.Time) time.Time {
	limit := t.Add(lookAhead)
	for w.open(t) && t.Before(limit) {
		_, t = w.steady(t)
	}
	return t
}

// opened returns when the window opened that is open at t.
func (w *Window) opened(t time.Time) time.Time {
	limit := t.Add(-lookAhead)
	begin, _ := w.steady(t)
	for w.open(begin.Add(-1)) && begin.After(limit) {
		begin, _ = w.steady(begin.Add(-1))
	}
	return begin
}

// next returns when a window opens, after now, that is long enough, and whether
// there is one within a year.
func (w *Window) next(now time.Time) (time.Time, bool) {
	for t := now; t.Before(now.Add(lookAhead)); {
		if !w.open(t) {
			_, t = w.steady(t)
			continue
		}
		closes := w.closes(t)
		if t.After(now) && closes.Sub(t) >= w.Needs {
			return t, true
		}
		t = closes
	}
	return time.Time{}, false
}
