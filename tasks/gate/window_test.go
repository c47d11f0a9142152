package gate

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/tasktest"
	"github.com/medlogistics/phasegate/runner/task"
)

// text reads a value as a plan's is read.
func text[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](t testing.TB, written string) T {
	t.Helper()
	var value T
	if err := P(&value).UnmarshalText([]byte(written)); err != nil {
		t.Fatal(err)
	}
	return value
}

func hours(t testing.TB, from, to string, days ...Weekday) Hours {
	t.Helper()
	return Hours{Days: days, From: text[Clock](t, from), To: text[Clock](t, to)}
}

// berlin is a window on Tuesdays and Wednesdays from 22:00 to 04:00.
func berlin(t testing.TB) *Window {
	t.Helper()
	return &Window{
		Zone:    text[Zone](t, "Europe/Berlin"),
		Windows: []Hours{hours(t, "22:00", "04:00", "tuesday", "wednesday")},
		Needs:   15 * time.Minute,
	}
}

// at sets the clock, RFC 3339.
func (w *Window) at(t testing.TB, now string) *Window {
	t.Helper()
	moment, err := time.Parse(time.RFC3339, now)
	if err != nil {
		t.Fatal(err)
	}
	w.clock = func() time.Time { return moment }
	return w
}

func TestTheWindowKeepsTheContract(t *testing.T) {
	t.Parallel()
	tasktest.Conform(t, tasktest.Case{
		Spec:      task.Gate("gate/window", &Window{}),
		Configure: func(config any) { *config.(*Window) = *berlin(t).at(t, "2026-11-24T22:00:00Z") },
	})
}

func TestWithoutAClockOfItsOwnTheWindowLooksAtTheMachines(t *testing.T) {
	t.Parallel()
	always := &Window{Zone: text[Zone](t, "UTC"), Windows: []Hours{hours(t, "00:00", "24:00")}}
	before := time.Now().Truncate(time.Second)
	receipt, err := always.Run(t.Context(), tasktest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	now, err := time.Parse(time.RFC3339, receipt.Now)
	if err != nil || now.Before(before) || now.After(time.Now()) {
		t.Errorf("receipt %+v, error %v", receipt, err)
	}
	if receipt.Left < 365*24*60*60 {
		t.Errorf("a window that never closes has %d seconds left", receipt.Left)
	}
}

func TestInsideAWindowTheReceiptSaysSinceWhenAndHowLong(t *testing.T) {
	t.Parallel()
	for now, want := range map[string]Opening{
		"2026-11-24T22:00:00+01:00": {"2026-11-24T21:00:00Z", "2026-11-24T21:00:00Z", "2026-11-25T03:00:00Z", 6 * 3600},
		"2026-11-25T03:45:00+01:00": {"2026-11-25T02:45:00Z", "2026-11-24T21:00:00Z", "2026-11-25T03:00:00Z", 900},
		"2026-11-26T00:00:00+01:00": {"2026-11-25T23:00:00Z", "2026-11-25T21:00:00Z", "2026-11-26T03:00:00Z", 4 * 3600},
	} {
		w := berlin(t).at(t, now)
		receipt, err := w.Run(t.Context(), tasktest.Env(t))
		if err != nil || receipt != want {
			t.Errorf("%s: receipt %+v, error %v", now, receipt, err)
		}
		if err := w.Check(t.Context(), tasktest.Env(t)); err != nil {
			t.Errorf("%s: check %v", now, err)
		}
	}
}

func TestAClosedWindowSaysWhenItOpensInTheZoneAndInUTC(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, now, want string }{
		{
			"outside", "2026-11-23T00:30:00Z",
			"Monday 2026-11-23 01:30 CET (2026-11-23 00:30 UTC) is outside the allowed times; " +
				"the next window opens at Tuesday 2026-11-24 22:00 CET (2026-11-24 21:00 UTC): gate is closed",
		},
		{
			"a second before it opens", "2026-11-24T20:59:59Z",
			"Tuesday 2026-11-24 21:59 CET (2026-11-24 20:59 UTC) is outside the allowed times; " +
				"the next window opens at Tuesday 2026-11-24 22:00 CET (2026-11-24 21:00 UTC): gate is closed",
		},
		{
			"as it closes", "2026-11-26T03:00:00Z",
			"Thursday 2026-11-26 04:00 CET (2026-11-26 03:00 UTC) is outside the allowed times; " +
				"the next window opens at Tuesday 2026-12-01 22:00 CET (2026-12-01 21:00 UTC): gate is closed",
		},
		{
			"too little left", "2026-11-25T02:45:01Z",
			"the window closes at Wednesday 2026-11-25 04:00 CET (2026-11-25 03:00 UTC), in 14m59s, and 15m0s are needed; " +
				"the next window opens at Wednesday 2026-11-25 22:00 CET (2026-11-25 21:00 UTC): gate is closed",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := berlin(t).at(t, c.now)
			receipt, err := w.Run(t.Context(), tasktest.Env(t))
			if !errors.Is(err, task.ErrClosed) || err.Error() != c.want {
				t.Errorf("error %v\nwant  %s", err, c.want)
			}
			if receipt.Now != c.now || task.HintOf(err) == "" {
				t.Errorf("receipt %+v, hint %q", receipt, task.HintOf(err))
			}
			if checked := w.Check(t.Context(), tasktest.Env(t)); checked == nil || checked.Error() != c.want {
				t.Errorf("check %v", checked)
			}
		})
	}
}

