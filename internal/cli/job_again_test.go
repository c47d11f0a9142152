package cli

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// attempted is what the job says when it is run again, as that attempt.
func (j *job) attempted(n, code int, args ...string) string {
	j.Helper()
	before := j.environ
	j.environ = append(slices.Clip(j.environ), fmt.Sprint("GITHUB_RUN_ATTEMPT=", n))
	defer func() { j.environ = before }()
	return j.calls(code, args...)
}

// A job that is run again goes on where it stopped. The approval that opened the
// gate before may be the first attempt's, and does not open it again.
func TestAJobThatIsRunAgainGoesOnOnlyWithAnApprovalOfItsAttempt(t *testing.T) {
	t.Parallel()
	j := newJob(t, "", history("approved bob prod"), history("approved bob prod"), history("approved bob prod", "approved bob prod attempt 2"))
	j.edit("plan.yaml", "on_failure: rollback", "on_failure: halt")
	j.service("first", `echo once >>times; touch stopped`)
	j.service("second", `exit 1`)
	j.calls(ExitFailed, "run", "plan.yaml")
	run := j.run()
	j.service("second", calm)
	if said := j.attempted(2, ExitWaiting, "run", "plan.yaml", "--run", run); !strings.Contains(said, `say "attempt 2"`) {
		t.Errorf("with the first attempt's approval it says:\n%s", said)
	}
	if _, err := os.Stat(j.path("second", "stopped")); err == nil {
		t.Error("it went on without an approval of its attempt")
	}
	j.attempted(2, ExitDone, "run", "plan.yaml", "--run", run)
	if times, err := os.ReadFile(j.path("first", "times")); err != nil || string(times) != "once\n" {
		t.Errorf("the first step was carried out %q, %v", times, err)
	}
	if got := j.outputs(); got["status"] != "done" || got["run"] != run {
		t.Errorf("outputs %v", got)
	}
}

// When all jobs are run again after the run came to its end, another run begins, and
// it needs an approval of its own.
func TestAWorkflowThatIsRunAgainAfterItsEndBeginsAnewBehindItsGate(t *testing.T) {
	t.Parallel()
	j := newJob(t, "", history("approved bob prod"))
	j.calls(ExitDone, "run", "plan.yaml")
	first := j.run()
	if err := os.Remove(j.path("first", "stopped")); err != nil {
		t.Fatal(err)
	}
	j.attempted(2, ExitWaiting, "run", "plan.yaml")
	if got := j.outputs(); got["status"] != "waiting" || got["run"] == first {
		t.Errorf("outputs %v, the first run is %s", got, first)
	}
	if _, err := os.Stat(j.path("first", "stopped")); err == nil {
		t.Error("it went on without an approval of its attempt")
	}
}

// Where GitHub has no reviewers, as in a private repository without Enterprise, a
// signature opens the gate: of somebody else than who started the workflow.
func TestASignedApprovalServesWhereGitHubHasNoReviewers(t *testing.T) {
	t.Parallel()
	j := newJob(t, ", signers: signers, not: [initiator]", history())
	for _, who := range []string{"alice", "bob"} {
		if said, err := exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", j.path(who)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
	}
	var signers strings.Builder
	for _, who := range []string{"alice", "bob"} {
		key, err := os.ReadFile(j.path(who + ".pub"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&signers, "%s %s", who, key)
	}
	j.write("signers", signers.String())
	j.calls(ExitWaiting, "run", "plan.yaml")
	run, inJob := j.run(), j.environ
	j.environ = append(slices.Clip(j.environ), "GITHUB_ACTIONS=")
	if said := j.calls(ExitUsage, "approve", run, "approve", "--key", "alice", "--yes"); !strings.Contains(said, "may not approve it") {
		t.Errorf("whoever started the workflow is told:\n%s", said)
	}
	j.calls(ExitDone, "approve", run, "approve", "--key", "bob", "--yes")
	j.environ = append(slices.Clip(inJob), "GITHUB_RUN_ID=778") // the workflow is started anew
	j.calls(ExitDone, "run", "plan.yaml", "--run", run)
	if got := j.outputs(); got["status"] != "done" || got["run"] != run {
		t.Errorf("outputs %v", got)
	}
}

// identity answers as GitHub does when a job asks for its identity token.
func identity(t *testing.T, claims string) (token string, provider *httptest.Server) {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	token = encode([]byte(`{"alg":"RS256"}`)) + "." + encode([]byte(claims)) + "." + encode([]byte("signature"))
	provider = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer request-t0ken" || r.URL.Query().Get("audience") != "phasegate" || r.URL.Query().Get("api-version") != "2.0" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"count": 1, "value": token})
	}))
	t.Cleanup(provider.Close)
	return token, provider
}

// A job that may ask for its identity token has GitHub's own word on it in the
// journal, and the token nowhere.
func TestTheClaimsOfAJobsIdentityAreKeptAsEvidence(t *testing.T) {
	t.Parallel()
	token, provider := identity(t, `{"actor":"alice","environment":"production","repository":"hospital/cutover","repository_id":"42","run_id":"777",
		"run_number":"5","run_attempt":"1","job_workflow_ref":"hospital/cutover/.github/workflows/toy.yml@refs/heads/main","job_workflow_sha":"f00d",
		"ref":"refs/heads/main","sha":"f00d","event_name":"workflow_dispatch","runner_environment":"self-hosted","check_run_id":"99","later":"unknown"}`)
	j := newJob(t, "", history("approved bob prod"))
	j.environ = append(j.environ, "ACTIONS_ID_TOKEN_REQUEST_URL="+provider.URL+"/token?api-version=2.0", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=request-t0ken")
	said := j.calls(ExitDone, "run", "plan.yaml")
	if before, _, ok := strings.Cut(said, "::add-mask::"+token+"\n"); !ok || strings.Contains(before, token) || strings.Count(said, token) != 1 {
		t.Errorf("the token is not masked before its first use:\n%s", said)
	}
	text, err := os.ReadFile(j.path("phasegate-runs", j.run(), "journal.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	kept := string(text)
	for _, want := range []string{
		`"identity":{`, `"environment":"production"`, `"repository_id":"42"`, `"run_number":"5"`, `"job_workflow_sha":"f00d"`,
		`"job_workflow_ref":"hospital/cutover/.github/workflows/toy.yml@refs/heads/main"`, `"runner_environment":"self-hosted"`, `"check_run_id":"99"`,
	} {
		if !strings.Contains(kept, want) {
			t.Errorf("the journal lacks %s", want)
		}
	}
	if strings.Contains(kept+j.page(), token) || strings.Contains(kept+said+j.page(), "request-t0ken") {
		t.Error("a token is in the journal, on the page or in the log")
	}
}

// An identity that cannot be had is said, and is no reason to stop.
func TestAJobWithoutItsIdentityGoesOnAndSaysSo(t *testing.T) {
	t.Parallel()
	_, provider := identity(t, `no claims`)
	for token, want := range map[string]string{"another": "GitHub answers with status 401", "request-t0ken": "read the claims of the job's identity token"} {
		j := newJob(t, "", history("approved bob prod"))
		j.environ = append(j.environ, "ACTIONS_ID_TOKEN_REQUEST_URL="+provider.URL+"/token?api-version=2.0", "ACTIONS_ID_TOKEN_REQUEST_TOKEN="+token)
		if said := j.calls(ExitDone, "run", "plan.yaml"); !strings.Contains(said, "the job's identity is not known") || !strings.Contains(said, want) {
			t.Errorf("with token %s it says:\n%s", token, said)
		}
	}
}
