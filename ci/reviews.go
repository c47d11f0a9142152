package ci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/runner/task"
)

// reviewed is one entry of a run's history of reviews:
// https://docs.github.com/rest/actions/workflow-runs#get-the-review-history-for-a-workflow-run.
// There is no time in it and no attempt: created_at of an environment is the
// environment's own.
type reviewed struct {
	State   string `json:"state"` // approved, rejected or pending
	Comment string `json:"comment"`
	User    struct {
		ID    json.Number `json:"id"`
		Login string      `json:"login"`
		Type  string      `json:"type"` // User or Bot
	} `json:"user"`
	Environments []struct {
		Name string `json:"name"`
	} `json:"environments"`
}

const (
	reviewsTries = 4
	mostReviews  = 1 << 20 // bytes
)

// Reviews returns what people decided about the environments of this run, as far
// as it may count. The history is that of the run, not of an attempt: from the
// second attempt on, an approval counts only if its comment names the attempt.
func (j *Job) Reviews(ctx context.Context) ([]task.Review, error) {
	if j.Token.IsZero() {
		return nil, task.Hint(errors.New("read the run's reviews: there is no token"),
			"give the step GITHUB_TOKEN: ${{ github.token }}, and the job the permission actions: read")
	}
	entries, err := j.history(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the run's reviews: %w", err)
	}
	var reviews []task.Review
	for _, entry := range entries {
		if entry.State != "approved" && entry.State != "rejected" {
			continue
		}
		for _, environment := range entry.Environments {
			review := task.Review{
				Environment: environment.Name, By: entry.User.Login, Person: entry.User.Type == "User",
				Approved: entry.State == "approved", Comment: entry.Comment, Job: fmt.Sprintf("%s/%d", j.RunID, j.Attempt),
			}
			if review.Approved {
				review.Void = j.void(entry)
			}
			reviews = append(reviews, review)
		}
	}
	return reviews, nil
}

// void says why an approval cannot count, "" if it can.
func (j *Job) void(entry reviewed) string {
	switch {
	case entry.User.Login == "":
		return "GitHub does not tell whose it is: it is somebody's whose account is gone"
	case j.started(entry):
		return entry.User.Login + " started the workflow, and may not approve it"
	case j.Attempt > 1 && !attemptNamed(entry.Comment, j.Attempt):
		return fmt.Sprintf("this is attempt %d of the workflow's run, and the approval may be an earlier one's: GitHub does not tell. "+
			"Have the comment say \"attempt %d\", or start the workflow anew", j.Attempt, j.Attempt)
	}
	return ""
}

// started tells whether it was the reviewer who started the workflow, this attempt
// or the first.
func (j *Job) started(entry reviewed) bool {
	by := entry.User
	return strings.EqualFold(by.Login, j.Actor) || strings.EqualFold(by.Login, j.Dispatcher) || j.Account != "" && by.ID.String() == j.Account
}

// attemptNamed tells whether a comment says "attempt N".
func attemptNamed(comment string, attempt int) bool {
	_, behind, found := strings.Cut(strings.ToLower(comment), fmt.Sprintf("attempt %d", attempt))
	return found && (behind == "" || behind[0] < '0' || behind[0] > '9')
}

// history asks GitHub, again where it does not answer for now.
func (j *Job) history(ctx context.Context) ([]reviewed, error) {
	wait := time.Second
	for try := 1; ; try++ {
		entries, again, err := j.askHistory(ctx)
		if os.IsTimeout(err) && ctx.Err() == nil {
			err = task.Hint(fmt.Errorf("GitHub has not answered within %s, asked %d times", j.github.Timeout, try),
				"see https://www.githubstatus.com, then run the job again")
		}
		if err == nil || !again || try == reviewsTries {
			return entries, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(wait):
		}
		wait *= 2
	}
}

// limited tells whether GitHub refused an answer because of too many calls:
// https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
func limited(response *http.Response) bool {
	return response.StatusCode == http.StatusTooManyRequests || response.StatusCode == http.StatusForbidden &&
		(response.Header.Get("Retry-After") != "" || response.Header.Get("X-Ratelimit-Remaining") == "0")
}

func (j *Job) askHistory(ctx context.Context) (entries []reviewed, again bool, err error) {
	url := fmt.Sprintf("%s/repos/%s/actions/runs/%s/approvals", j.API, j.Repository, j.RunID)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, false, err
	}
	request.Header.Set("Accept", "application/vnd.github+json")
	request.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	request.Header.Set("Authorization", "Bearer "+j.Token.Reveal())
	response, err := j.github.Do(request)
	if err != nil {
		return nil, true, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, mostReviews))
	if err != nil {
		return nil, true, err
	}
	switch status := response.StatusCode; {
	case status >= 500:
		return nil, true, fmt.Errorf("GitHub answers with status %d", status)
	case limited(response):
		return nil, response.Header.Get("Retry-After") != "", task.Hint(fmt.Errorf("GitHub answers with status %d: the token's limit of calls is used up", status),
			"start the workflow again when the hour is over: other workflows of the repository use the same limit")
	case status == http.StatusForbidden || status == http.StatusNotFound || status == http.StatusUnauthorized:
		return nil, false, task.Hint(fmt.Errorf("GitHub answers with status %d", status),
			"give the job the permission actions: read")
	case status != http.StatusOK:
		return nil, false, fmt.Errorf("GitHub answers with status %d", status)
	}
	if err := json.Unmarshal(body, &entries); err != nil {
		return nil, false, fmt.Errorf("read GitHub's answer: %w", err)
	}
	return entries, false, nil
}
