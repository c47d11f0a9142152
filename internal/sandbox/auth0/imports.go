package auth0

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"time"

	"github.com/medlogistics/phasegate/internal/pattern"
)

// largestImport is the most that an import may be, in bytes of the request.
const largestImport = 512_000

// A userImport is the work of a users-imports job.
type userImport struct {
	rows    []json.RawMessage
	done    int
	upsert  bool
	bytes   int // of the request
	refused []refusedRow

	inserted, updated int
}

// A refusedRow is a row of an import that the tenant did not take.
type refusedRow struct {
	User   json.RawMessage `json:"user"`
	Errors []rowError      `json:"errors"`
}

type rowError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Path    string `json:"path,omitempty"`
}

func (i *userImport) summary() document {
	return document{
		"failed": len(i.refused), "updated": i.updated, "inserted": i.inserted, "total": len(i.rows),
	}
}

var bcryptHash = pattern.Lazy(`^\$2[ab]\$10\$[./A-Za-z0-9]{53}$`)

// importSchema is the documented schema of a row
// (https://auth0.com/docs/manage-users/user-migration/bulk-user-import-schema).
func importSchema() *schema {
	s := &schema{kind: "string"}
	flag := schema{kind: "boolean"}
	return object([]string{"email"}, map[string]schema{
		"email": {kind: "string", format: "email"}, "email_verified": flag,
		"phone_number": *s, "phone_verified": flag, "user_id": *s, "username": *s, "given_name": *s,
		"family_name": *s, "name": *s, "nickname": *s, "picture": *s, "blocked": flag,
		"password_hash":        {kind: "string", pattern: bcryptHash},
		"custom_password_hash": *customHashSchema(),
		"app_metadata":         {kind: "object"}, "user_metadata": {kind: "object"},
		"mfa_factors": {kind: "array", shortest: 1, longest: 10, items: object(nil, anyOf("totp phone email"))},
	})
}

func customHashSchema() *schema {
	return object([]string{"algorithm", "hash"}, with(
		anyOf("salt password keylen cost blockSize parallelization"), map[string]schema{
			"algorithm": {kind: "string", enum: []string{
				"argon2", "bcrypt", "hmac", "ldap", "md4", "md5", "sha1", "sha256", "sha512", "pbkdf2", "scrypt",
			}},
			"hash": {kind: "object"},
		}))
}

// importUsers is POST /api/v2/jobs/users-imports.
func (t *Tenant) importUsers(c *call) reply {
	if len(c.raw) > largestImport {
		return fail(http.StatusRequestEntityTooLarge,
			fmt.Sprintf("Payload content length greater than maximum allowed: %d", largestImport), "")
	}
	form, err := readMultipart(c)
	if err != nil {
		return badRequest("Invalid multipart payload: "+err.Error(), "invalid_body")
	}
	connection := t.connections.get(form["connection_id"])
	switch {
	case form["connection_id"] == "":
		return missingProperty("connection_id")
	case connection == nil:
		return badRequest("The connection does not exist.", "inexistent_connection")
	case text(connection, "strategy") != "auth0":
		return badRequest("The connection must be a database connection.", "invalid_body")
	case len(textsOf(connection["enabled_clients"])) == 0:
		return badRequest("The connection is disabled.", "connection_disabled")
	}
	var rows []json.RawMessage
	if err := json.Unmarshal([]byte(form["users"]), &rows); err != nil {
		return badRequest("Failed to parse users file JSON when importing users. Make sure it is valid JSON.", "invalid_body")
	}
	if n := t.activeImports(); n >= mostImports {
		return tooMany(fmt.Sprintf("There are %d active import users jobs, please wait until some of them are finished and try again", n))
	}
	j := t.newJob(c, "users_import", connection)
	j.externalID = form["external_id"]
	j.imported = &userImport{rows: rows, upsert: form["upsert"] == "true", bytes: len(c.raw)}
	return answer(http.StatusAccepted, j.view())
}

