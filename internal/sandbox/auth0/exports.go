package auth0

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// mostColumns is how many fields a CSV export may have.
const mostColumns = 30

// A userExport is the work of a users-exports job.
type userExport struct {
	format   string // json or csv
	fields   []exportField
	asked    any // the fields as the request named them
	limit    int
	total    int // users when the job was made, for how long it takes
	links    map[string]time.Time
	assemble sync.Once
	file     []byte // gzip
}

type exportField struct {
	path []string
	name string // of the property or column
}

func exportSchema() *schema {
	field := object([]string{"name"}, map[string]schema{
		"name": {kind: "string", shortest: 1, about: "Name of the field in the profile"}, "export_as": {kind: "string"},
	})
	return object(nil, map[string]schema{
		"connection_id": {kind: "string", about: "connection_id of the connection from which users will be exported"},
		"format":        {kind: "string", enum: []string{"json", "csv"}, about: "Format of the file"},
		"limit":         {kind: "integer", about: "Limit the number of records"},
		"fields":        {kind: "array", items: field, about: "List of fields to be included in the CSV"},
	})
}

// predefined are the fields of an export that names none.
const predefined = "user_id email email_verified name given_name family_name nickname picture created_at updated_at"

// exportUsers is POST /api/v2/jobs/users-exports.
func (t *Tenant) exportUsers(c *call) reply {
	var connection document
	if id := c.text("connection_id"); id != "" {
		if connection = t.connections.get(id); connection == nil {
			return badRequest("The connection does not exist.", "inexistent_connection")
		}
	}
	x := &userExport{
		format: c.text("format"), asked: c.fields["fields"], limit: number(c.fields, "limit"), links: map[string]time.Time{},
	}
	fields, _ := x.asked.([]any)
	for _, field := range fields {
		d, _ := field.(map[string]any)
		x.fields = append(x.fields, newExportField(text(d, "name"), text(d, "export_as")))
	}
	if x.asked == nil {
		for name := range strings.FieldsSeq(predefined) {
			x.fields = append(x.fields, newExportField(name, ""))
		}
	}
	if x.format == "" {
		x.format = "json"
	}
	if x.format == "csv" && len(x.fields) > mostColumns {
		return badRequest(fmt.Sprintf("Payload validation error: 'Array is too long (%d), maximum %d' on property fields.", len(x.fields), mostColumns), "invalid_body")
	}
	x.total = len(t.users.byID)
	if x.limit > 0 {
		x.total = min(x.total, x.limit)
	}
	j := t.newJob(c, "users_export", connection)
	j.exported = x
	return answer(http.StatusOK, j.view())
}

