package plan

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Severity is how bad a finding is.
type Severity string

// The severities. Only an error keeps a plan from being used.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

// A Position is a place in the plan's file.
type Position struct {
	Line   int // from 1
	Column int // from 1, in characters (Unicode code points)
}

// Related is a second place that a finding is about.
type Related struct {
	Pos     Position
	Message string // such as "first used here"
}

// A Diagnostic is one finding about a plan's file.
type Diagnostic struct {
	File     string
	Pos      Position
	Width    int // of the token that is wrong, in characters of the file
	Severity Severity
	Rule     string // one of [Rules]
	Message  string // a clause without a final period
	Hint     string // what to do, or empty
	Line     string // the line of the source; empty if it is longer than 2,000 bytes
	Related  []Related

	// shown is the width of what Line shows in the token's place if that is a
	// secret, else 0.
	shown int
}

// String returns the finding on one line: file:line:col: error: message [rule].
func (d Diagnostic) String() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s [%s]", d.File, d.Pos.Line, d.Pos.Column, d.Severity, d.Message, d.Rule)
}

// Render returns the finding as a person reads it: the line of [Diagnostic.String],
// the line of the source with a caret under the token, the hint, and the second
// places. It ends in a newline.
func (d Diagnostic) Render() string {
	return d.Painted(func(_ Part, text string) string { return text })
}

// A Part is a part of a rendered finding, for a terminal's colours.
type Part int

// The parts.
const (
	Place  Part = iota // file:line:col:
	Label              // the severity
	Margin             // what frames the excerpt
	Caret              // what is under the token
)

// Painted is [Diagnostic.Render] with each part as paint returns it.
func (d Diagnostic) Painted(paint func(part Part, text string) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s [%s]\n", paint(Place, fmt.Sprintf("%s:%d:%d:", d.File, d.Pos.Line, d.Pos.Column)),
		paint(Label, string(d.Severity)+":"), d.Message, d.Rule)
	number := strconv.Itoa(d.Pos.Line)
	margin := strings.Repeat(" ", len(number))
	if d.Line != "" {
		line, indent, width := d.excerpt()
		fmt.Fprintf(&b, "%s\n%s %s\n%s %s%s\n", paint(Margin, margin+" |"), paint(Margin, number+" |"), line,
			paint(Margin, margin+" |"), strings.Repeat(" ", indent), paint(Caret, strings.Repeat("^", width)))
	}
	for _, r := range d.Related {
		fmt.Fprintf(&b, "%s %s:%d:%d: %s\n", paint(Margin, margin+" ="), d.File, r.Pos.Line, r.Pos.Column, r.Message)
	}
	if d.Hint != "" {
		fmt.Fprintf(&b, "%s hint: %s\n", paint(Margin, margin+" ="), d.Hint)
	}
	return b.String()
}

// tabWidth is the width at which a tab is shown.
const tabWidth = 4

// excerpt returns the line with its tabs expanded and without characters that
// would move the cursor, and where the caret stands under it.
func (d Diagnostic) excerpt() (line string, indent, width int) {
	var b strings.Builder
	column, token := 1, cmp.Or(d.shown, d.Width)
	for _, r := range d.Line {
		shown := string(r)
		switch {
		case r == '\t':
			shown = strings.Repeat(" ", tabWidth)
		case r == utf8.RuneError || !unicode.IsPrint(r):
			shown = "\uFFFD"
		}
		cells := utf8.RuneCountInString(shown)
		if column < d.Pos.Column {
			indent += cells
		} else if column < d.Pos.Column+token {
			width += cells
		}
		b.WriteString(shown)
		column++
	}
	return crop(strings.TrimRight(b.String(), " "), indent, max(1, width))
}

// crop cuts a long line to the part around the caret.
func crop(line string, indent, width int) (string, int, int) {
	const most, before = 160, 60
	cells := []rune(line)
	if len(cells) <= most {
		return line, indent, width
	}
	start := max(0, min(indent-before, len(cells)-most))
	end := min(start+most, len(cells))
	return string(cells[start:end]), indent - start, max(1, min(width, end-indent))
}

// Diagnostics are the findings about one plan, sorted by their position.
type Diagnostics []Diagnostic

// Errors returns the findings that keep the plan from being used.
func (ds Diagnostics) Errors() Diagnostics {
	var errors Diagnostics
	for _, d := range ds {
		if d.Severity == Error {
			errors = append(errors, d)
		}
	}
	return errors
}

// HasErrors tells whether any finding keeps the plan from being used.
func (ds Diagnostics) HasErrors() bool {
	for _, d := range ds {
		if d.Severity == Error {
			return true
		}
	}
	return false
}

// WriteTo writes the findings as [Diagnostic.Render] gives them, with an empty
// line between two.
func (ds Diagnostics) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for i, d := range ds {
		text := d.Render()
		if i > 0 {
			text = "\n" + text
		}
		n, err := io.WriteString(w, text)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
