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
		{name: "by a program", api: []http.HandlerFunc{history("approved deploy[bot] prod")}, code: ExitWaiting, says: "a program's account"},
		{name: "rejected", api: []http.HandlerFunc{history("rejected bob prod")}, code: ExitFailed, says: "rejected by bob"},
		{name: "no digest", more: ", digest_in_comment: true", api: []http.HandlerFunc{history("approved bob prod looks good")}, code: ExitWaiting, says: "first 12 digits"},
		{name: "another digest", more: ", digest_in_comment: true", api: []http.HandlerFunc{history("approved bob prod 0123456789ab")}, code: ExitWaiting, says: "first 12 digits"},
		{name: "two people", more: two, api: []http.HandlerFunc{history("approved bob prod", "approved carol prod-2")}},
		{name: "one person twice", more: two, api: []http.HandlerFunc{history("approved bob prod", "approved bob prod-2")}, code: ExitWaiting, says: "1 of 2 approvals"},
		{name: "two people, one environment", more: two, api: []http.HandlerFunc{history("approved bob prod", "approved carol prod")}, code: ExitWaiting, says: "without a review of environment prod-2"},
		{name: "an earlier attempt's", environ: "GITHUB_RUN_ATTEMPT=2", api: []http.HandlerFunc{history("approved bob prod", "approved bob prod attempt 21")}, code: ExitWaiting, says: `say "attempt 2"`},
		{name: "this attempt's", environ: "GITHUB_RUN_ATTEMPT=2", api: []http.HandlerFunc{history("approved bob prod", "approved bob prod Attempt 2, go")}},
		{name: "no permission", api: []http.HandlerFunc{answers(http.StatusForbidden)}, code: ExitFailed, says: "actions: read"},
		{name: "no token", environ: "GITHUB_TOKEN=", api: []http.HandlerFunc{history()}, code: ExitFailed, says: "github.token"},
		{name: "away for a moment", api: []http.HandlerFunc{answers(http.StatusBadGateway), history("approved bob prod")}},
		{name: "not JSON", api: []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }}, code: ExitFailed, says: "read GitHub's answer"},
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
	if page := j.page(); !strings.Contains(page, "An approval covers digest `"+shown.Digest) {
		t.Errorf("the preview's page:\n%s", page)
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