func readMultipart(c *call) (map[string]string, error) {
	_, params, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	form := map[string]string{}
	reader := multipart.NewReader(bytes.NewReader(c.raw), params["boundary"])
	for {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return form, nil
		}
		if err != nil {
			return nil, err
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, err
		}
		form[part.FormName()] = string(value)
	}
}

func (t *Tenant) activeImports() int {
	n := 0
	for _, j := range t.jobs {
		if j.imported != nil && !j.finished {
			n++
		}
	}
	return n
}

// advanceImport takes the rows that are due and tells whether those were all.
func (t *Tenant) advanceImport(j *job, now, began time.Time) bool {
	i, due := j.imported, len(j.imported.rows)
	if each := t.config.Jobs.PerUser; each > 0 {
		due = min(due, int(now.Sub(began)/each))
	}
	for ; i.done < due; i.done++ {
		at := began.Add(time.Duration(i.done+1) * t.config.Jobs.PerUser)
		if errors := t.importRow(j, i.rows[i.done], at); errors != nil {
			i.refused = append(i.refused, refusedRow{User: withoutHash(i.rows[i.done]), Errors: errors})
		}
	}
	return i.done == len(i.rows)
}

// withoutHash hides the password of a row, as the errors endpoint does.
func withoutHash(row json.RawMessage) json.RawMessage {
	if !bytes.Contains(row, []byte("password_hash")) {
		return row
	}
	d := toObject(row)
	for _, key := range []string{"password_hash", "custom_password_hash"} {
		if d[key] != nil {
			d[key] = "*****"
		}
	}
	return compact(d)
}

// importRow makes or changes the user of a row.
func (t *Tenant) importRow(j *job, raw json.RawMessage, at time.Time) []rowError {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	_ = decoder.Decode(&value) // it was part of a valid array
	if p := importSchema().check(value); p != nil {
		return []rowError{{Code: p.code, Message: p.text, Path: p.path}}
	}
	row, _ := value.(map[string]any)
	if row["password_hash"] != nil && row["custom_password_hash"] != nil {
		return []rowError{{Code: "NOT_PASSED", Message: "password_hash and custom_password_hash are mutually exclusive"}}
	}
	if u := t.users.in(j.connection, strings.ToLower(text(row, "email"))); u != nil {
		return t.upsertRow(j, u, row, at)
	}
	u := &user{connection: j.connection, created: at.UnixMilli(), updated: at.UnixMilli()}
	u.id = "auth0|" + text(row, "user_id")
	if text(row, "user_id") == "" {
		u.id += randomID(hexadecimal, 24)
	}
	u.fill(row)
	if t.users.byID[u.id] != nil || t.taken(u.connection, u.email, u.username) {
		return duplicated()
	}
	if refused, ok := u.checkMetadata(); !ok {
		return []rowError{{Code: "NOT_PASSED", Message: refused.body.(failure).Message}}
	}
	u.password.imported = text(row, "password_hash")
	if custom := row["custom_password_hash"]; custom != nil {
		u.password.imported = string(compact(custom))
	}
	t.users.put(u)
	t.changing(u, nil, at)
	j.imported.inserted++
	return nil
}

func duplicated() []rowError {
	return []rowError{{Code: "DUPLICATED_USER", Message: "The user already exist and upsert parameter is false"}}
}

// upsertRow changes a user who is there already. Metadata is overwritten, not
// merged; a password only comes in with the user.
func (t *Tenant) upsertRow(j *job, u *user, row map[string]any, at time.Time) []rowError {
	if !j.imported.upsert {
		return duplicated()
	}
	before, next := *u, *u
	for key, meta := range map[string]*[]byte{"app_metadata": &next.appMeta, "user_metadata": &next.userMeta} {
		if row[key] != nil {
			*meta = nil
		}
	}
	next.set(verified, false) // unless the row says otherwise
	next.fill(row)
	next.updated = at.UnixMilli()
	t.users.unlink(u)
	*u = next
	t.users.link(u)
	t.changing(u, &before, at)
	j.imported.updated++
	return nil
}
