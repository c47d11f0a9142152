package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/medlogistics/phasegate/ci/citest"
)

// A job is a toy in a job of GitHub Actions, with GitHub's API behind it.
type job struct {
	*toy
	asked atomic.Int32 // how often the API was asked for reviews
}

const jobPlan = `version: 1
name: toy
env: { FIRST: {}, SECOND: {}, BACK: {} }
phases:
  - name: change
    on_failure: rollback
    gates:
      - { id: approve, task: gate/approval, with: { environment: prod%s } }
    steps:
      - { id: first, task: service/stop, with: { service: "${{ env.FIRST }}" } }
      - { id: second, task: service/stop, with: { service: "${{ env.SECOND }}" } }
    rollback:
      - { id: back, task: service/stop, with: { service: "${{ env.BACK }}" } }
`

var reviewsPath = regexp.MustCompile(`^/repos/hospital/cutover/actions/runs/\d+/approvals$`)

// newJob is a job that alice started, whose plan's approval has more keys. The
// answers are those of the API, the last of them again and again.
func newJob(t *testing.T, more string, answers ...http.HandlerFunc) *job {
	j := &job{toy: newToy(t, calm, calm, calm)}
	j.write("plan.yaml", fmt.Sprintf(jobPlan, more))
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !reviewsPath.MatchString(r.URL.Path) || r.Header.Get("Authorization") != "Bearer t0ken-of-the-job" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		answers[min(int(j.asked.Add(1)), len(answers))-1](w, r)
	}))
	t.Cleanup(api.Close)
	j.environ = append(j.environ,
		"GITHUB_ACTIONS=true", "GITHUB_REPOSITORY=hospital/cutover", "GITHUB_RUN_ID=777", "GITHUB_RUN_ATTEMPT=1",
		"GITHUB_ACTOR=alice", "GITHUB_TRIGGERING_ACTOR=alice", "GITHUB_TOKEN=t0ken-of-the-job", "GITHUB_API_URL="+api.URL,
		"GITHUB_WORKSPACE="+j.dir, "GITHUB_OUTPUT="+j.path("output"), "GITHUB_STEP_SUMMARY="+j.path("page"))
	return j
}

// outputs are those of the job so far, read as the runner reads them.
func (j *job) outputs() map[string]string {
	j.Helper()
	text, err := os.ReadFile(j.path("output"))
	if err != nil {
		j.Fatal(err)
	}
	outputs, err := citest.Outputs(string(text))
	if err != nil {
		j.Fatal(err)
	}
	return outputs
}

func (j *job) page() string {
	j.Helper()
	text, err := os.ReadFile(j.path("page"))
	if err != nil {
		j.Fatal(err)
	}
	return string(text)
}

// history answers with reviews: each is STATE LOGIN ENVIRONMENT COMMENT.
func history(reviews ...string) http.HandlerFunc {
	entries := []any{}
	for _, review := range reviews {
		part := strings.SplitN(review+"   ", " ", 4)
		kind := "User"
		if strings.HasSuffix(part[1], "[bot]") {
			kind = "Bot"
		}
		entries = append(entries, map[string]any{
			"state": part[0], "comment": strings.TrimSpace(part[3]),
			"user":         map[string]any{"login": part[1], "type": kind, "id": 1},
			"environments": []any{map[string]any{"id": 9, "name": part[2], "created_at": "2020-11-23T22:00:40Z"}},
		})
	}
	return func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(entries) }
}

