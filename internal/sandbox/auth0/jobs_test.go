package auth0_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdk "github.com/auth0/go-auth0"
	"github.com/auth0/go-auth0/management"
	"golang.org/x/crypto/bcrypt"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

// connectionID returns the id of the tenant's database connection.
func connectionID(t *testing.T, tenant *auth0.Tenant) string {
	t.Helper()
	return request(tenant, "GET", "/api/v2/connections?name="+connection, "").list(t)[0].(map[string]any)["id"].(string)
}

// importFile starts an import job of a file.
func importFile(t *testing.T, tenant *auth0.Tenant, users string, more ...string) answer {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	fields := append([]string{"connection_id", connectionID(t, tenant), "send_completion_email", "false"}, more...)
	for n := 0; n < len(fields); n += 2 {
		must(t, form.WriteField(fields[n], fields[n+1]))
	}
	file, err := form.CreateFormFile("users", "users.json")
	must(t, err)
	_, err = io.WriteString(file, users)
	must(t, err)
	must(t, form.Close())
	r := httptest.NewRequest("POST", "/api/v2/jobs/users-imports", &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Authorization", "Bearer "+tenant.Token("create:users"))
	return record(tenant, r)
}

// rows is a file of n users, beginning with number from.
func rows(from, n int) string {
	var all []string
	for i := from; i < from+n; i++ {
		all = append(all, fmt.Sprintf(`{"email":"u%d@example.com","user_id":"ml-%d","email_verified":true,"app_metadata":{"role":"nurse"}}`, i, i))
	}
	return "[" + strings.Join(all, ",") + "]"
}

func readJob(t *testing.T, tenant *auth0.Tenant, id any) map[string]any {
	t.Helper()
	return request(tenant, "GET", fmt.Sprint("/api/v2/jobs/", id), "").object(t)
}

func TestAnImportJobTakesItsTimeAndReportsWhatItRefused(t *testing.T) {
	t.Parallel()
	tenant, clock := seeded(func(c *auth0.Config) {
		c.Jobs = auth0.JobSpeed{Start: 5 * time.Second, PerUser: 100 * time.Millisecond}
	})
	must(t, tenant.PutUser(auth0.User{ID: "auth0|old", Email: "u1@example.com"}))
	users := strings.TrimSuffix(rows(1, 3), "]") + `,{"email":"nonsense"},{"email":"x@example.com","nick":"x"},` +
		`{"email":"u2@example.com"},{"name":"no address"},{"email":"h@example.com","password_hash":"plain"}]`
	a := importFile(t, tenant, users, "external_id", "batch-1")
	a.want(t, http.StatusAccepted, "")
	job := a.object(t)
	if job["status"] != "pending" || job["type"] != "users_import" || job["external_id"] != "batch-1" {
		t.Errorf("job = %v", job)
	}
	clock.advance(5*time.Second + 250*time.Millisecond)
	if got := tenant.CountUsers(); got != 2 { // the one that was there, u1 again, u2
		t.Errorf("%d users in mid-job, want 2", got)
	}
	if status := readJob(t, tenant, job["id"])["status"]; status != "pending" {
		t.Errorf("status in mid-job = %v", status)
	}
	clock.advance(time.Second)
	done := readJob(t, tenant, job["id"])
	if done["status"] != "completed" || fmt.Sprint(done["summary"]) != "map[failed:6 inserted:2 total:8 updated:0]" {
		t.Errorf("job = %v", done)
	}
	var codes []string
	for _, item := range request(tenant, "GET", fmt.Sprint("/api/v2/jobs/", job["id"], "/errors"), "").list(t) {
		row := item.(map[string]any)
		codes = append(codes, row["errors"].([]any)[0].(map[string]any)["code"].(string))
		if hash := row["user"].(map[string]any)["password_hash"]; hash != nil && hash != "*****" {
			t.Errorf("the errors show a password hash: %v", hash)
		}
	}
	if got := fmt.Sprint(codes); got != "[DUPLICATED_USER FORMAT OBJECT_ADDITIONAL_PROPERTIES DUPLICATED_USER OBJECT_REQUIRED PATTERN]" {
		t.Errorf("codes = %s", got)
	}
	clock.advance(24 * time.Hour)
	request(tenant, "GET", fmt.Sprint("/api/v2/jobs/", job["id"]), "").want(t, 404, "")
}

func TestNoMoreThanTwoImportsRunAndNoneIsTooLarge(t *testing.T) {
	t.Parallel()
	tenant, clock := seeded(func(c *auth0.Config) { c.Jobs.PerUser = time.Second })
	for n := range 2 {
		importFile(t, tenant, rows(10*n, 5)).want(t, http.StatusAccepted, "")
	}
	importFile(t, tenant, rows(50, 1)).want(t, 429, `{"statusCode":429,"error":"Too Many Requests",`+
		`"message":"There are 2 active import users jobs, please wait until some of them are finished and try again","errorCode":"too_many_requests"}`)
	clock.advance(5 * time.Second)
	importFile(t, tenant, rows(50, 1)).want(t, http.StatusAccepted, "")
	importFile(t, tenant, `[{"email":"a@example.com","name":"`+strings.Repeat("x", 512_000)+`"}]`).want(t, 413,
		`{"statusCode":413,"error":"Request Entity Too Large","message":"Payload content length greater than maximum allowed: 512000"}`)
	importFile(t, tenant, `{"not":"a list"`).want(t, http.StatusBadRequest, "")
}

func TestAnUpsertOverwritesMetadataAndVerification(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	must(t, tenant.PutUser(auth0.User{
		ID: "auth0|7", Email: "a@example.com", EmailVerified: true, AppMetadata: map[string]any{"old": "1"},
	}))
	job := importFile(t, tenant, `[{"email":"A@example.com","app_metadata":{"new":"2"}}]`, "upsert", "true").object(t)
	if got := fmt.Sprint(readJob(t, tenant, job["id"])["summary"]); got != "map[failed:0 inserted:0 total:1 updated:1]" {
		t.Errorf("summary = %s", got)
	}
	u, _ := tenant.User("auth0|7")
	if u.EmailVerified || fmt.Sprint(u.AppMetadata) != "map[new:2]" {
		t.Errorf("user = %+v", u)
	}
	request(tenant, "GET", fmt.Sprint("/api/v2/jobs/", job["id"], "/errors"), "").want(t, http.StatusNoContent, "")
}

func TestAnImportedBcryptHashLetsItsUserIn(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	hash, err := bcrypt.GenerateFromPassword([]byte("correct horse"), 10)
	must(t, err)
	importFile(t, tenant, `[{"email":"a@example.com","password_hash":"`+string(hash)+`"}]`).want(t, http.StatusAccepted, "")
	realm(tenant, "a@example.com", "wrong horse").want(t, 403, "")
	realm(tenant, "a@example.com", "correct horse").want(t, 200, "")
}

func TestJobsFailAndVanishOnRequest(t *testing.T) {
	t.Parallel()
	tenant, _ := seeded(nil)
	const endpoint = "POST /api/v2/jobs/users-imports"
	tenant.Fault(auth0.Fault{Endpoint: endpoint, Count: 1, Do: auth0.JobFails})
	tenant.Fault(auth0.Fault{Endpoint: endpoint, Count: 1, Do: auth0.JobVanishes})
	failed := importFile(t, tenant, rows(0, 3)).object(t)
	gone := importFile(t, tenant, rows(10, 3)).object(t)
	if job := readJob(t, tenant, failed["id"]); job["status"] != "failed" || job["summary"] != nil {
		t.Errorf("job = %v", job)
	}
	request(tenant, "GET", fmt.Sprint("/api/v2/jobs/", gone["id"]), "").want(t, 404, "")
	if n := tenant.CountUsers(); n != 3 {
		t.Errorf("%d users, want those of the job that vanished", n)
	}
}

func TestAnExportIsFetchedFromALinkThatLastsAMinute(t *testing.T) {
	t.Parallel()
	tenant, clock := seeded(func(c *auth0.Config) { c.Jobs.Start = time.Second })
	for n := range 3 {
		must(t, tenant.PutUser(auth0.User{ID: fmt.Sprint("auth0|ml-", n), Email: fmt.Sprintf("u%d@example.com", n), AppMetadata: map[string]any{"role": "nurse", "n": n}}))
	}
	body := `{"connection_id":"` + connectionID(t, tenant) + `","format":%q,"fields":[{"name":"user_id"},{"name":"email"},{"name":"app_metadata.role","export_as":"role"},{"name":"identities[0].connection"}]}`
	for format, want := range map[string]string{
		"json": `{"email":"u0@example.com","identities[0].connection":"` + connection + `","role":"nurse","user_id":"auth0|ml-0"}`,
		"csv":  "user_id,email,role,identities[0].connection\n'auth0|ml-0,'u0@example.com,'nurse,'" + connection,
	} {
		job := request(tenant, "POST", "/api/v2/jobs/users-exports", fmt.Sprintf(body, format)).object(t)
		if got := readJob(t, tenant, job["id"]); got["status"] != "pending" || got["location"] != nil {
			t.Errorf("job = %v", got)
		}
		clock.advance(time.Second)
		location := readJob(t, tenant, job["id"])["location"].(string)
		path := strings.TrimPrefix(location, "https://medlog.test")
		file := requestAs(tenant, "", "GET", path, "")
		file.want(t, 200, "")
		text := unzip(t, file.body)
		if !strings.HasPrefix(text, want) || strings.Count(text, "auth0|ml-") != 3 {
			t.Errorf("%s: %s", format, text)
		}
		clock.advance(time.Minute + time.Second)
		requestAs(tenant, "", "GET", path, "").want(t, 403, "")
		again := strings.TrimPrefix(readJob(t, tenant, job["id"])["location"].(string), "https://medlog.test")
		requestAs(tenant, "", "GET", again, "").want(t, 200, "")
	}
}

func unzip(t *testing.T, data string) string {
	t.Helper()
	reader, err := gzip.NewReader(strings.NewReader(data))
	must(t, err)
	out, err := io.ReadAll(reader)
	must(t, err)
	return string(out)
}

func TestTheSDKImportsAndExports(t *testing.T) {
	t.Parallel()
	tenant, server, m := medlogistics(t)
	where, err := m.Connection.ReadByName(t.Context(), connection)
	must(t, err)
	job := &management.Job{
		ConnectionID: where.ID, Upsert: sdk.Bool(false), SendCompletionEmail: sdk.Bool(false),
		Users: []map[string]any{{"email": "a@example.com", "user_id": "ml-1"}, {"email": "a@example.com"}},
	}
	must(t, m.Job.ImportUsers(t.Context(), job))
	done, err := m.Job.Read(t.Context(), job.GetID())
	must(t, err)
	if done.GetStatus() != "completed" || done.GetSummary().GetInserted() != 1 || done.GetSummary().GetFailed() != 1 {
		t.Errorf("job = %s", done)
	}
	refused, err := m.Job.ReadErrors(t.Context(), job.GetID())
	must(t, err)
	if len(refused) != 1 || refused[0].Errors[0].Code != "DUPLICATED_USER" {
		t.Errorf("errors = %v", refused)
	}
	export := &management.Job{ConnectionID: where.ID, Format: sdk.String("json")}
	must(t, m.Job.ExportUsers(t.Context(), export))
	done, err = m.Job.Read(t.Context(), export.GetID())
	must(t, err)
	response, err := server.Client().Get(done.GetLocation())
	must(t, err)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	must(t, err)
	var user map[string]any
	must(t, json.Unmarshal([]byte(unzip(t, string(data))), &user))
	if _, ok := tenant.User("auth0|ml-1"); !ok || user["user_id"] != "auth0|ml-1" {
		t.Errorf("exported %v", user)
	}
}
