package cli

import (
	"fmt"
	"strings"

	"github.com/medlogistics/phasegate/ci"
	"github.com/medlogistics/phasegate/runner/task"
)

// previewMarkdown writes a preview as Markdown.
func (a *app) previewMarkdown(shown *preview) error {
	if _, err := a.Out.Write([]byte(shown.markdown())); err != nil {
		return fail(ExitFailed, fmt.Errorf("print the preview: %w", err))
	}
	return nil
}

// markdown is a preview for a page that reviewers read, such as the summary of a
// workflow's run.
func (shown *preview) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n%s\n\n", ci.Markdown(shown.Plan), ci.Markdown(shown.Summary))
	fmt.Fprintf(&b, "An approval covers digest `%s` (`%.12s`): %s", shown.Digest, shown.Digest, ci.MarkdownCode(shown.File))
	for _, file := range shown.Files {
		fmt.Fprintf(&b, ", %s", ci.MarkdownCode(file))
	}
	fmt.Fprintln(&b, ".")
	if shown.asked != "" {
		fmt.Fprintf(&b, "\n%s", shown.asked)
	}
	if missing := shown.missing(); len(missing) > 0 {
		fmt.Fprintf(&b, "\n> Not set here: %s. What depends on them is unknown.\n", strings.Join(missing, ", "))
	}
	if shown.DiskBytes > 0 {
		fmt.Fprintf(&b, "\nDisk needed: %s.\n", task.Bytes(shown.DiskBytes))
	}
	if shown.Unread != "" {
		fmt.Fprintf(&b, "\nNothing is known of earlier runs: %s.\n", ci.Markdown(shown.Unread))
	}
	for _, phase := range shown.Phases {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n", ci.Markdown(phase.Name), ci.Markdown(phase.Summary))
		for _, note := range phase.notes() {
			fmt.Fprintf(&b, "\n*%s*\n", ci.Markdown(note))
		}
		stepsMarkdown(&b, "Gates", phase.Gates)
		stepsMarkdown(&b, "Steps", phase.Steps)
		stepsMarkdown(&b, "Rollback", phase.Rollback)
	}
	fmt.Fprint(&b, "\n### What a rollback would do\n\n| once this has begun | it does | what stays or is lost, and how long it takes |\n|---|---|---|\n")
	for _, r := range shown.Rollbacks {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", ci.Markdown(r.After), ci.Markdown(r.sentence()), ci.Markdown(strings.Join(r.rest(), "; ")))
	}
	if len(shown.Contacts) > 0 {
		fmt.Fprint(&b, "\n### Whom to call\n\n")
		for _, c := range shown.Contacts {
			fmt.Fprintf(&b, "- %s: %s\n", ci.Markdown(c.Role), ci.Markdown(c.Reach))
		}
	}
	return b.String()
}

func stepsMarkdown(b *strings.Builder, title string, steps []stepPreview) {
	if len(steps) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n\n", title)
	for _, step := range steps {
		fmt.Fprintf(b, "- **%s** %s\n", ci.Markdown(step.ID), ci.Markdown(step.about()))
		if lines := step.lines(); len(lines) > 0 {
			fmt.Fprintf(b, "\n  ```text\n  %s\n  ```\n", strings.ReplaceAll(strings.Join(lines, "\n  "), "```", "` ` `"))
		}
	}
}