func answers(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// exhausted is how GitHub refuses calls beyond the hour's limit.
func exhausted(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("X-RateLimit-Remaining", "0")
	w.WriteHeader(http.StatusForbidden)
}

// gone is an approval by somebody who has left GitHub since.
func gone(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(w, `[{"state":"approved","comment":"","user":null,"environments":[{"name":"prod"}]}]`)
}

func TestReviewsOfTheJobsEnvironmentOpenTheGateOrSayWhyNot(t *testing.T) {
	t.Parallel()
	two := ", more_environments: [prod-2]"
	for _, c := range []struct {
		name, more, environ string
		api                 []http.HandlerFunc
		code                int
		says                string
	}{
		{name: "approved", api: []http.HandlerFunc{history("approved bob prod")}},
		{name: "nobody: bypassed, or no rule", api: []http.HandlerFunc{history()}, code: ExitWaiting, says: "without a review of environment prod"},
		{name: "not decided", api: []http.HandlerFunc{history("pending bob prod")}, code: ExitWaiting, says: "without a review of environment prod"},
		{name: "of another environment", api: []http.HandlerFunc{history("approved bob staging")}, code: ExitWaiting, says: "without a review of environment prod"},
		{name: "by whoever started it", api: []http.HandlerFunc{history("approved alice prod")}, code: ExitWaiting, says: "alice started the workflow"},
		{name: "by whoever started the first attempt", environ: "GITHUB_TRIGGERING_ACTOR=carol", api: []http.HandlerFunc{history("approved alice prod")}, code: ExitWaiting, says: "alice started the workflow"},
		{name: "by whoever started it, under a new name", environ: "GITHUB_ACTOR_ID=1", api: []http.HandlerFunc{history("approved alice-b prod")}, code: ExitWaiting, says: "alice-b started the workflow"},
		{name: "by another account", environ: "GITHUB_ACTOR_ID=2", api: []http.HandlerFunc{history("approved bob prod")}},
		{name: "by a program", api: []http.HandlerFunc{history("approved deploy[bot] prod")}, code: ExitWaiting, says: "a program's account"},
		{name: "rejected", api: []http.HandlerFunc{history("rejected bob prod")}, code: ExitFailed, says: "rejected by bob"},
		{name: "no digest", more: ", digest_in_comment: true", api: []http.HandlerFunc{history("approved bob prod looks good")}, code: ExitWaiting, says: "first 12 digits"},
		{name: "another digest", more: ", digest_in_comment: true", api: []http.HandlerFunc{history("approved bob prod 0123456789ab")}, code: ExitWaiting, says: "first 12 digits"},
		{name: "two people", more: two, api: []http.HandlerFunc{history("approved bob prod", "approved carol prod-2")}},
		{name: "one person twice", more: two, api: []http.HandlerFunc{history("approved bob prod", "approved bob prod-2")}, code: ExitWaiting, says: "1 of 2 approvals"},
		{name: "two people, one environment", more: two, api: []http.HandlerFunc{history("approved bob prod", "approved carol prod")}, code: ExitWaiting, says: "without a review of environment prod-2"},
		{name: "an earlier attempt's", environ: "GITHUB_RUN_ATTEMPT=2", api: []http.HandlerFunc{history("approved bob prod", "approved bob prod attempt 21")}, code: ExitWaiting, says: `say "attempt 2"`},
		{name: "this attempt's", environ: "GITHUB_RUN_ATTEMPT=2", api: []http.HandlerFunc{history("approved bob prod", "approved bob prod Attempt 2, go")}},
		{name: "no permission", api: []http.HandlerFunc{answers(http.StatusForbidden)}, code: ExitWaiting, says: "actions: read"},
		{name: "no such run", api: []http.HandlerFunc{answers(http.StatusNotFound)}, code: ExitWaiting, says: "actions: read"},
		{name: "a limit of its rate", api: []http.HandlerFunc{exhausted}, code: ExitWaiting, says: "limit of calls is used up"},
		{name: "away", api: []http.HandlerFunc{answers(http.StatusInternalServerError)}, code: ExitWaiting, says: "GitHub answers with status 500"},
		{name: "a person whose account is gone", api: []http.HandlerFunc{gone}, code: ExitWaiting, says: "whose account is gone"},
		{name: "no token", environ: "GITHUB_TOKEN=", api: []http.HandlerFunc{history()}, code: ExitWaiting, says: "github.token"},
		{name: "away for a moment", api: []http.HandlerFunc{answers(http.StatusBadGateway), history("approved bob prod")}},
		{name: "not JSON", api: []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }}, code: ExitWaiting, says: "read GitHub's answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t, c.more, c.api...)
			j.environ = append(j.environ, c.environ)
			said := j.calls(c.code, "run", "plan.yaml")
			if !strings.Contains(said, c.says) {
				t.Errorf("it does not say %q:\n%s", c.says, said)
			}
			want := map[int]string{ExitDone: "done", ExitWaiting: "waiting", ExitFailed: "failed"}[c.code]
			if got := j.outputs(); got["status"] != want || len(got["digest"]) != 64 || got["run"] != j.run() {
				t.Errorf("outputs %v", got)
			}
			if page := j.page(); c.says != "" && !strings.Contains(page, "| change | "+want) {
				t.Errorf("page:\n%s", page)
			}
			if _, err := os.Stat(j.path("first", "stopped")); (err == nil) != (c.code == ExitDone) {
				t.Errorf("the gate let it through: %t", err == nil)
			}
		})
	}
}

