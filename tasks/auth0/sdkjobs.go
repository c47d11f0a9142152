package auth0

import (
	"context"
	"errors"
	"net/http"
	"strings"

	sdk "github.com/auth0/go-auth0"
	"github.com/auth0/go-auth0/management"
)

// errBusy is the refusal of one more users-imports job.
var errBusy = errors.New("the tenant works on as many import jobs as it may")

// busyText is in the 429 by which it is told from a rate limit's.
const busyText = "active import users jobs"

// An importJob is a users-imports job.
type importJob struct {
	status   string // pending, completed, failed; others may come
	inserted int
	failed   int
}

// A lineError says why a job has refused a line.
type lineError struct {
	userID string // as in the file, without the strategy
	code   string
	path   string // of what is wrong in the line
}

func (o *official) StartImport(ctx context.Context, connectionID, externalID string, lines []map[string]any) (string, error) {
	job := &management.Job{
		ConnectionID: &connectionID, ExternalID: &externalID, Users: lines,
		Upsert: sdk.Bool(false), SendCompletionEmail: sdk.Bool(false), // it would go out unless told not to
	}
	err := bare(o.api.Job.ImportUsers(ctx, job))
	if r, ok := errors.AsType[*refusal](err); ok && strings.Contains(r.message, busyText) {
		return "", errBusy
	}
	return job.GetID(), plain(ctx, "start an import of users", err)
}

func (o *official) ImportJob(ctx context.Context, id string) (j importJob, err error) {
	err = call(ctx, "read the import job "+id, func() error {
		job, err := o.api.Job.Read(ctx, id)
		if err == nil {
			j = importJob{job.GetStatus(), job.GetSummary().GetInserted(), job.GetSummary().GetFailed()}
		}
		return err
	})
	return j, err
}

func (o *official) ImportErrors(ctx context.Context, id string) (lines []lineError, err error) {
	err = call(ctx, "read the errors of the import job "+id, func() error {
		refused, err := o.api.Job.ReadErrors(ctx, id)
		if status(err) == http.StatusNotFound {
			return nil // kept for a day; whoever has no account is taken up again
		}
		lines = nil
		for _, one := range refused {
			userID, _ := one.User["user_id"].(string)
			line := lineError{userID: userID}
			if len(one.Errors) > 0 {
				line.code, line.path = one.Errors[0].Code, one.Errors[0].Path
			}
			lines = append(lines, line)
		}
		return err
	})
	return lines, err
}
