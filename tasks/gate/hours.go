package gate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/runner/task"
)

// Hours are the same hours on some days of the week.
type Hours struct {
	Days []Weekday `with:"days"`          // days on which the window begins; default every day
	From Clock     `with:"from,required"` // when it begins, such as 22:00
	To   Clock     `with:"to,required"`   // when it ends, such as 04:00; one before from is on the next day, and 24:00 is the end of the day
}

// A Weekday is the name of a day of the week.
type Weekday string

// Words returns the seven names, Monday first.
func (Weekday) Words() []string {
	return []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
}

// A Clock is what a clock reads, in minutes since midnight.
type Clock int

const endOfDay Clock = 24 * 60

// UnmarshalText reads hours and minutes, from 00:00 to 24:00.
func (c *Clock) UnmarshalText(text []byte) error {
	if string(text) == "24:00" {
		*c = endOfDay
		return nil
	}
	read, err := time.Parse("15:04", string(text))
	if err != nil || len(text) != len("15:04") {
		return task.Hint(fmt.Errorf("%q is not a time of day", text), "write hours and minutes, from 00:00 to 24:00, such as 22:30")
	}
	*c = Clock(read.Hour()*60 + read.Minute())
	return nil
}

// String returns the time as it is written in a plan.
func (c Clock) String() string { return fmt.Sprintf("%02d:%02d", c/60, c%60) }

// A Date is a day of the calendar.
type Date struct {
	year  int
	month time.Month
	day   int
}

// UnmarshalText reads a date such as 2026-12-24.
func (d *Date) UnmarshalText(text []byte) error {
	read, err := time.Parse(time.DateOnly, string(text))
	if err != nil {
		return task.Hint(fmt.Errorf("%q is not a date", text), "write year, month and day, such as 2026-12-24")
	}
	*d = dateOf(read)
	return nil
}

func dateOf(t time.Time) (d Date) {
	d.year, d.month, d.day = t.Date()
	return d
}

func (d Date) yesterday() Date {
	return dateOf(time.Date(d.year, d.month, d.day-1, 0, 0, 0, 0, time.UTC))
}

// validate holds that the hours are some, on days that there are.
func (h Hours) validate() error {
	if h.Days != nil && len(h.Days) == 0 {
		return task.Hint(errors.New("days is empty"), "name at least one day, or leave the key out for every day")
	}
	for _, day := range h.Days {
		if !slices.Contains(day.Words(), string(day)) {
			return task.Hint(fmt.Errorf("%q is not a day", day), "the days are "+strings.Join(day.Words(), ", "))
		}
	}
	if h.From < 0 || h.From >= endOfDay || h.To < 0 || h.To > endOfDay {
		return fmt.Errorf("from %s to %s is not within a day", h.From, h.To)
	}
	if h.From == h.To {
		return task.Hint(fmt.Errorf("it ends when it begins, at %s", h.From), "for a whole day write from 00:00 to 24:00")
	}
	return nil
}

// on tells whether the window begins on that day of the week.
func (h Hours) on(day time.Weekday) bool {
	return h.Days == nil || slices.Contains(h.Days, Weekday(strings.ToLower(day.String())))
}

// evening tells whether the window is open at that time of the day on which it
// began.
func (h Hours) evening(at Clock) bool { return at >= h.From && (at < h.To || h.To < h.From) }

// morning tells whether the window is open at that time of the day after.
func (h Hours) morning(at Clock) bool { return at < h.To && h.To < h.From }