// A moment is when the clock is looked at, and what the gate says then: "" is
// open.
type moment struct{ name, now, next string }

func (w *Window) expect(t *testing.T, moments []moment) {
	t.Helper()
	for _, m := range moments {
		_, err := w.at(t, m.now).Run(t.Context(), tasktest.Env(t))
		switch {
		case m.next == "" && err != nil:
			t.Errorf("%s: %v", m.name, err)
		case m.next != "" && (!errors.Is(err, task.ErrClosed) || !strings.Contains(err.Error(), m.next)):
			t.Errorf("%s: %v, want %s", m.name, err, m.next)
		}
	}
}

func TestAFreezeClosesItsDayAndTheNightAfterIt(t *testing.T) {
	t.Parallel()
	w := &Window{
		Zone:    text[Zone](t, "Europe/Berlin"),
		Windows: []Hours{hours(t, "22:00", "04:00")},
		Except:  []Date{text[Date](t, "2026-12-24"), text[Date](t, "2026-12-25")},
		Needs:   3 * time.Hour,
	}
	w.expect(t, []moment{
		{"two nights before", "2026-12-22T22:00:00+01:00", ""},
		{"the evening before is cut short at midnight", "2026-12-23T22:00:00+01:00", "closes at Thursday 2026-12-24 00:00 CET"},
		{"and what is left is too short", "2026-12-23T21:00:00+01:00", "opens at Saturday 2026-12-26 22:00 CET"},
		{"the day itself", "2026-12-24T23:00:00+01:00", "opens at Saturday 2026-12-26 22:00 CET"},
		{"the night after", "2026-12-26T01:00:00+01:00", "opens at Saturday 2026-12-26 22:00 CET"},
		{"the day after", "2026-12-26T22:00:00+01:00", ""},
	})
}

func TestWindowsThatMeetAreOne(t *testing.T) {
	t.Parallel()
	w := &Window{
		Zone: text[Zone](t, "America/New_York"),
		Windows: []Hours{
			hours(t, "20:00", "24:00", "friday"), hours(t, "00:00", "24:00", "saturday"), hours(t, "23:00", "06:00", "saturday"),
		},
		Needs: 34 * time.Hour,
	}
	if err := w.Validate(); err != nil {
		t.Fatal(err)
	}
	receipt, err := w.at(t, "2026-11-20T20:00:00-05:00").Run(t.Context(), tasktest.Env(t))
	if err != nil || receipt.Left != 34*3600 || receipt.ClosesAt != "2026-11-22T11:00:00Z" {
		t.Errorf("receipt %+v, error %v", receipt, err)
	}
	w.Needs = 35 * time.Hour
	if err := w.Validate(); err == nil || err.Error() != "needs is 35h0m0s, and the longest window has 34h0m0s" {
		t.Errorf("error %v", err)
	}
}

func TestTheHourThatIsLeftOutIsInNoWindow(t *testing.T) {
	t.Parallel()
	w := berlin(t) // 2026-03-29: 02:00 CET is 03:00 CEST
	w.Windows = []Hours{hours(t, "02:15", "02:45", "sunday")}
	w.expect(t, []moment{
		{"before", "2026-03-29T01:59:59+01:00", "opens at Sunday 2026-04-05 02:15 CEST"},
		{"the clocks are put forward", "2026-03-29T03:00:00+02:00", "opens at Sunday 2026-04-05 02:15 CEST"},
	})
	w.Windows = []Hours{hours(t, "02:30", "04:00", "sunday")}
	receipt, err := w.at(t, "2026-03-29T03:00:00+02:00").Run(t.Context(), tasktest.Env(t))
	if err != nil || receipt.OpenedAt != "2026-03-29T01:00:00Z" || receipt.Left != 3600 {
		t.Errorf("receipt %+v, error %v", receipt, err)
	}
}

