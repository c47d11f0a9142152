package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/medlogistics/phasegate/ci"
	"github.com/medlogistics/phasegate/runner/task"
)

// previewText writes a preview for a person at a terminal.
func (a *app) previewText(shown *preview) error {
	w := a.Out
	fmt.Fprintf(w, "%s  %s\nfile     %s\ndigest   %s\n", shown.Plan, shown.Summary, shown.File, shown.Digest)
	if len(shown.Files) > 0 {
		fmt.Fprintf(w, "covers   %s\n", strings.Join(append([]string{shown.File}, shown.Files...), "\n         "))
	}
	if missing := shown.missing(); len(missing) > 0 {
		fmt.Fprintf(w, "not set  %s: what depends on them is unknown\n", strings.Join(missing, ", "))
	}
	if shown.DiskBytes > 0 {
		fmt.Fprintf(w, "disk     %s are needed\n", task.Bytes(shown.DiskBytes))
	}
	if shown.Unread != "" {
		fmt.Fprintf(w, "journal  nothing is known of earlier runs: %s\n", shown.Unread)
	}
	for _, phase := range shown.Phases {
		fmt.Fprintf(w, "\n%s  %s\n", phase.Name, phase.Summary)
		for _, note := range phase.notes() {
			fmt.Fprintf(w, "  %s\n", note)
		}
		stepsText(w, "gates", phase.Gates)
		stepsText(w, "steps", phase.Steps)
		stepsText(w, "rollback", phase.Rollback)
	}
	fmt.Fprintln(w, "\nWhat a rollback would do")
	for _, r := range shown.Rollbacks {
		fmt.Fprintf(w, "  after %s has begun: %s\n", r.After, r.sentence())
		for _, line := range r.rest() {
			fmt.Fprintf(w, "    %s\n", line)
		}
	}
	if len(shown.Contacts) > 0 {
		fmt.Fprintln(w, "\nWhom to call")
		for _, c := range shown.Contacts {
			fmt.Fprintf(w, "  %s: %s\n", c.Role, c.Reach)
		}
	}
	return nil
}

func stepsText(w io.Writer, title string, steps []stepPreview) {
	if len(steps) == 0 {
		return
	}
	fmt.Fprintf(w, "  %s\n", title)
	for _, step := range steps {
		fmt.Fprintf(w, "    %-26s %s\n", step.ID, step.about())
		for _, line := range step.lines() {
			fmt.Fprintf(w, "      %s\n", line)
		}
	}
}

// missing names the variables that have no value here.
func (shown *preview) missing() []string {
	var missing []string
	for _, v := range shown.Variables {
		if !v.Set {
			missing = append(missing, v.Name)
		}
	}
	return missing
}

// notes are what holds for the whole phase.
func (p phasePreview) notes() []string {
	var notes []string
	if p.BudgetMS > 0 {
		notes = append(notes, "users may be without the service for "+milliseconds(p.BudgetMS)+" at most")
	}
	if expected := p.downtime(); expected != "" {
		notes = append(notes, expected)
	}
	switch {
	case p.Irreversible != "":
		notes = append(notes, "not taken back: "+p.Irreversible)
	case p.OnFailure == "rollback":
		notes = append(notes, "a failure takes everything back at once")
	case len(p.Rollback) > 0:
		notes = append(notes, "a failure stops the run, and leaves it resumable")
	}
	return notes
}

func (s stepPreview) about() string {
	about := s.Task
	if s.Summary != "" {
		about += ": " + ci.Visible(s.Summary)
	}
	if s.DurationMS > 0 {
		about += " (about " + milliseconds(s.DurationMS) + ")"
	}
	return about
}

// lines are what the step would do.
func (s stepPreview) lines() []string {
	var lines []string
	for _, does := range s.Does {
		lines = append(lines, strings.Split(strings.TrimRight(does, "\n"), "\n")...)
	}
	if s.DiskBytes > 0 {
		lines = append(lines, "needs "+task.Bytes(s.DiskBytes).String()+" of disk")
	}
	if s.Loses != "" {
		lines = append(lines, "loses "+s.Loses)
	}
	if s.Unknown != "" {
		lines = append(lines, "unknown: "+s.Unknown)
	}
	for i, line := range lines {
		lines[i] = ci.Visible(line)
	}
	return lines
}

func (r rollbackSketch) sentence() string {
	if len(r.Hooks) == 0 {
		return "there is nothing to take back"
	}
	return strings.Join(r.Hooks, ", then ")
}

// rest is what stays, what is lost, and how long it takes.
func (r rollbackSketch) rest() []string {
	rest := append(prefixed("stays: ", r.Stays), prefixed("lost: ", r.Loses)...)
	if lasted := r.lasted(); lasted != "" {
		rest = append(rest, lasted)
	}
	return rest
}

func prefixed(prefix string, lines []string) []string {
	var all []string
	for _, line := range lines {
		all = append(all, prefix+line)
	}
	return all
}