// The journal has what was seen, and that the time of the click is not known.
func TestAnApprovalByReviewIsKeptAsEvidence(t *testing.T) {
	t.Parallel()
	j := newJob(t, ", digest_in_comment: true", func(w http.ResponseWriter, r *http.Request) {})
	digest := strings.TrimSpace(j.output("plan", "plan.yaml", "--format", "json"))
	var shown preview
	if err := json.Unmarshal([]byte(digest), &shown); err != nil {
		t.Fatal(err)
	}
	if got := j.outputs()["digest"]; got != shown.Digest {
		t.Errorf("the preview's output is %q, its digest %q", got, shown.Digest)
	}
	for _, want := range []string{"An approval covers digest `" + shown.Digest, "waits for a review of environment prod"} {
		if page := j.page(); !strings.Contains(page, want) {
			t.Errorf("the preview's page lacks %q:\n%s", want, page)
		}
	}
	j = newJob(t, ", digest_in_comment: true", history("approved bob prod seen "+shown.Digest[:12]))
	j.calls(ExitDone, "run", "plan.yaml", "--expect-digest", shown.Digest)
	status := j.output("status", j.run(), "--json")
	for _, want := range []string{`"by":"bob"`, `"via":"github"`, `"seen":true`, `"environment":"prod"`} {
		if !strings.Contains(strings.ReplaceAll(status, " ", ""), want) {
			t.Errorf("the evidence lacks %s:\n%s", want, status)
		}
	}
}

// Which environment, why, what for and at which commit is no part of the plan, and
// an approver has it before him all the same, whatever it says.
func TestAPreviewSaysWhoStartedTheWorkflowAndWithWhat(t *testing.T) {
	t.Parallel()
	j := newJob(t, "", history())
	j.write("event.json", `{"inputs":{"do":"run","environment":"production","reason":"move | them\n## `+"`"+`now`+"`"+`","run":"","if_stopped":null},"sender":{}}`)
	j.environ = append(j.environ, "GITHUB_EVENT_PATH="+j.path("event.json"), "GITHUB_SHA=0123abc", "GITHUB_REF_NAME=main", "GITHUB_TRIGGERING_ACTOR=carol_x")
	j.calls(ExitDone, "plan", "plan.yaml")
	const want = "\n\nStarted by carol\\_x, again after alice, at commit `0123abc` of `main`.\n\n" +
		"- do: `run`\n- environment: `production`\n- reason: `` move | them ## `now` ``\n\n"
	if page := j.page(); !strings.Contains(page, want) {
		t.Errorf("the page lacks %q:\n%s", want, page)
	}
	j = newJob(t, "", history()) // as for a pull request, which has no inputs
	j.calls(ExitDone, "plan", "plan.yaml")
	if page := j.page(); !strings.Contains(page, "\n\nStarted by alice.\n\n") {
		t.Errorf("the page:\n%s", page)
	}
}

// What turns the order of letters around, or none can see, would have an approver
// read another command than the one that is carried out.
func TestAPreviewHidesNothingOfACommand(t *testing.T) {
	t.Parallel()
	j := newJob(t, "", history())
	j.environ = append(j.environ, "FIRST=exec:///bin/rm \u202etxt\u200b")
	for _, shown := range []string{j.output("plan", "plan.yaml"), j.page()} {
		if !strings.Contains(shown, "/bin/rm \ufffdtxt\ufffd stop") {
			t.Errorf("it shows:\n%s", shown)
		}
	}
}

// A plan of a stranger's pull request is previewed in a job too, and what it says
// commands neither the runner nor the page.
func TestAPreviewedPlanCannotCommandTheRunner(t *testing.T) {
	t.Parallel()
	j := newJob(t, "", history())
	j.edit("plan.yaml", "    on_failure", "    summary: \"x\\n::add-mask::evil\\n## ##[group]evil\"\n    on_failure")
	for _, format := range []string{"text", "markdown", "json"} {
		log := j.output("plan", "plan.yaml", "--format", format)
		if !strings.Contains(log, "evil") || regexp.MustCompile(`(?m)^\s*::|##\[`).MatchString(log) {
			t.Errorf("as %s it says:\n%s", format, log)
		}
	}
	if page := j.page(); strings.Contains(page, "\n## #") || strings.Contains(page, "\n::") {
		t.Errorf("the page:\n%s", page)
	}
}

// Of a plan of any size the page is one that GitHub shows, with the digest; the log
// and the file that is kept have all of it.
func TestAPreviewThatIsTooLargeForThePageIsWholeInTheLogAndTheFile(t *testing.T) {
	t.Parallel()
	j := newJob(t, "", history())
	const steps = 3000
	var plan strings.Builder
	plan.WriteString("version: 1\nname: big\nphases:\n  - name: change\n    irreversible: it is a toy\n    steps:\n")
	for i := range steps {
		fmt.Fprintf(&plan, "      - { id: stop-%d, task: service/stop, with: { service: %q } }\n", i, "exec:///bin/true"+strings.Repeat(" argument", 40))
	}
	j.write("plan.yaml", plan.String())
	log := j.output("plan", "plan.yaml", "--keep", "kept.json")
	page := j.page()
	if len(page) > citest.MostSummary || !strings.Contains(page, "covers digest `"+j.outputs()["digest"]) || !strings.HasSuffix(page, "*The rest does not fit on this page; it is in this step's log.*\n") {
		t.Errorf("the page has %d bytes, and begins with %.300s", len(page), page)
	}
	if open := strings.Count(page, "\n  ```text\n"); open == 0 || strings.Count(page, "\n  ```\n") != open {
		t.Errorf("of %d blocks not all are closed", open)
	}
	kept, err := os.ReadFile(j.path("kept.json"))
	if err != nil {
		t.Fatal(err)
	}
	last := fmt.Sprint("stop-", steps-1)
	var shown preview
	if err := json.Unmarshal(kept, &shown); err != nil || shown.Digest != j.outputs()["digest"] || shown.Phases[0].Steps[steps-1].ID != last {
		t.Errorf("kept %.300s, %v", kept, err)
	}
	if !strings.Contains(log, last) {
		t.Error("the log lacks the last step")
	}
}

