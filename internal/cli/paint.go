package cli

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/task"
)

// The few styles in use, as terminals number them.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

// paint styles a text where a terminal shows it.
func (v *view) paint(style, text string) string {
	if !v.app.Live || v.app.NoColor != "" || text == "" {
		return text
	}
	return styled(style, text)
}

// styled styles a text for a terminal.
func styled(style, text string) string { return "\x1b[" + style + "m" + text + "\x1b[0m" }

// mark is the sign of a status, a word that can be searched for in a log.
func (v *view) mark(status journal.Status) string {
	switch status {
	case journal.Done:
		return v.paint(green, "ok   ")
	case journal.Skipped:
		return v.paint(dim, "skip ")
	case journal.Failed:
		return v.paint(red, "FAIL ")
	case journal.Waiting:
		return v.paint(yellow, "wait ")
	}
	return v.paint(yellow, "stop ")
}

// bar is a progress bar of twenty columns.
func bar(done, total int64) string {
	const columns = 20
	filled := int(min(done, total) * columns / total)
	return "[" + strings.Repeat("=", filled) + strings.Repeat(" ", columns-filled) + "]"
}

func count(n int64, unit string) string {
	if unit == "bytes" {
		return task.Bytes(n).String()
	}
	return fmt.Sprint(n)
}

func unitName(unit string) string {
	if unit == "bytes" {
		return ""
	}
	return unit
}

// milliseconds rounds a duration to what a person wants to know.
func milliseconds(ms int64) string { return span(time.Duration(ms) * time.Millisecond) }

// span writes how long something took. A clock that was put back makes that less
// than nothing, of which no more can be said than that nobody knows.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "an unknown time"
	case d >= time.Minute:
		d = d.Round(time.Second)
	case d >= time.Second:
		d = d.Round(100 * time.Millisecond)
	default:
		d = d.Round(time.Millisecond)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// cut shortens a line to the terminal's width, so that it does not wrap and
// can be drawn over. Styles count as nothing.
func cut(line string, width int) string {
	if width <= 0 {
		return line
	}
	columns, styled := 0, false
	for i, r := range line {
		switch {
		case r == '\x1b':
			styled = true
		case styled:
			styled = r != 'm'
		default:
			columns++
		}
		if columns > width-1 && !styled {
			return line[:i+utf8.RuneLen(r)] + "\x1b[0m"
		}
	}
	return line
}
