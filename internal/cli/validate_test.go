package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/medlogistics/phasegate/runner/plan"
)

// badPlans are the cases of the plan package: every kind of finding is among them.
func badPlans(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../runner/plan/testdata/bad/*.yaml")
	if err != nil || len(files) < 120 {
		t.Fatalf("%d bad plans, %v", len(files), err)
	}
	return append(files, "../../plans/auth0-migration.yaml")
}

// validated calls validate and returns its standard output.
func validate(t *testing.T, around Surroundings, args ...string) (string, int) {
	t.Helper()
	var out, errs bytes.Buffer
	around.Out, around.Err = &out, &errs
	if around.Lookup == nil {
		around.Lookup = nothing{}
	}
	code := Main(append([]string{"validate"}, args...), around)
	if errs.Len() > 0 {
		t.Errorf("on the standard error: %s", errs.String())
	}
	return out.String(), code
}

// nothing is an empty environment.
type nothing struct{}

func (nothing) Lookup(string) (string, bool) { return "", false }

// conforms holds output against a JSON schema of this module.
func conforms(t *testing.T, schema, output string) {
	t.Helper()
	compiled, err := jsonschema.NewCompiler().Compile(schema)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(output))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled.Validate(document); err != nil {
		t.Errorf("against %s: %v", schema, err)
	}
}

func TestFindingsAsJSONAreAsTheirSchemaSays(t *testing.T) {
	t.Parallel()
	out, code := validate(t, Surroundings{}, append([]string{"--format", "json"}, badPlans(t)...)...)
	if code != ExitInvalid {
		t.Errorf("code %d", code)
	}
	conforms(t, "../../docs/diagnostics.schema.json", out)
	good, code := validate(t, Surroundings{}, "--format", "json", "../../plans/auth0-migration.yaml")
	if code != ExitDone {
		t.Errorf("code %d", code)
	}
	conforms(t, "../../docs/diagnostics.schema.json", good)
}

func TestFindingsAsSARIFPassTheOfficialSchema(t *testing.T) {
	t.Parallel()
	const official = "testdata/sarif-schema-2.1.0.json" // as OASIS publishes it
	out, code := validate(t, Surroundings{}, append([]string{"--format", "sarif"}, badPlans(t)...)...)
	if code != ExitInvalid {
		t.Errorf("code %d", code)
	}
	conforms(t, official, out)
	var log sarifLog
	if err := json.Unmarshal([]byte(out), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if len(run.Results) < 200 {
		t.Errorf("%d results", len(run.Results))
	}
	for _, result := range run.Results {
		if rule := run.Tool.Driver.Rules[result.Index]; rule.ID != result.Rule || rule.Help.Markdown == "" {
			t.Errorf("rule %s is %q at its index, with the page %q", result.Rule, rule.ID, rule.Help.Markdown)
		}
		if uri := result.Locations[0].Physical.Artifact.URI; strings.HasPrefix(uri, "/") || strings.Contains(uri, `\`) {
			t.Errorf("the URI %s is not relative", uri)
		}
	}
	good, _ := validate(t, Surroundings{}, "--format", "sarif", "../../plans/auth0-migration.yaml")
	conforms(t, official, good)
}

// workflowCommand is one as actions/runner reads it, ActionCommand.cs.
var workflowCommand = regexp.MustCompile(`^::(error|warning|notice) ([^:]*)::(.*)$`)

func TestAnnotationsAreEscapedAndWithinGitHubsLimits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "100%, a:b.yaml")
	var b strings.Builder
	b.WriteString("version: 1\nname: x\nenv:\n")
	for i := range 12 {
		fmt.Fprintf(&b, "  V%d: { default: x }\n", i)
	}
	b.WriteString("phases:\n  - name: one\n    steps:\n")
	for i := range 15 {
		fmt.Fprintf(&b, "      - { id: s%d, task: \"100%%\\nx\" }\n", i)
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := validate(t, Surroundings{}, "--format", "github", file)
	if code != ExitInvalid {
		t.Errorf("code %d", code)
	}
	count := map[string]int{}
	for line := range strings.Lines(out) {
		match := workflowCommand.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if match == nil {
			continue
		}
		count[match[1]]++
		if strings.Contains(match[2], "file=") && !strings.Contains(match[2], "file="+strings.NewReplacer("%", "%25", ",", "%2C", ":", "%3A").Replace(file)+",line=") {
			t.Errorf("the file in %s", line)
		}
		if strings.Contains(strings.NewReplacer("%25", "", "%0A", "").Replace(match[3]), "%") {
			t.Errorf("not escaped: %s", line)
		}
	}
	if count["error"] != 10 || count["warning"] != 10 {
		t.Errorf("got %v annotations of\n%s", count, out)
	}
	for _, want := range []string{"::error title=phasegate::and 6 more: ", "::warning title=phasegate::and 3 more: "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

func TestALineOfAPlansNameIsNoCommand(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"::add-mask::x: valid":   "./::add-mask::x: valid",
		"a##[add-mask]b: valid":  "a# #[add-mask]b: valid",
		"a\n::error::b: invalid": "a ::error::b: invalid",
	} {
		if got := harmless(line); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

// matcher is a problem matcher file: actions/toolkit, docs/problem-matchers.md.
type matcher struct {
	ProblemMatcher []struct {
		Owner, Severity string
		Pattern         []struct {
			Regexp                                      string
			File, Line, Column, Severity, Message, Code int
		}
	}
}

func TestTheProblemMatcherFindsEveryFindingOfTheText(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../.github/phasegate-matcher.json")
	if err != nil {
		t.Fatal(err)
	}
	var m matcher
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	var wide strings.Builder
	wide.WriteString("version: 1\nname: x\nphases: []\n")
	for i := range 1500 {
		fmt.Fprintf(&wide, "key%d: 1\n", i) // so many that there is a note
	}
	noted := filepath.Join(t.TempDir(), "noted.yaml")
	if err := os.WriteFile(noted, []byte(wide.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, colours := range []bool{false, true} {
		files := append(badPlans(t), noted)
		var want []string
		for _, v := range loadAll(t, files) {
			for _, d := range v.findings {
				want = append(want, d.String())
			}
		}
		out, _ := validate(t, Surroundings{OutLive: colours}, files...)
		got := matched(t, m, out)
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("colours %t: matched %d findings of %d, such as %q", colours, len(got), len(want), first(got, want))
		}
	}
}

func loadAll(t *testing.T, files []string) []validated {
	t.Helper()
	var all []validated
	a := newApp(Surroundings{})
	if err := a.validateAll(files, func(v []validated) error { all = v; return nil }); err == nil {
		t.Fatal("the bad plans have no errors")
	}
	return all
}

// matched returns what the matcher finds, as a diagnostic's first line.
func matched(t *testing.T, m matcher, out string) []string {
	t.Helper()
	var found []string
	for line := range strings.Lines(out) {
		for _, problem := range m.ProblemMatcher {
			p := problem.Pattern[0]
			groups := regexp.MustCompile(p.Regexp).FindStringSubmatch(strings.TrimSuffix(line, "\n"))
			if groups == nil {
				continue
			}
			severity := problem.Severity
			if p.Severity > 0 {
				severity = groups[p.Severity]
			}
			found = append(found, fmt.Sprintf("%s:%s:%s: %s: %s [%s]", groups[p.File], groups[p.Line], groups[p.Column],
				strings.Replace(severity, "notice", string(plan.Note), 1), groups[p.Message], groups[p.Code]))
		}
	}
	return found
}

func first(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return got[i] + " instead of " + want[i]
		}
	}
	return "nothing"
}

func TestColoursAreForTerminalsOnly(t *testing.T) {
	t.Parallel()
	const bad = "../../runner/plan/testdata/bad/12-01-unknown-key.yaml"
	plain, _ := validate(t, Surroundings{}, bad)
	painted, _ := validate(t, Surroundings{OutLive: true}, bad)
	refused, _ := validate(t, Surroundings{OutLive: true, Lookup: mapped{"NO_COLOR": "1"}}, bad)
	if strings.Contains(plain, "\x1b") || !strings.Contains(painted, "\x1b[31m") || refused != plain {
		t.Errorf("plain:\n%s\npainted:\n%s\nrefused:\n%s", plain, painted, refused)
	}
	if stripped := regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(painted, ""); stripped != plain {
		t.Errorf("colours change the text:\n%s", stripped)
	}
}

type mapped map[string]string

func (m mapped) Lookup(key string) (string, bool) { value, ok := m[key]; return value, ok }

func TestEveryRuleIsExplainedOffline(t *testing.T) {
	t.Parallel()
	for _, rule := range plan.Rules() {
		var out, errs bytes.Buffer
		code := Main([]string{"explain", rule.Name}, Surroundings{Out: &out, Err: &errs, Lookup: nothing{}})
		if code != ExitDone || !strings.HasPrefix(out.String(), "## "+rule.Name+"\n") {
			t.Errorf("%s: code %d\n%s%s", rule.Name, code, out.String(), errs.String())
		}
	}
}