func TestTheHourThatComesTwiceIsOpenBothTimes(t *testing.T) {
	t.Parallel()
	w := berlin(t) // 2026-10-25: 03:00 CEST is 02:00 CET
	w.Windows = []Hours{hours(t, "02:15", "02:45", "sunday")}
	w.expect(t, []moment{
		{"before", "2026-10-25T02:14:59+02:00", "opens at Sunday 2026-10-25 02:15 CEST (2026-10-25 00:15 UTC)"},
		{"the first time", "2026-10-25T02:15:00+02:00", ""},
		{"between", "2026-10-25T02:45:00+02:00", "opens at Sunday 2026-10-25 02:15 CET (2026-10-25 01:15 UTC)"},
		{"the second time", "2026-10-25T02:15:00+01:00", ""},
		{"after", "2026-10-25T02:45:00+01:00", "opens at Sunday 2026-11-01 02:15 CET"},
	})
	for name, c := range map[string]struct {
		from, to string
		left     int64
	}{"the whole hour is two": {"02:00", "03:00", 7200}, "around it": {"01:00", "04:00", 14400}, "until within it": {"01:00", "02:30", 5400}} {
		w.Windows = []Hours{hours(t, c.from, c.to)}
		receipt, err := w.at(t, "2026-10-25T"+c.from+":00+02:00").Run(t.Context(), tasktest.Env(t))
		if err != nil || receipt.Left != c.left {
			t.Errorf("%s: receipt %+v, error %v", name, receipt, err)
		}
	}
}

func TestAWindowThatFreezesKeepShutForAYearSaysSo(t *testing.T) {
	t.Parallel()
	w := berlin(t)
	for day := range 400 {
		w.Except = append(w.Except, dateOf(time.Date(2026, time.November, 1+day, 0, 0, 0, 0, time.UTC)))
	}
	_, err := w.at(t, "2026-11-23T00:00:00Z").Run(t.Context(), tasktest.Env(t))
	if !errors.Is(err, task.ErrClosed) || !strings.Contains(err.Error(), "no window that is long enough opens within a year") {
		t.Errorf("error %v", err)
	}
	if hint := task.HintOf(err); !strings.Contains(hint, "except") {
		t.Errorf("hint %q", hint)
	}
}

func TestAnInterruptedLookAtTheClockIsNoWait(t *testing.T) {
	t.Parallel()
	cause := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := berlin(t).Run(ctx, tasktest.Env(t)); !errors.Is(err, cause) || errors.Is(err, task.ErrClosed) {
		t.Errorf("error %v", err)
	}
}

func TestAWindowThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want   string
		change func(w *Window)
	}{
		{"zone is empty", func(w *Window) { w.Zone = Zone{} }},
		{"windows is empty", func(w *Window) { w.Windows = nil }},
		{"window 2: days is empty", func(w *Window) { w.Windows = append(w.Windows, Hours{Days: []Weekday{}, To: 60}) }},
		{`window 1: "caturday" is not a day`, func(w *Window) { w.Windows[0].Days[1] = "caturday" }},
		{"window 1: it ends when it begins, at 04:00", func(w *Window) { w.Windows[0].From = w.Windows[0].To }},
		{"window 1: from 24:00 to 04:00 is not within a day", func(w *Window) { w.Windows[0].From = endOfDay }},
		{"needs is 6h0m1s, and the longest window has 6h0m0s", func(w *Window) { w.Needs = 6*time.Hour + time.Second }},
	} {
		w := berlin(t)
		c.change(w)
		if err := w.Validate(); err == nil || err.Error() != c.want {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
	w := berlin(t)
	w.Needs = 6 * time.Hour
	if err := w.Validate(); err != nil {
		t.Error(err)
	}
}

func TestATimeOrADateThatIsNoneIsRefusedWithAnExample(t *testing.T) {
	t.Parallel()
	for _, written := range []string{"", "22", "22:60", "24:01", "25:00", "4:00", "22:00:00", "10pm", "-1:00", " 22:00"} {
		var c Clock
		if err := c.UnmarshalText([]byte(written)); err == nil || !strings.Contains(task.HintOf(err), "22:30") {
			t.Errorf("time %q: error %v, read as %s", written, err, c)
		}
	}
	for _, written := range []string{"", "24.12.2026", "2026-02-29", "2026-12", "26-12-24", "2026-12-24T00:00:00Z"} {
		var d Date
		if err := d.UnmarshalText([]byte(written)); err == nil || !strings.Contains(task.HintOf(err), "2026-12-24") {
			t.Errorf("date %q: error %v, read as %v", written, err, d)
		}
	}
}

// openReadings is the slow way: every reading of a clock, minute by minute, that
// is in a window.
func openReadings(w *Window, year int) map[string]bool {
	frozen := map[string]bool{}
	for _, d := range w.Except {
		frozen[fmt.Sprintf("%04d-%02d-%02d", d.year, d.month, d.day)] = true
	}
	open := map[string]bool{}
	for day := time.Date(year-1, time.December, 25, 0, 0, 0, 0, time.UTC); day.Year() <= year+1; day = day.Add(24 * time.Hour) {
		for _, h := range w.Windows {
			if frozen[day.Format(time.DateOnly)] || len(h.Days) > 0 && !strings.Contains(fmt.Sprint(h.Days), strings.ToLower(day.Weekday().String())) {
				continue
			}
			minutes := int(h.To - h.From)
			if minutes < 0 {
				minutes += 24 * 60
			}
			for m := range minutes {
				reading := day.Add(time.Duration(int(h.From)+m) * time.Minute)
				open[reading.Format("2006-01-02 15:04")] = !frozen[reading.Format(time.DateOnly)]
			}
		}
	}
	return open
}

// agrees compares the gate with the slow way, for every minute of a year in UTC.
func agrees(t *testing.T, w *Window, readings map[string]bool, year int) {
	t.Helper()
	begin := time.Date(year, time.January, 1, 0, 0, 0, 0, time.UTC)
	minutes := int(begin.AddDate(1, 0, 0).Sub(begin) / time.Minute)
	open := make([]bool, minutes)
	for i := range open {
		at := begin.Add(time.Duration(i) * time.Minute)
		open[i] = readings[at.In(w.Zone.location).Format("2006-01-02 15:04")]
		if w.open(at) != open[i] {
			t.Fatalf("open at %s is %t", at.In(w.Zone.location), !open[i])
		}
	}
	var opens, closes []time.Time // each window that begins in the year and is not cut off by its end
	for i := 1; i < minutes; i++ {
		switch at := begin.Add(time.Duration(i) * time.Minute); {
		case open[i] && !open[i-1]:
			opens = append(opens, at)
		case !open[i] && open[i-1] && len(opens) > 0:
			closes = append(closes, at)
		}
	}
	if len(closes) < 100 {
		t.Fatalf("only %d windows: the year proves nothing", len(closes))
	}
	for i, closing := range closes {
		for _, at := range []time.Time{opens[i], opens[i].Add(closing.Sub(opens[i]) / 2), closing.Add(-1)} {
			if got := w.closes(at); !got.Equal(closing) {
				t.Fatalf("at %s the window closes at %s, want %s", at.In(w.Zone.location), got, closing)
			}
			if got := w.opened(at); !got.Equal(opens[i]) {
				t.Fatalf("at %s the window opened at %s, want %s", at.In(w.Zone.location), got, opens[i])
			}
		}
		for j := i + 1; j < len(closes); j++ {
			if closes[j].Sub(opens[j]) < w.Needs {
				continue
			}
			if got, ok := w.next(closing.Add(-1)); !ok || !got.Equal(opens[j]) {
				t.Fatalf("after %s the next window opens at %s, want %s", closing.In(w.Zone.location), got, opens[j])
			}
			break
		}
	}
}

// awkward is made to meet every change of the clocks.
func awkward(t *testing.T, zone string, year int) *Window {
	t.Helper()
	w := &Window{
		Zone: text[Zone](t, zone), Needs: time.Hour,
		Windows: []Hours{
			hours(t, "22:10", "04:00", "tuesday", "wednesday"), hours(t, "02:15", "02:45", "sunday"),
			hours(t, "23:30", "00:20", "saturday"), hours(t, "00:00", "24:00", "friday"), hours(t, "12:00", "12:01"),
		},
	}
	for _, day := range []string{"-03-25", "-07-04", "-10-24", "-12-24", "-12-25"} {
		w.Except = append(w.Except, text[Date](t, fmt.Sprint(year)+day))
	}
	return w
}

func TestEveryMinuteOfAYearIsOpenAsAClockInTheZoneReads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone string
		year int
	}{
		{"UTC", 2026},
		{"Europe/Berlin", 2026},
		{"America/Havana", 2026},      // the clocks are changed at midnight
		{"Australia/Lord_Howe", 2026}, // by half an hour
		{"America/St_Johns", 2006},    // at a minute past midnight, back into the day before
		{"Pacific/Apia", 2011},        // a whole day was left out
	} {
		t.Run(c.zone, func(t *testing.T) {
			t.Parallel()
			w := awkward(t, c.zone, c.year)
			agrees(t, w, openReadings(w, c.year), c.year)
		})
	}
}

func TestEveryMinuteOfAYearInEveryZone(t *testing.T) {
	if os.Getenv("PHASEGATE_SOAK") == "" {
		t.Skip("long: run by make soak")
	}
	t.Parallel()
	const year = 2026
	readings := openReadings(awkward(t, "UTC", year), year)
	for zone := range strings.FieldsSeq(zoneNames) {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			agrees(t, awkward(t, zone, year), readings, year)
		})
	}
}
