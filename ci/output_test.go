package ci

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/medlogistics/phasegate/ci/citest"
	"github.com/medlogistics/phasegate/internal/redact"
	"github.com/medlogistics/phasegate/runner/journal"
	"github.com/medlogistics/phasegate/runner/task"
)

// jobIn is a job whose files are in a directory of the test's.
func jobIn(t testing.TB) (*Job, *bytes.Buffer) {
	dir := t.TempDir()
	var log bytes.Buffer
	return &Job{
		Repository: "hospital/cutover", RunID: "777", Attempt: 1, Server: "https://github.com", Token: redact.NewSecret("t0ken"),
		log: &log, output: filepath.Join(dir, "output"), summary: filepath.Join(dir, "page"),
	}, &log
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Whatever a value holds, the runner reads it back, and no other output.
func FuzzOutputs(f *testing.F) {
	for _, seed := range []string{
		"", "done", "a\nb", "a\nb\n", "\n", "x=y", "a<<b", "a<<b\nc\nb\nevil=1", "ghadelimiter_", "\r\n", "::set-output name=a::b", "é\u2028", "EOF\nEOF",
	} {
		f.Add("status", seed)
	}
	f.Add("a=b", "x")
	f.Add("a<<b", "x")
	f.Fuzz(func(t *testing.T, name, value string) {
		job, _ := jobIn(t)
		if err := job.Output("before", "1"); err != nil {
			t.Fatal(err)
		}
		err := job.Output(name, value)
		if err != nil && !strings.ContainsAny(name, "=<\r\n") && name != "" && len(value) < mostOutput/4 {
			t.Fatalf("output %q of %d bytes is refused: %v", name, len(value), err)
		}
		if err := job.Output("after", "2"); err != nil {
			t.Fatal(err)
		}
		outputs, parsed := citest.Outputs(read(t, job.output))
		if parsed != nil {
			t.Fatalf("the runner reads %q as wrong: %v", read(t, job.output), parsed)
		}
		want := map[string]string{"before": "1", "after": "2"}
		if _, ours := want[name]; err == nil && !ours {
			want[name] = value
		}
		if len(outputs) != len(want) {
			t.Fatalf("the runner reads %q, want %q", outputs, want)
		}
		for name, value := range want {
			if outputs[name] != value && name != "before" && name != "after" {
				t.Fatalf("the runner reads %q, want %q", outputs, want)
			}
		}
	})
}

// A delimiter that somebody could foresee would end a value where he likes.
func TestNoTwoOutputsHaveTheSameDelimiter(t *testing.T) {
	t.Parallel()
	job, _ := jobIn(t)
	seen := map[string]bool{}
	for range 100 {
		if err := job.Output("a", "b"); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(read(t, job.output)) {
		if _, delimiter, ok := strings.Cut(strings.TrimSpace(line), "<<"); ok {
			seen[delimiter] = len(delimiter) >= 32
		}
	}
	for delimiter, long := range seen {
		if !long {
			t.Errorf("delimiter %q is short", delimiter)
		}
	}
	if len(seen) != 100 {
		t.Errorf("100 outputs have %d delimiters", len(seen))
	}
}

func TestTheRunnersGrammar(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{ // the value of a, or the error
		"a=b":              "b",
		"a=b=c\n":          "b=c",
		"a=x<<y\n":         "x<<y",
		"a<<E\nb\nc\nE\n":  "b\nc",
		"a<<E\n\nE\n":      "",
		"a<<E\nb\nE":       "b",
		"\n\na=1\na=2\n":   "2",
		"a<<E\nb\nE \nE\n": "b\nE ",
		"a":                "invalid format",
		"=b":               "name must not be empty",
		"a<<\nb":           "must not be empty",
		"<<E\nb\nE":        "must not be empty",
		"a<<E\nb":          "missing new line",
		"a<<E\nb\n":        "delimiter not found",
		"a<<E\r\nb\nE\n":   "delimiter not found",
	} {
		outputs, err := citest.Outputs(file)
		if err != nil && !strings.Contains(err.Error(), want) || err == nil && outputs["a"] != want {
			t.Errorf("%q: %q, error %v, want %q", file, outputs, err, want)
		}
	}
}

// A job's outputs are dropped whole where they hold anything masked, in any of the
// runner's encodings. Ours never do, and are far below every limit.
func TestTheOutputsOfARunReachTheNextJob(t *testing.T) {
	t.Parallel()
	secret := "s3cret/canary+\"value\""
	job, log := jobIn(t)
	job.Mask(secret)
	if !strings.Contains(log.String(), "::add-mask::"+secret) {
		t.Errorf("log %q", log)
	}
	long := make([]string, 5000)
	events := []journal.Event{{Type: journal.Opened, Run: "20261126-080000-000-abcd", Plan: "move", Digest: strings.Repeat("ab", 32), Phases: long}}
	for i := range long {
		events = append(events,
			journal.Event{Type: journal.StepStarted, Phase: "p", Step: "s" + strings.Repeat("x", i%40), Task: "t"},
			journal.Event{Type: journal.StepFinished, Phase: "p", Step: "s" + strings.Repeat("x", i%40), Status: journal.Failed, Reason: secret + citest.Encodings(secret)[8]})
	}
	observer := job.Observe(func(string) (string, int, int) { return "plan.yaml", 1, 1 })
	for _, e := range events {
		observer.Event(e)
	}
	if err := observer.Close(events); err != nil {
		t.Fatal(err)
	}
	outputs, err := citest.Outputs(read(t, job.output))
	if err != nil {
		t.Fatal(err)
	}
	kept, err := citest.Kept(outputs, secret)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range outputs {
		if value != "" && kept[name] != value {
			t.Errorf("output %s is dropped: %q", name, value)
		}
	}
	if kept["digest"] == "" || kept["run"] == "" || kept["steps-failed"] == "" {
		t.Errorf("kept %v", kept)
	}
	if _, err := citest.Kept(map[string]string{"a": "x " + citest.Encodings(secret)[8]}, secret); err != nil {
		t.Error(err)
	} else if kept, _ := citest.Kept(map[string]string{"a": citest.Encodings(secret)[8]}, secret); len(kept) > 0 {
		t.Error("the test does not see a masked output")
	}
	if n := strings.Count(log.String(), "\n::error "); n > mostAnnotations-1 {
		t.Errorf("%d errors are annotated", n)
	}
	if !strings.Contains(log.String(), "4991 more are in the log") {
		t.Errorf("the log does not say how many were left out")
	}
}

// GitHub drops an output that holds a secret without a word. Ours are said to be
// dropped, and the others are written all the same.
func TestAnOutputThatHoldsASecretIsRefusedAloud(t *testing.T) {
	t.Parallel()
	job, log := jobIn(t)
	job.Mask("7")
	job.Mask("two\nlines\n")
	if strings.Contains(log.String(), "add-mask::7") || !strings.Contains(log.String(), "add-mask::lines") {
		t.Errorf("log %q", log)
	}
	observer := job.Observe(nil)
	err := observer.Close([]journal.Event{{Type: journal.Opened, Run: "run-7", Plan: "move", Digest: "abc"}})
	if dropped, ok := errors.AsType[*SecretOutputError](err); !ok || dropped.Name != "run" || dropped.Length != 1 || task.HintOf(err) == "" {
		t.Errorf("error %v", err)
	}
	outputs, err := citest.Outputs(read(t, job.output))
	if _, written := outputs["run"]; err != nil || written || outputs["digest"] != "abc" || !strings.Contains(read(t, job.summary), "## move") {
		t.Errorf("outputs %v, error %v", outputs, err)
	}
	if err := job.Output("x", "of lines"); err == nil {
		t.Error("a line of a secret is written")
	}
}

func TestAPageNeverOutgrowsItsLimitAndStaysWhole(t *testing.T) {
	t.Parallel()
	job, _ := jobIn(t)
	for range 3 {
		if err := job.Summarize("# page\n```mermaid\n"+strings.Repeat("é: a line\n", 60_000)+"```\n", "in the journal"); err != nil {
			t.Fatal(err)
		}
	}
	page := read(t, job.summary)
	if len(page) > citest.MostSummary || len(page) < mostSummary/2 {
		t.Errorf("the page has %d bytes", len(page))
	}
	if strings.Count(page, "```")%2 != 0 || strings.Count(page, "does not fit") != 1 {
		t.Errorf("%d fences, cut %d times", strings.Count(page, "```"), strings.Count(page, "does not fit"))
	}
	if err := job.Output("big", strings.Repeat("x", 600<<10)); err == nil {
		t.Error("an output of 600 KiB is written")
	}
}

func TestMessagesAreCutAndCarryNoCommands(t *testing.T) {
	t.Parallel()
	job, log := jobIn(t)
	job.Fail("100%\r\n::add-mask::x ##[group]y" + strings.Repeat("é", 4096))
	line, rest, _ := strings.Cut(log.String(), "\n")
	if rest != "" || !strings.HasPrefix(line, "::error title=phasegate::100%25%0D%0A::add-mask::x # #[group]y") {
		t.Errorf("line %.100q, then %q", line, rest)
	}
	if len(line) > mostMessage+100 || !strings.HasSuffix(line, "…") {
		t.Errorf("the message has %d bytes", len(line))
	}
}
