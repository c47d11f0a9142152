package auth0

import (
	"net/http"
	"time"
)

// JobSpeed says how long jobs take, by the tenant's clock.
type JobSpeed struct {
	// Start is how long a job waits before it begins.
	Start time.Duration

	// PerUser is what an import or export takes for each user. Reports of real
	// tenants range from 18 ms (an enterprise tenant, two jobs side by side) to
	// 250 ms.
	PerUser time.Duration
}

const (
	jobLifetime  = 24 * time.Hour // after which a job's data is gone
	jobTimeout   = 2 * time.Hour  // after which a job has failed
	mostImports  = 2              // side by side
	linkLifetime = time.Minute    // of an export's location
)

// A job works on users in the background. It gets on whenever somebody looks at
// the tenant.
type job struct {
	id, kind     string
	connectionID string
	connection   string
	externalID   string
	created      time.Time
	fate         Effect // JobFails, JobVanishes or ""
	delay        time.Duration
	finished     bool
	failed       bool

	imported *userImport // of kind users_import
	exported *userExport // of kind users_export
}

func (t *Tenant) newJob(c *call, kind string, connection document) *job {
	j := &job{id: "job_" + randomID(alphanumeric, 16), kind: kind, created: c.now}
	if c.effect == JobFails || c.effect == JobVanishes {
		j.fate = c.effect
	}
	j.delay = c.effect.duration("job-slow")
	if connection != nil {
		j.connectionID, j.connection = text(connection, "id"), text(connection, "name")
	}
	t.jobs = append(t.jobs, j)
	return j
}

// settle brings every job to where it is by now.
func (t *Tenant) settle(now time.Time) {
	for _, j := range t.jobs {
		if !j.finished {
			t.advance(j, now)
		}
	}
}

func (t *Tenant) advance(j *job, now time.Time) {
	began := j.created.Add(t.jobStart(j))
	if now.Before(began) && now.Sub(j.created) <= jobTimeout {
		return
	}
	switch {
	case j.fate == JobFails || now.Sub(j.created) > jobTimeout && !t.couldFinish(j):
		j.finished, j.failed = true, true
	case j.imported != nil:
		j.finished = t.advanceImport(j, now, began)
	case j.exported != nil:
		j.finished = !now.Before(began.Add(time.Duration(j.exported.total) * t.config.Jobs.PerUser))
	default:
		j.finished = true
	}
}

// jobStart is how long the job waits before it begins.
func (t *Tenant) jobStart(j *job) time.Duration { return t.config.Jobs.Start + j.delay }

// couldFinish tells whether the job's work fits into the time that jobs have.
func (t *Tenant) couldFinish(j *job) bool {
	n := 0
	switch {
	case j.imported != nil:
		n = len(j.imported.rows)
	case j.exported != nil:
		n = j.exported.total
	}
	return t.jobStart(j)+time.Duration(n)*t.config.Jobs.PerUser <= jobTimeout
}

// job returns a job whose data is still kept, nil if there is none.
func (t *Tenant) job(id string, now time.Time) *job {
	for _, j := range t.jobs {
		if j.id == id && j.fate != JobVanishes && now.Sub(j.created) < jobLifetime {
			return j
		}
	}
	return nil
}

func (j *job) status() string {
	switch {
	case !j.finished:
		return "pending"
	case j.failed:
		return "failed"
	}
	return "completed"
}

func noJob() reply { return notFound("The job does not exist.", "inexistent_job") }

// readJob is GET /api/v2/jobs/{id}.
func (t *Tenant) readJob(c *call) reply {
	j := t.job(c.PathValue("id"), c.now)
	if j == nil {
		return noJob()
	}
	view := j.view()
	switch {
	case j.status() != "completed":
	case j.imported != nil:
		view["summary"] = j.imported.summary()
	case j.exported != nil:
		view["location"] = "https://" + c.domain + "/_exports/" + j.exported.link(c.now)
	}
	return answer(http.StatusOK, view)
}

func (j *job) view() document {
	view := document{"type": j.kind, "status": j.status(), "created_at": timestamp(j.created), "id": j.id}
	if j.connectionID != "" {
		view["connection_id"], view["connection"] = j.connectionID, j.connection
	}
	if j.externalID != "" {
		view["external_id"] = j.externalID
	}
	if x := j.exported; x != nil {
		x.describe(view)
	}
	return view
}

// readJobErrors is GET /api/v2/jobs/{id}/errors: the rows that were refused, or
// nothing at all.
func (t *Tenant) readJobErrors(c *call) reply {
	j := t.job(c.PathValue("id"), c.now)
	switch {
	case j == nil:
		return noJob()
	case j.imported == nil || len(j.imported.refused) == 0:
		return reply{status: http.StatusNoContent}
	}
	return answer(http.StatusOK, j.imported.refused)
}

func verificationSchema() *schema {
	return object([]string{"user_id"}, map[string]schema{
		"user_id":         {kind: "string", about: "The user_id of the user to whom the email will be sent"},
		"client_id":       {kind: "string", about: "client_id of the client"},
		"identity":        {},
		"organization_id": {kind: "string"},
	})
}

// verificationJob is POST /api/v2/jobs/verification-email.
func (t *Tenant) verificationJob(c *call) reply {
	u := t.users.byID[c.text("user_id")]
	if u == nil {
		return noUser()
	}
	j := t.newJob(c, "verification_email", nil)
	t.mails = append(t.mails, Mail{Template: "verify_email", UserID: u.id, At: c.now})
	return answer(http.StatusCreated, j.view())
}