// A preview masks the secrets that are set, and no others; and it fails where GitHub
// would drop the digest, without which no job behind an approval would start.
func TestAPreviewMasksSecretsAndSaysWhereOneIsInTheDigest(t *testing.T) {
	t.Parallel()
	j := newJob(t, "", history())
	j.write("plan.yaml", strings.Replace(fmt.Sprintf(jobPlan, ""), "env: { ", "env: { TOKEN: { secret: true }, OTHER: { secret: true }, ", 1))
	j.environ = append(j.environ, "TOKEN=s3cret-canary")
	said := j.calls(ExitDone, "plan", "plan.yaml")
	if strings.Count(said, "::add-mask::") != 1 || !strings.Contains(said, "::add-mask::s3cret-canary\n") {
		t.Errorf("it says:\n%s", said)
	}
	j.environ = append(j.environ, "OTHER="+j.outputs()["digest"][:1])
	if said := j.calls(ExitFailed, "plan", "plan.yaml"); !strings.Contains(said, "a secret of 1 characters happens to be in output digest") {
		t.Errorf("it says:\n%s", said)
	}
}

func TestAnotherPlanThanTheOneApprovedIsRefused(t *testing.T) {
	t.Parallel()
	j := newJob(t, "", history("approved bob prod"))
	for _, digest := range []string{strings.Repeat("0", 64), ""} { // a dropped output is empty
		for _, verb := range []string{"run", "rollback"} {
			said := j.calls(ExitUsage, verb, "plan.yaml", "--expect-digest", digest)
			if !strings.Contains(said, "::error title=phasegate::the digest of plan.yaml is ") || !strings.Contains(said, "hint: phasegate plan shows") {
				t.Errorf("%s with digest %q says:\n%s", verb, digest, said)
			}
		}
	}
	if runs, err := os.ReadDir(j.path("phasegate-runs")); err == nil && len(runs) > 0 {
		t.Errorf("a run was begun: %v", runs)
	}
}

// Between the preview that an approver read and the job behind the approval the
// plan changed, in a way that no rule minds: nothing is begun. The plan as it was
// goes through.
func TestAPlanThatWasEditedAfterItsPreviewIsNotRun(t *testing.T) {
	t.Parallel()
	j := newJob(t, "", history("approved bob prod"))
	j.calls(ExitDone, "plan", "plan.yaml")
	approved := j.outputs()["digest"]
	plan := fmt.Sprintf(jobPlan, "")
	for _, edited := range []string{
		strings.Replace(plan, "env.SECOND", "env.BACK", 1),
		strings.Replace(plan, "on_failure: rollback", "on_failure: halt", 1),
		strings.Replace(plan, "environment: prod", "environment: dev", 1),
	} {
		j.write("plan.yaml", edited)
		said := j.calls(ExitUsage, "run", "plan.yaml", "--expect-digest", approved)
		if !strings.Contains(said, `, not "`+approved+`": it is not what was approved`) {
			t.Errorf("it says:\n%s", said)
		}
	}
	if runs, err := os.ReadDir(j.path("phasegate-runs")); err == nil && len(runs) > 0 {
		t.Errorf("a run was begun: %v", runs)
	}
	j.write("plan.yaml", plan)
	j.calls(ExitDone, "run", "plan.yaml", "--expect-digest", approved)
}

// Findings are commands to the runner, in a job too, where all else is guarded.
func TestFindingsAreAnnotatedInAJob(t *testing.T) {
	t.Parallel()
	j := newJob(t, "", history())
	j.write("plan.yaml", "version: 1\nname: x\n")
	cmd := j.shell("phasegate validate --format github plan.yaml >&2")
	if said := cmd.ends(ExitInvalid); !strings.Contains(said, "::error file=plan.yaml,line=1,") || strings.Contains(said, ": :error") {
		t.Errorf("it says:\n%s", said)
	}
}
