package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/go-multierror"
	"gopkg.in/yaml.v3"

	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/task"
)

// maxFindings is the number of findings that are kept for one file.
const maxFindings = 1000

// A finding is a diagnostic in the making: its line and width are filled in at
// the end.
type finding struct {
	Diagnostic
	node   *yaml.Node // whose token gives the width, if Width is 0
	masked *yaml.Node // whose token must not be shown
}

// report collects the findings about one file.
type report struct {
	src     *source
	list    []*finding
	dropped int
	guesses int          // what suggestions have cost so far
	via     []*yaml.Node // the aliases that led to the node at hand, outermost first

	// hidden is what a mistake may keep from view, so that what refers to it is
	// not reported as well.
	hidden struct{ steps, env bool }

	ignores []*ignore // the comments that silence warnings

	mentioned map[string]bool // the variables that any reference names
}

// add reports an error at p. The finding may be completed until the report is
// closed.
func (r *report) add(p Position, rule, format string, args ...any) *finding {
	f := &finding{Diagnostic: Diagnostic{
		File: r.src.path, Pos: p, Severity: Error, Rule: rule, Message: fmt.Sprintf(format, args...),
	}}
	for _, alias := range r.via {
		f.relate(positionOf(alias), "used here, through an alias")
	}
	if len(r.list) >= maxFindings {
		r.dropped++
		return f
	}
	r.list = append(r.list, f)
	return f
}

// at reports an error at the token at which n starts.
func (r *report) at(n *yaml.Node, rule, format string, args ...any) *finding {
	f := r.add(positionOf(n), rule, format, args...)
	f.node = n
	return f
}

// warn makes the finding a warning.
func (f *finding) warn() *finding {
	f.Severity = Warning
	return f
}

func (f *finding) hint(format string, args ...any) *finding {
	f.Hint = fmt.Sprintf(format, args...)
	return f
}

func (f *finding) relate(p Position, message string) *finding {
	f.Related = append(f.Related, Related{Pos: p, Message: message})
	return f
}

func (r *report) hasErrors() bool {
	return slices.ContainsFunc(r.list, func(f *finding) bool { return f.Severity == Error })
}

// hide notes that what stands under key cannot be read.
func (r *report) hide(key *yaml.Node) {
	if key == nil {
		return
	}
	switch key.Value {
	case "phases", "gates", "steps", "rollback":
		r.hidden.steps = true
	case "env":
		r.hidden.env = true
	}
}

// err returns the errors as one, or nil. It is for what goes wrong after the
// plan was found to be right.
func (r *report) err() error {
	var all *multierror.Error
	for _, d := range r.close().Errors() {
		all = multierror.Append(all, task.Hint(fmt.Errorf("%s:%d:%d: %s", d.File, d.Pos.Line, d.Pos.Column, d.Message), d.Hint))
	}
	if all == nil {
		return nil
	}
	if len(all.Errors) == 1 {
		return all.Errors[0]
	}
	all.ErrorFormat = lines
	return all
}

// lines writes errors one a line.
func lines(errs []error) string {
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "\n")
}

// close returns the findings, sorted, each once, with their lines.
func (r *report) close() Diagnostics {
	r.silence()
	slices.SortStableFunc(r.list, func(a, b *finding) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column), cmp.Compare(a.Rule, b.Rule))
	})
	var ds Diagnostics
	for i, f := range r.list {
		if i > 0 && r.list[i-1].Pos == f.Pos && r.list[i-1].Rule == f.Rule && r.list[i-1].Message == f.Message {
			continue
		}
		if f.Width == 0 && f.node != nil {
			f.Width = r.src.width(f.node)
		}
		f.Width = max(1, f.Width)
		f.Line = r.src.shown(f.Pos.Line)
		r.mask(f)
		ds = append(ds, f.Diagnostic)
	}
	if r.dropped > 0 {
		ds = append(ds, Diagnostic{
			File: r.src.path, Pos: ds[len(ds)-1].Pos, Width: 1, Severity: Note, Rule: "too-many",
			Message: fmt.Sprintf("%d further findings are not shown", r.dropped),
		})
	}
	return ds
}

// mask takes every secret that any finding knows of out of the finding's line.
// Where one stands left of the finding's own token the line is not shown: its
// caret would point at the wrong place.
func (r *report) mask(f *finding) {
	var tokens []*yaml.Node
	for _, other := range r.list {
		if other.masked != nil && other.masked.Line == f.Pos.Line && !slices.Contains(tokens, other.masked) {
			tokens = append(tokens, other.masked)
		}
	}
	slices.SortFunc(tokens, func(a, b *yaml.Node) int { return cmp.Compare(b.Column, a.Column) })
	for _, token := range tokens {
		if token.Column < f.Pos.Column {
			f.Line = ""
			return
		}
		line := []rune(f.Line)
		start := min(token.Column-1, len(line))
		end := min(start+r.src.width(token), len(line))
		f.Line = string(line[:start]) + redact.Mask + string(line[end:])
		if f.node == token {
			f.shown = len(redact.Mask)
		}
	}
}

// quote returns a text of the plan in quotes, cut to a length that a line can
// hold.
func quote(s string) string { return strconv.Quote(cut(s)) }

// cut shortens a text of the plan to a length that a line can hold.
func cut(s string) string {
	const most = 60
	if len(s) <= most || utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s[:min(len(s), most*utf8.UTFMax)])[:most]) + "..."
}
