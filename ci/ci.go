// Package ci is phasegate in a job of GitHub Actions: what it tells the runner,
// the page that reviewers read, the reviews that open a gate, and the workflow
// that drives a plan. It watches a run's events; the engine does not know it.
//
// Facts about the platform come from the sources of its runner
// (github.com/actions/runner) and from https://docs.github.com/actions.
package ci

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/medlogistics/phasegate/internal/redact"
)

// A Job is the job of a workflow that this process works in.
type Job struct {
	Repository string // OWNER/NAME
	RunID      string // of the workflow
	Attempt    int    // of the workflow's run, from 1
	Actor      string // the account that started this attempt
	Dispatcher string // the account that started the first attempt
	Account    string // its number, which stays when its name changes; "" where the runner does not tell
	API        string // where GitHub's API is
	Server     string // where GitHub's pages are
	Workspace  string // where the repository is checked out

	Token redact.Secret // reads the run's reviews; zero where the job has none

	github  http.Client // asks GitHub, and does not wait for ever
	log     io.Writer   // the step's output, which the runner reads
	masked  []string    // lines of secrets, however short
	output  string      // file of the job's outputs
	summary string      // file of the step's page
	event   string      // file with what started the workflow
	commit  string      // that the workflow was started at
	ref     string      // the branch or tag of it

	oidcURL   string // where the run's identity token comes from; "" where the job may ask for none
	oidcToken redact.Secret
}

// answerTimeout is how long one answer of GitHub's may take.
const answerTimeout = 10 * time.Second

// FromEnvironment returns the job that the variables of GitHub's runner
// describe. The token that reads reviews is GITHUB_TOKEN.
func FromEnvironment(lookup func(string) (string, bool), log io.Writer) (*Job, error) {
	get := func(name string) string {
		value, _ := lookup(name)
		return value
	}
	j := &Job{
		Repository: get("GITHUB_REPOSITORY"), RunID: get("GITHUB_RUN_ID"),
		Actor: get("GITHUB_TRIGGERING_ACTOR"), Dispatcher: get("GITHUB_ACTOR"), Account: get("GITHUB_ACTOR_ID"), API: get("GITHUB_API_URL"), Server: get("GITHUB_SERVER_URL"),
		Workspace: get("GITHUB_WORKSPACE"), Token: redact.NewSecret(get("GITHUB_TOKEN")),
		github: http.Client{Timeout: answerTimeout}, log: log, output: get("GITHUB_OUTPUT"), summary: get("GITHUB_STEP_SUMMARY"),
		event: get("GITHUB_EVENT_PATH"), commit: get("GITHUB_SHA"), ref: get("GITHUB_REF_NAME"),
		oidcURL: get("ACTIONS_ID_TOKEN_REQUEST_URL"), oidcToken: redact.NewSecret(get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")),
	}
	if j.Actor == "" { // runners before 2.301 do not tell who started a re-run
		j.Actor = j.Dispatcher
	}
	if j.Repository == "" || j.RunID == "" {
		return nil, errors.New("GITHUB_REPOSITORY and GITHUB_RUN_ID are not set: this is no job of GitHub Actions")
	}
	if j.Actor == "" {
		return nil, errors.New("GITHUB_ACTOR is not set: nobody knows who started the workflow")
	}
	j.Attempt = 1
	if attempt := get("GITHUB_RUN_ATTEMPT"); attempt != "" {
		n, err := strconv.Atoi(attempt)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("GITHUB_RUN_ATTEMPT is %q, not a number from 1", attempt)
		}
		j.Attempt = n
	}
	if j.API == "" {
		j.API = "https://api.github.com"
	}
	if j.Server == "" {
		j.Server = "https://github.com"
	}
	return j, nil
}