func newExportField(name, as string) exportField {
	if as == "" {
		as = name
	}
	path := strings.FieldsFunc(name, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
	return exportField{path: path, name: as}
}

func (x *userExport) describe(view document) {
	view["format"] = x.format
	if x.asked != nil {
		view["fields"] = x.asked
	}
	if x.limit > 0 {
		view["limit"] = x.limit
	}
}

// link returns the name of a file that can be fetched for a minute.
func (x *userExport) link(now time.Time) string {
	name := randomID(alphanumeric, 40) + "." + x.format + ".gz"
	x.links[name] = now.Add(linkLifetime)
	return name
}

// downloadExport is GET /_exports/{file}, where a finished job's location leads.
// Like the storage that Auth0 uses it asks for no token.
func (t *Tenant) downloadExport(c *call) reply {
	name := c.PathValue("file")
	for _, j := range t.jobs {
		if j.exported == nil || j.exported.links[name].IsZero() {
			continue
		}
		if c.now.After(j.exported.links[name]) {
			break
		}
		return reply{
			status: http.StatusOK, header: http.Header{"Content-Type": {"application/gzip"}},
			late: func() any {
				j.exported.assemble.Do(func() { j.exported.file = t.assemble(j) })
				return j.exported.file
			},
		}
	}
	return reply{
		status: http.StatusForbidden, body: []byte("<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"),
		header: http.Header{"Content-Type": {"application/xml"}},
	}
}

// chunk is how many users an export reads in one go, so that other requests get
// their turn.
const chunk = 1000

// assemble writes the file of an export. It is written when it is first fetched
// and kept then.
func (t *Tenant) assemble(j *job) []byte {
	x := j.exported
	t.mu.Lock()
	order := slices.Clip(t.users.order)
	t.mu.Unlock()
	var file bytes.Buffer
	zip, _ := gzip.NewWriterLevel(&file, gzip.BestSpeed) // the level is a valid one
	write, flush := x.writer(zip)
	for n := 0; len(order) > 0; {
		part := order[:min(chunk, len(order))]
		order = order[len(part):]
		var views []userView
		t.mu.Lock()
		for _, u := range part {
			if !u.has(gone) && (j.connection == "" || u.connection == j.connection) && (x.limit == 0 || n < x.limit) {
				views = append(views, u.view())
				n++
			}
		}
		t.mu.Unlock()
		for _, view := range views {
			write(view)
		}
	}
	flush()
	_ = zip.Close() // into memory
	return file.Bytes()
}

// writer returns what writes users in the export's format, and what ends it.
func (x *userExport) writer(to *gzip.Writer) (write func(userView), flush func()) {
	if x.format == "json" {
		encoder := json.NewEncoder(to)
		encoder.SetEscapeHTML(false)
		return func(v userView) {
			_ = encoder.Encode(x.object(v)) // into memory
		}, func() {}
	}
	out := csv.NewWriter(to)
	row := make([]string, len(x.fields))
	for i, field := range x.fields {
		row[i] = field.name
	}
	_ = out.Write(row)
	return func(v userView) {
		for i, field := range x.fields {
			row[i] = csvValue(v.field(field.path), field.name)
		}
		_ = out.Write(row)
	}, out.Flush
}

func (x *userExport) object(v userView) map[string]any {
	out := map[string]any{}
	for _, field := range x.fields {
		if value := v.field(field.path); value != nil {
			out[field.name] = value
		}
	}
	return out
}

// field returns what a path leads to in a user, nil if it leads nowhere. It
// looks at the usual fields itself, because an export asks for millions of them.
func (v userView) field(path []string) any {
	if len(path) == 0 {
		return nil
	}
	switch path[0] {
	case "user_id":
		return v.UserID
	case "email":
		return unlessEmpty(v.Email)
	case "name":
		return v.Name
	case "created_at":
		return v.CreatedAt
	case "updated_at":
		return v.UpdatedAt
	case "email_verified":
		return unlessNil(v.EmailVerified)
	case "blocked":
		return unlessNil(v.Blocked)
	case "identities":
		i := v.Identities[0]
		return at([]any{document{"connection": i.Connection, "user_id": i.UserID, "provider": i.Provider, "isSocial": i.IsSocial}}, path[1:])
	case "logins_count":
		if v.LoginsCount == 0 {
			return nil
		}
		return v.LoginsCount
	case "last_login":
		return unlessEmpty(v.LastLogin)
	case "last_password_reset":
		return unlessEmpty(v.PasswordReset)
	case "app_metadata":
		return inMetadata(v.AppMetadata, path[1:])
	case "user_metadata":
		return inMetadata(v.UserMetadata, path[1:])
	}
	return at(toObject(v), path)
}

func unlessEmpty(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func unlessNil(b *bool) any {
	if b == nil {
		return nil
	}
	return *b
}

func inMetadata(data json.RawMessage, path []string) any {
	if data == nil {
		return nil
	}
	if len(path) == 0 {
		return data
	}
	return at(toObject(data), path)
}

// at returns what a path leads to, nil if it leads nowhere.
func at(value any, path []string) any {
	for _, key := range path {
		switch v := value.(type) {
		case map[string]any:
			value = v[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

// csvValue writes a value so that a spreadsheet takes it for text: Auth0
// prepends a quote to strings that are not its own times.
func csvValue(value any, name string) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		if strings.HasSuffix(name, "_at") {
			return v
		}
		return "'" + v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return string(compact(value))
}
