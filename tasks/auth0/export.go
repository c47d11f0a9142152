package auth0

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	sdk "github.com/auth0/go-auth0"
	"github.com/auth0/go-auth0/management"

	"github.com/medlogistics/phasegate/runner/task"
)

// exportTimeout bounds the download of an export: a million users are about
// 50 MB compressed.
const exportTimeout = 30 * time.Minute

// Listing is how the tenant's accounts are listed: the keys that the tasks which
// look at all of them have.
type Listing struct {
	// How long the tenant may take to list its accounts, in a job of its own, before
	// that counts as hung. Auth0 ends jobs after two hours.
	JobTimeout time.Duration `with:"job_timeout"`
}

func (l Listing) validate() error {
	if l.JobTimeout <= 0 {
		return errors.New("job_timeout is not a time above 0")
	}
	return nil
}

// exported are the fields that are asked of an export job. Without a list a
// job leaves app_metadata and blocked out.
func exported() []map[string]any {
	var fields []map[string]any
	names := "user_id email blocked app_metadata user_metadata logins_count last_login last_password_reset"
	for name := range strings.FieldsSeq(names) {
		fields = append(fields, map[string]any{"name": name})
	}
	return fields
}

// ExportUsers asks for a users-exports job, the only listing that has no upper
// bound and does not lag behind
// (https://auth0.com/docs/manage-users/user-migration/bulk-user-exports).
func (o *official) ExportUsers(ctx context.Context, connectionID string, timeout time.Duration, each func(account) error) error {
	job := &management.Job{ConnectionID: &connectionID, Format: sdk.String("json"), Fields: exported()}
	if err := call(ctx, "start an export of the users", func() error { return o.api.Job.ExportUsers(ctx, job) }); err != nil {
		return err
	}
	location, err := o.exportedAt(ctx, job.GetID(), timeout)
	if err != nil {
		return err
	}
	if err := download(ctx, o.under.base, location, each); err != nil {
		return plain(ctx, "read the export of the users", err)
	}
	return nil
}

// exportedAt waits until the job is done and returns the link to its file, which
// is good for a minute.
func (o *official) exportedAt(ctx context.Context, id string, timeout time.Duration) (string, error) {
	deadline := time.Now().Add(timeout)
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		var job *management.Job
		err := call(ctx, "read the export job "+id, func() (err error) {
			job, err = o.api.Job.Read(ctx, id)
			return err
		})
		if err != nil {
			return "", err
		}
		switch job.GetStatus() {
		case "completed":
			return job.GetLocation(), nil
		case "failed":
			return "", fmt.Errorf("export job %s: the tenant says that it failed", id)
		}
		left := time.Until(deadline)
		if left <= 0 {
			return "", task.Hint(fmt.Errorf("export job %s: it is still %s after %s", id, job.GetStatus(), timeout),
				"check status.auth0.com, then run again; if the tenant has very many users, raise job_timeout")
		}
		if err := pause(ctx, min(wait, left)); err != nil {
			return "", err
		}
	}
}

// download reads the gzipped file, a JSON object for each user and line. The
// link carries its own right of access, so no token is sent along.
func download(ctx context.Context, base http.RoundTripper, location string, each func(account) error) error {
	ctx, cancel := context.WithTimeout(ctx, exportTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, location, nil)
	if err != nil {
		return errors.New("the tenant gave no usable link to the file")
	}
	resp, err := base.RoundTrip(req)
	if err != nil {
		return &networkError{err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &refusal{status: resp.StatusCode, message: "the link to the file is not good"}
	}
	unzipped, err := gzip.NewReader(resp.Body)
	if err != nil {
		return fmt.Errorf("unzip: %w", err)
	}
	return decodeAccounts(unzipped, each)
}

func decodeAccounts(r io.Reader, each func(account) error) error {
	decoder := json.NewDecoder(r)
	for {
		var u struct {
			ID           string         `json:"user_id"`
			Email        string         `json:"email"`
			Blocked      bool           `json:"blocked"`
			Metadata     map[string]any `json:"app_metadata"`
			UserMetadata map[string]any `json:"user_metadata"`
			Logins       int            `json:"logins_count"`
			LastLogin    *time.Time     `json:"last_login"`
			LastReset    *time.Time     `json:"last_password_reset"`
		}
		err := decoder.Decode(&u)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("decode a user: %w", err)
		}
		a := account{
			id: u.ID, email: u.Email, blocked: u.Blocked, metadata: u.Metadata, userMetadata: u.UserMetadata,
			used: u.Logins > 0 || u.LastLogin != nil || u.LastReset != nil, lastUse: latest(u.LastLogin, u.LastReset),
		}
		if err := each(a); err != nil {
			return err
		}
	}
}
