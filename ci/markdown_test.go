package ci

import (
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/runner/journal"
)

func TestATextOfThePlanIsNoMarkup(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"move users":                 "move users",
		"a|b\r\nc":                   `a\|b  c`,
		"<img src=x> & &lt;":         `&lt;img src=x&gt; &amp; &amp;lt;`,
		"# x\n```\n~~gone~~":         "\\# x \\`\\`\\` \\~\\~gone\\~\\~",
		"[x](y) *b* _i_ $f$ `c` \\":  "\\[x](y) \\*b\\* \\_i\\_ \\$f\\$ \\`c\\` \\\\",
		"ask @dba":                   "ask @<!-- -->dba",
		"rm \u202etxt.exe\u200b\x1b": "rm \ufffdtxt.exe\ufffd\ufffd",
	} {
		if got := Markdown(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"plan.yaml": "`plan.yaml`", "a`b": "`` a`b ``", "a``b|c\n": "``` a``b|c  ```", "\u202ex": "`\ufffdx`",
	} {
		if got := MarkdownCode(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// Whatever a plan and its steps say, the page keeps its form: each row of the table
// is one line of six cells, and the chart's block ends where it ends.
func TestNamesAndReasonsCannotChangeThePage(t *testing.T) {
	t.Parallel()
	odd := "x|y\n## fake: done\n```\n<script>:;#%%{init}%%::error::z"
	job, _ := jobIn(t)
	page := job.page([]journal.Event{
		{Type: journal.Opened, Run: "20261126-080000-000-abcd", Plan: odd, File: odd, Digest: strings.Repeat("ab", 32), Phases: []string{odd}},
		{Type: journal.PhaseStarted, Phase: odd},
		{Type: journal.StepStarted, Phase: odd, Step: odd, Task: odd},
		{Type: journal.StepFinished, Phase: odd, Step: odd, Status: journal.Failed, Reason: odd, Hint: odd},
		{Type: journal.PhaseFinished, Phase: odd, Status: journal.Failed, Reason: odd, Hint: odd},
		{Type: journal.Closed, Status: journal.Failed, Reason: odd, Hint: odd},
	})
	fences, headings, rows := 0, 0, 0
	for line := range strings.Lines(page) {
		switch {
		case strings.HasPrefix(line, "```"):
			fences++
		case strings.HasPrefix(line, "#"):
			headings++
		case strings.HasPrefix(line, "|"):
			if cells := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|"); cells != 7 {
				t.Errorf("%d borders in %q", cells, line)
			}
			rows++
		}
	}
	_, chart, _ := strings.Cut(page, "section")
	chart, _, _ = strings.Cut(chart, "```")
	if fences != 2 || headings != 1 || rows != 3 || strings.ContainsAny(chart, "<>#;%`") {
		t.Errorf("%d fences, %d headings, %d rows:\n%s", fences, headings, rows, page)
	}
}
